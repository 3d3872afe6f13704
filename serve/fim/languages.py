"""Which language a file is in, and how its words look: comments, strings, what goes on a line.

A language is told by a request's own word, by a file's name, or guessed from the text: the grammar
of tree-sitter that finds least wrong with it. Where none is known, the rules of `PLAIN` hold:
brackets and indentation, strings of one line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """How a language looks to `serve.fim.brackets`.

    grammar: tree-sitter's name, "" for none. indents: blocks are made by indentation.
    opaque: a pattern of what holds no brackets: comments and strings, whole ones.
    open_ended: from what opens a comment or string that may span lines to what closes it.
    goes_on: lines that begin so continue what a shallower line before them ended ("else").
    """

    name: str
    grammar: str = ""
    indents: bool = False
    opaque: re.Pattern[str]
    open_ended: tuple[tuple[str, str], ...] = ()
    goes_on: re.Pattern[str]


def _words(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.DOTALL)


_HASH: Final = r"\#[^\n]*"
_SLASHES: Final = r"//[^\n]*"
_BLOCK: Final = r"/\*.*?\*/"
_DOUBLE: Final = r'"(?:[^"\\\n]|\\.)*"'
_SINGLE: Final = r"'(?:[^'\\\n]|\\.)*'"
_BACKTICK: Final = r"`(?:[^`\\]|\\.)*`"
# A quote alone in Rust is a lifetime, in C++ it parts the digits of a number.
_CHARACTER: Final = r"'(?:[^'\\\n]|\\[^\n]{1,10}?)'"
# A slash divides, except where no value can stand before it.
_REGEX: Final = r"(?<=[=(,:\[!&|?{};])[ \t]*/(?![*/])(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/"
_TRIPLE: Final = r'"""(?:[^\\]|\\.)*?"""'
_TRIPLE_SINGLE: Final = r"'''(?:[^\\]|\\.)*?'''"
_RUST_RAW: Final = r'\bb?r(?P<raw>\#*)".*?"(?P=raw)'
_CPP_RAW: Final = r'R"(?P<raw>[^(\s]{0,16})\(.*?\)(?P=raw)"'

_PYTHON_ON: Final = re.compile(r"(?:else|elif|except|finally|case)\b")
_BRACES_ON: Final = re.compile(r"[})\]]|(?:else|catch|finally|while|case|default)\b|\.|&&|\|\|")

PYTHON: Final = Language(
    name="python",
    grammar="python",
    indents=True,
    opaque=_words(_HASH, _TRIPLE, _TRIPLE_SINGLE, _DOUBLE, _SINGLE),
    open_ended=(
        ('"""', '"""'),
        ("'''", "'''"),
    ),
    goes_on=_PYTHON_ON,
)
_JS_OPAQUE: Final = _words(_SLASHES, _BLOCK, _DOUBLE, _SINGLE, _BACKTICK, _REGEX)
_JS_OPEN: Final = (
    ("/*", "*/"),
    ("`", "`"),
)
JAVASCRIPT: Final = Language(
    name="javascript",
    grammar="javascript",
    opaque=_JS_OPAQUE,
    open_ended=_JS_OPEN,
    goes_on=_BRACES_ON,
)
TYPESCRIPT: Final = Language(
    name="typescript",
    grammar="typescript",
    opaque=_JS_OPAQUE,
    open_ended=_JS_OPEN,
    goes_on=_BRACES_ON,
)
TSX: Final = Language(
    name="tsx", grammar="tsx", opaque=_JS_OPAQUE, open_ended=_JS_OPEN, goes_on=_BRACES_ON
)
JAVA: Final = Language(
    name="java",
    grammar="java",
    opaque=_words(_SLASHES, _BLOCK, _TRIPLE, _DOUBLE, _CHARACTER),
    open_ended=(
        ("/*", "*/"),
        ('"""', '"""'),
    ),
    goes_on=_BRACES_ON,
)
GO: Final = Language(
    name="go",
    grammar="go",
    opaque=_words(_SLASHES, _BLOCK, _DOUBLE, r"`[^`]*`", _CHARACTER),
    open_ended=(
        ("/*", "*/"),
        ("`", "`"),
    ),
    goes_on=_BRACES_ON,
)
_C_OPAQUE: Final = _words(_SLASHES, _BLOCK, _CPP_RAW, _DOUBLE, _CHARACTER)
C: Final = Language(
    name="c", grammar="c", opaque=_C_OPAQUE, open_ended=(("/*", "*/"),), goes_on=_BRACES_ON
)
CPP: Final = Language(
    name="cpp", grammar="cpp", opaque=_C_OPAQUE, open_ended=(("/*", "*/"),), goes_on=_BRACES_ON
)
CSHARP: Final = Language(
    name="csharp",
    grammar="csharp",
    opaque=_words(_SLASHES, _BLOCK, r'@"(?:[^"]|"")*"', _DOUBLE, _CHARACTER),
    open_ended=(("/*", "*/"),),
    goes_on=_BRACES_ON,
)
RUST: Final = Language(
    name="rust",
    grammar="rust",
    # Strings of Rust may span lines as they stand.
    opaque=_words(_SLASHES, _BLOCK, _RUST_RAW, r'"(?:[^"\\]|\\.)*"', _CHARACTER),
    open_ended=(
        ("/*", "*/"),
        ('"', '"'),
    ),
    goes_on=_BRACES_ON,
)
PLAIN: Final = Language(
    name="text", opaque=_words(_DOUBLE), goes_on=re.compile(r"[})\]]|(?:else|end)\b")
)

_ALL: Final = (PYTHON, JAVASCRIPT, TYPESCRIPT, TSX, JAVA, GO, C, CPP, CSHARP, RUST, PLAIN)
BY_NAME: Final[Mapping[str, Language]] = {
    **{language.name: language for language in _ALL},
    "py": PYTHON, "js": JAVASCRIPT, "jsx": JAVASCRIPT, "javascriptreact": JAVASCRIPT,
    "ts": TYPESCRIPT, "typescriptreact": TSX, "golang": GO, "c++": CPP, "cxx": CPP,
    "c#": CSHARP, "cs": CSHARP, "rs": RUST, "none": PLAIN,
}  # fmt: skip
_BY_ENDING: Final[Mapping[str, Language]] = {
    ".py": PYTHON, ".pyi": PYTHON, ".pyw": PYTHON,
    ".js": JAVASCRIPT, ".mjs": JAVASCRIPT, ".cjs": JAVASCRIPT, ".jsx": JAVASCRIPT,
    ".ts": TYPESCRIPT, ".mts": TYPESCRIPT, ".cts": TYPESCRIPT, ".tsx": TSX,
    ".java": JAVA, ".go": GO, ".rs": RUST, ".cs": CSHARP,
    ".c": C, ".h": C,
    ".cc": CPP, ".cpp": CPP, ".cxx": CPP, ".hh": CPP, ".hpp": CPP, ".hxx": CPP, ".cu": CPP,
}  # fmt: skip
# What is tried on a text of which nothing is known. C++ reads C, TypeScript reads JavaScript.
GUESSED: Final = (PYTHON, TYPESCRIPT, JAVA, GO, CPP, RUST)


def by_path(path: str) -> Language | None:
    """Return the language of a file by its name; None for an ending that is not known."""
    return _BY_ENDING.get(PurePosixPath(path.replace("\\", "/")).suffix.lower())
