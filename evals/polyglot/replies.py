"""The program in a chat model's reply, for tests in mxeval's form, language by language.

All of this is ours: upstream has no protocol for chat models. The block that holds the function is
taken, a `main` and tests of the model's own are dropped where they would clash with upstream's, and
what the prompt has around its function (imports, a class) is put around the reply's where it is
missing. A reply with the function's body alone continues the prompt.

Dropped with the rest: types that a C# or Scala reply has outside the class of its function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from evals.fences import loose_blocks, strict_blocks
from evals.polyglot.blocks import around, blanked, without
from evals.polyglot.dialects import DIALECTS


def program(
    text: str, *, language: str, prompt: str, entry_point: str, test: str, fence_open: bool = False
) -> str:
    """Return the program that stands before upstream's test; "" where the reply holds no code.

    fence_open: the reply was begun for the model, up to an open fence.
    """
    code = _block(text, language, entry_point, fence_open).strip("\n")
    if not code.strip():
        return ""
    if not _defines(code, entry_point):
        return f"{prompt.rstrip()}\n{code}{missing_end(code, language)}"
    make = _WHOLE.get(language)
    return (make(code, prompt, entry_point, test) if make else code).rstrip() + "\n"


def _block(text: str, language: str, entry_point: str, fence_open: bool) -> str:
    names = {language, DIALECTS[language].fence, *DIALECTS[language].fences, ""}
    for read in (strict_blocks, loose_blocks):
        blocks = [block for block in read(text, open_at_start=fence_open) if block.text.strip()]
        # Of the language by preference: replies may show shell commands, or outputs.
        own = [block for block in blocks if block.language in names] or blocks
        defining = [block for block in own if _defines(block.text, entry_point)]
        if defining or own:
            return (defining or own)[0].text
    return text if _defines(text, entry_point) else ""


def _defines(code: str, entry_point: str) -> bool:
    """Return whether a function of that name begins in the code (a guess: a call looks alike)."""
    name = re.escape(entry_point)
    return bool(
        re.search(rf"^[^\n#/*]*\b(?:function|func|def|fun|sub)\s+(?:self\.)?{name}\b", code, re.M)
        or re.search(rf"^[^\n=(#/*]*[\w>\])]\s+{name}\s*\([^;{{]*\)[^;{{]*\{{", code, re.M)
        or re.search(rf"^\s*(?:const|let|var)\s+{name}\b[^\n=]*=", code, re.M)
    )


def missing_end(code: str, language: str) -> str:
    """Return what closes the function of the prompt behind a body, where the body did not."""
    end = DIALECTS[language].end
    if language == "ruby":
        return "" if code.rstrip().endswith("\nend") else end
    blank = blanked(code)
    missing = end.count("}") - (blank.count("}") - blank.count("{"))
    return end if missing >= end.count("}") else "\n" + "}\n" * max(0, missing)


def _php(code: str, prompt: str, entry_point: str, test: str) -> str:
    code = re.sub(r"\?>\s*\Z", "", code)
    return code if "<?php" in code else f"<?php\n{code}"


def _go(code: str, prompt: str, entry_point: str, test: str) -> str:
    """Put the imports together that the code and the test use: Go refuses any other."""
    code = without(code, r"^func\s+main\(\)")
    # Types, and functions of the test's own names, are the reply's to choose; packages are not.
    specs = re.compile(r'^import\s*\((.*?)\)|^import\s+([\w.]*\s*"[^"\n]+")', re.M | re.S)
    wanted: dict[str, str] = {}
    for source in (code, prompt):
        for match in specs.finditer(source):
            for alias, path in re.findall(r'([\w.]*)[ \t]*"([^"\n]+)"', match[1] or match[2]):
                wanted.setdefault(path, alias)
    body = re.sub(r"^\s*package\s+\w+[ \t;]*$", "", specs.sub("", code), flags=re.M)
    used = blanked(body + test)
    lines = [
        f'import {alias} "{path}"'.replace("  ", " ")
        for path, alias in wanted.items()
        if re.search(rf"\b{re.escape(alias or path.rpartition('/')[2])}\.", used)
    ]
    return "\n".join(["package main", *lines, body])


def _java(code: str, prompt: str, entry_point: str, test: str) -> str:
    code = re.sub(r"^\s*package\s+[\w.]+;", "", code, flags=re.M)
    code = without(code, r"^[ \t]*(?:public\s+)?(?:final\s+)?class\s+Main\b[^{;]*")
    code = without(code, r"^[ \t]*public\s+static\s+void\s+main\s*\([^)]*\)[^{;]*")
    code = re.sub(
        r"^([ \t]*)public\s+(?=(?:final\s+|abstract\s+)*class\b)", r"\1", code, flags=re.M
    )
    holder = re.search(r"^class\s+(\w+)", prompt, re.M)
    name = holder[1] if holder else "Solution"
    if not re.search(rf"\bclass\s+{name}\b", code):
        place = re.search(rf"\b{re.escape(entry_point)}\s*\(", code)
        inside = around(code, place.start(), r"\bclass\s+\w+") if place else None
        heads = "".join(re.findall(r"^import\s[^\n]*\n", code, re.M))
        body = inside if inside is not None else re.sub(r"^import\s[^\n]*\n", "", code, flags=re.M)
        code = f"{heads}class {name} {{\n{body}\n}}\n"
    return _with_lines(code, prompt, r"^import\s[^\n]*;")


def _csharp(code: str, prompt: str, entry_point: str, test: str) -> str:
    """Put the inside of the function's class where the prompt's class stands open."""
    usings = re.findall(r"^using\s[^\n(]*;", code, re.M)
    place = re.search(rf"\b{re.escape(entry_point)}\s*\(", code)
    inside = around(code, place.start(), r"\bclass\s+\w+") if place else None
    body = inside if inside is not None else re.sub(r"^using\s[^\n(]*;", "", code, flags=re.M)
    body = without(
        body, r"^[ \t]*(?:public\s+|private\s+)?static\s+(?:void|int)\s+Main\s*\([^)]*\)"
    )
    head = re.match(r".*?\bclass\s+\w+[^{]*\{", prompt, re.S)
    opened = head[0] if head else prompt
    more = [line for line in usings if line not in prompt]
    return "\n".join([*more, f"{opened}\n{body}"])


def _scala(code: str, prompt: str, entry_point: str, test: str) -> str:
    place = re.search(rf"\bdef\s+{re.escape(entry_point)}\b", code)
    inside = around(code, place.start(), r"\bobject\s+\w+") if place else None
    body = inside if inside is not None else code
    imports = re.findall(r"^import\s[^\n]*", code, re.M) if inside is not None else []
    body = without(body, r"^[ \t]*def\s+main\s*\([^)]*\)[^{=]*=")
    head = re.match(r".*?\bobject\s+\w+[^{]*\{", prompt, re.S)
    return "\n".join([*imports, f"{head[0] if head else prompt}\n{body}"])


def _kotlin(code: str, prompt: str, entry_point: str, test: str) -> str:
    return without(code, r"^fun\s+main\s*\([^)]*\)[^{=]*")


def _cpp(code: str, prompt: str, entry_point: str, test: str) -> str:
    code = without(code, r"^(?:int|auto|void)\s+main\s*\([^)]*\)[^{;]*")
    return _with_lines(code, prompt, r"^(?:#include\s*[<\"][^\n]*|using\s+namespace\s[^\n]*;)")


def _with_lines(code: str, prompt: str, pattern: str) -> str:
    """Return the code behind those lines of the prompt that it lacks."""
    lines = re.findall(pattern, prompt, re.M)
    had = {re.sub(r"\s", "", line) for line in re.findall(pattern, code, re.M)}
    return "".join(f"{line}\n" for line in lines if re.sub(r"\s", "", line) not in had) + code


_WHOLE: Final[Mapping[str, Callable[[str, str, str, str], str]]] = {
    "cpp": _cpp,
    "csharp": _csharp,
    "go": _go,
    "java": _java,
    "kotlin": _kotlin,
    "php": _php,
    "scala": _scala,
}
