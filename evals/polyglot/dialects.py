"""How each language's program and test code become one source, for tests in mxeval's form.

Upstream's text is kept; what changes in it is what decides: where a check compares or fails by a
name that the program could replace, the name becomes one drawn for each run, or a word of the
syntax; and behind the last check stands the word that the judge waits for. Each edit is checked to
have found its place: a test in another form is an error, never a test that passes everything.

Not covered: a program that overrides what built-in operators do to its own values or to built-in
classes (Ruby's `Integer#!=`, Java's `equals` of a class of its own), as everywhere in this mode.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from evals.polyglot import equality
from sandbox import BesideTests
from seedcoder.errors import UsageError

# What failing checks of these benchmarks say.
_WRONG: Final = ("Exception -", "Error at ", "AssertionError", "Assertion failed", "assertion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One language.

    title: as people write it. fence: the info word of its code blocks; fences: all that models use.
    stop: what ends the function of a prompt; end: what then closes it, with what stands around it.
    spoilt: a body that compiles and answers nothing right.
    before: source ahead of the program. after: makes the test part of upstream's test.
    lead: a pattern at the program's head that `before` has in its place.
    """

    title: str
    fence: str
    stop: str
    end: str
    spoilt: str
    after: Callable[[str], str]
    fences: tuple[str, ...] = ()
    before: str = ""
    lead: str = ""

    def tests(self, test: str, place: str) -> BesideTests:
        """Return the sandbox's tests. UsageError, with the place: a test of another form."""
        try:
            return BesideTests(before=self.before, after=self.after(test), wrong_words=_WRONG)
        except ValueError as error:
            raise UsageError(f"{place}: {error}") from error

    def source(self, program: str) -> str:
        """Return the program as it stands between `before` and the test part."""
        return re.sub(self.lead, "", program, count=1) if self.lead else program


def edited(text: str, *edits: tuple[str, str]) -> str:
    """Return the text with each pattern replaced wherever it is; each must be somewhere."""
    for pattern, new in edits:
        text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
        if not count:
            raise ValueError(f"its test has no {pattern!r}: it is in a form that is not known here")
    return text


def before_last(text: str, braces: int, line: str) -> str:
    """Return the text with a line before the last so many closing braces."""
    at = len(text)
    for _ in range(braces):
        at = text.rfind("}", 0, at)
        if at < 0:
            raise ValueError("its test does not end in braces: a form that is not known here")
    return f"{text[:at]}\n{line}\n{text[at:]}"


def _javascript(test: str) -> str:
    named = edited(
        test,
        (r"^const _ = require\(.lodash.\)", "const _ = SEEDCODER_NAME.lodash"),
        (r"^if\s*\(!compare\(", "if(!SEEDCODER_NAME.isEqual("),
    )
    return f"{named}\nSEEDCODER_NAME.say('\\nSEEDCODER_WORD\\n');\n"


def _typescript(test: str) -> str:
    named = edited(test, (r"^assert\.deepEqual\(", "SEEDCODER_NAME.deepEqual("))
    return f"{named}\nSEEDCODER_NAME.say('\\nSEEDCODER_WORD\\n');\n"


def _php(test: str) -> str:
    if "throw new Exception" not in test:
        raise ValueError("its test throws no Exception: it is in a form that is not known here")
    return f'{test}\necho "\\nSEEDCODER_WORD\\n";\n'


def _perl(test: str) -> str:
    named = edited(
        test,
        (r"^use Data::Compare;", ""),
        (r"^unless\s*\(Compare\(", "unless(SEEDCODER_NAME::Compare("),
        (r"^(\s*)die ", r"\1CORE::die "),
    )
    return f'{equality.PERL}{named}\nprint "\\nSEEDCODER_WORD\\n";\n'


def _ruby(test: str) -> str:
    # `raise` is a method that a program may define anew; an assignment is syntax.
    named = edited(test, (r"^(\s*)raise StandardError, ", r"\1SEEDCODER_NAME = "))
    return (
        f"\nSEEDCODER_NAME = nil\n{named}\nif SEEDCODER_NAME then raise SEEDCODER_NAME else "
        'STDOUT.write("\\nSEEDCODER_WORD\\n") end\n'
    )


def _go(test: str) -> str:
    # `panic` could be hidden by a function of that name, but then deepCompare lacks a return and
    # does not compile.
    edited(test, (r"^\s*panic\(msg\)", ""), (r"^func main\(\) \{", ""))
    return before_last(test, 1, '\tSEEDCODER_NAME.Println("\\nSEEDCODER_WORD")')


def _java(test: str) -> str:
    edited(test, (r"throw new java\.lang\.Exception\(", ""), (r"^class Main\b", ""))
    # Upstream's expected values are made by names that a class of the program's could take.
    named = re.sub(r"(?<![\w.\"])(Arrays|HashMap)(?=\.|<|\()", r"java.util.\1", test)
    return before_last(named, 2, '\njava.lang.System.out.println("\\nSEEDCODER_WORD");')


def _csharp(test: str) -> str:
    named = edited(
        test,
        (r"\bCompareLogic compareLogic = new CompareLogic\(\)",
         "global::SEEDCODER_NAME compareLogic = new global::SEEDCODER_NAME()"),
        (r"\bthrow new Exception\(", "throw new global::System.Exception("),
    )  # fmt: skip
    said = 'global::System.Console.WriteLine("\\nSEEDCODER_WORD");'
    return before_last(named, 3, said) + equality.CSHARP


def _cpp(test: str) -> str:
    # A macro of the program's shall not stand for what decides.
    named = edited(
        test, (r"^(int main\([^)]*\)\s*\{)", r"#undef main\n#undef throw\n#undef if\n\1")
    )
    said = 'std::cout << "\\nSEEDCODER_WORD" << std::endl;'
    named, count = re.subn(r"\n(\s*return 0;\s*\}\s*)\Z", rf"\n    {_escaped(said)}\n\1", named)
    return named if count else before_last(named, 1, said)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\")


def _kotlin(test: str) -> str:
    edited(test, (r"\bthrow Exception\(", ""), (r"^fun main\(", ""))
    return before_last(test, 1, '    kotlin.io.println("\\nSEEDCODER_WORD")')


def _scala(test: str) -> str:
    named = edited(test, (r"^(\s*)assert\(", r"\1_root_.scala.Predef.assert("))
    return before_last(named, 1, '    _root_.scala.Predef.println("\\nSEEDCODER_WORD")')


def _swift(test: str) -> str:
    # Compiled with -O here, where `assert` is never looked at; and it may be defined anew.
    named = edited(test, (r"^(\s*)assert\(", r"\1Swift.precondition("))
    return f'{named}\nSwift.print("\\nSEEDCODER_WORD")\n'


# Stops and ends are ours (mxeval leaves them to its user): a function of a prompt ends at a closing
# brace, or `end`, in the column where it began.
DIALECTS: Final[Mapping[str, Dialect]] = {
    "cpp": Dialect(
        title="C++", fence="cpp", fences=("c++", "cc"), stop="\n}", end="\n}\n",
        spoilt="    throw 1;", after=_cpp,
    ),
    "csharp": Dialect(
        title="C#", fence="csharp", fences=("cs", "c#"), stop="\n        }", end="\n        }\n",
        spoilt="throw new Exception();", after=_csharp,
    ),
    "go": Dialect(
        title="Go", fence="go", fences=("golang",), stop="\n}", end="\n}\n",
        spoilt='\tpanic("spoilt")', after=_go,
        before='package main\nimport SEEDCODER_NAME "fmt"\n', lead=r"^\s*package\s+main[ \t;]*",
    ),
    "java": Dialect(
        title="Java", fence="java", stop="\n    }", end="\n    }\n}\n",
        spoilt="return null;", after=_java,
    ),
    "javascript": Dialect(
        title="JavaScript", fence="javascript", fences=("js", "node"), stop="\n}", end="\n}\n",
        spoilt="  return {spoilt: 1};", after=_javascript, before=equality.JAVASCRIPT,
    ),
    "kotlin": Dialect(
        title="Kotlin", fence="kotlin", fences=("kt",), stop="\n}", end="\n}\n",
        spoilt="    throw Exception()", after=_kotlin,
    ),
    "perl": Dialect(
        title="Perl", fence="perl", fences=("pl",), stop="\n}", end="\n}\n",
        spoilt='  return "spoilt";', after=_perl,
    ),
    "php": Dialect(
        title="PHP", fence="php", stop="\n}", end="\n}\n",
        spoilt='  return ["spoilt"];', after=_php,
    ),
    "ruby": Dialect(
        title="Ruby", fence="ruby", fences=("rb",), stop="\nend", end="\nend\n",
        spoilt='  return "spoilt"', after=_ruby,
    ),
    "scala": Dialect(
        title="Scala", fence="scala", stop="\n    }", end="\n    }\n",
        spoilt="        ???", after=_scala,
    ),
    "swift": Dialect(
        title="Swift", fence="swift", stop="\n}", end="\n}\n",
        spoilt="    fatalError()", after=_swift,
    ),
    # Upstream runs what tsc emits in spite of type errors (its own call of tsc reports some in
    # every program: there is no @types/node); so types are not checked.
    "typescript": Dialect(
        title="TypeScript", fence="typescript", fences=("ts",), stop="\n}", end="\n}\n",
        spoilt="  return {spoilt: 1} as any;", after=_typescript,
        before=f"// @ts-nocheck\n{equality.JAVASCRIPT}",
    ),
}  # fmt: skip
