"""What a file is like beside its quality: how much of it is comment, what it imports.

Seeds of high-quality data shall differ in these (paper, section 2.2.5), and files rated high
without a comment are its hard negatives. Read off the text by the marks of its language, not
parsed: a comment mark inside an unusual literal is taken for what it looks like.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

# Bounded, and comments that nobody closes go on to the end: so no text takes long.
_STRING: Final = r'"(?:[^"\\\n]|\\.){0,400}"|\'(?:[^\'\\\n]|\\.){0,400}\''
_PYTHON_DOC: Final = r'(?m:^[ \t]*)[rRuU]?(?:"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\')'
_PYTHON_STRING: Final = r'"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'|' + _STRING
_SLASHES: Final = r"//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)"
_SLASH: Final = (
    "c", "c++", "c#", "java", "javascript", "typescript", "go", "rust", "kotlin", "scala", "swift",
    "dart", "php", "groovy", "css", "cuda", "solidity", "protocol buffer", "thrift", "zig", "glsl",
    "objective-c", "systemverilog", "verilog", "stan", "cpp", "csharp",
)  # fmt: skip
_HASH: Final = (
    "shell", "ruby", "perl", "r", "julia", "makefile", "cmake", "dockerfile", "yaml", "tcl",
    "coffeescript", "elixir", "awk", "powershell", "tcsh", "toml",
)  # fmt: skip
_DASH: Final = ("sql", "haskell", "lua", "ada", "elm", "vhdl", "agda", "applescript")
_OTHER: Final = {
    "python": (f"{_PYTHON_DOC}|#[^\n]*", _PYTHON_STRING),
    "ocaml": (r"\(\*[\s\S]*?(?:\*\)|\Z)", _STRING),
    "f#": (r"\(\*[\s\S]*?(?:\*\)|\Z)|//[^\n]*", _STRING),
    "html": (r"<!--[\s\S]*?(?:-->|\Z)", r"(?!)"),
    "xslt": (r"<!--[\s\S]*?(?:-->|\Z)", r"(?!)"),
    "tex": (r"(?<!\\)%[^\n]*", r"(?!)"),
    "matlab": (r"%[^\n]*", _STRING),
    "erlang": (r"%[^\n]*", _STRING),
    "prolog": (r"%[^\n]*", _STRING),
    **dict.fromkeys(
        ("common lisp", "emacs lisp", "scheme", "clojure", "racket"),
        (r";[^\n]*", r'"(?:[^"\\]|\\.){0,2000}"'),
    ),
    "fortran": (r"![^\n]*", _STRING),
    "assembly": (r"[;#][^\n]*", _STRING),
}  # fmt: skip
_KNOWN: Final = {
    **dict.fromkeys(_SLASH, (_SLASHES, r"`[^`]*`|" + _STRING)),
    **dict.fromkeys(_HASH, (r"(?<![\w$&{\\])#[^\n]*", _STRING)),
    **dict.fromkeys(_DASH, (r"--[^\n]*|/\*[\s\S]*?(?:\*/|\Z)|\{-[\s\S]*?(?:-\}|\Z)", _STRING)),
    **_OTHER,
}
_SCANS: Final = {
    name: re.compile(rf"(?P<c>{comment})|{string}|\\.")
    for name, (comment, string) in _KNOWN.items()
}
_JS: Final = re.compile(r"""(?:\bfrom\s*|\bimport\s*|\brequire\s*\(\s*)["']([^"'\n]{1,100})["']""")
_IMPORTS: Final = {
    "python": re.compile(r"^[ \t]*(?:from|import)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE),
    "java": re.compile(r"^import[ \t]+(?:static[ \t]+)?([\w.]+?)(?:\.\*)?;", re.MULTILINE),
    "kotlin": re.compile(r"^import[ \t]+([\w.]+)", re.MULTILINE),
    "scala": re.compile(r"^[ \t]*import[ \t]+([\w.]+)", re.MULTILINE),
    "javascript": _JS,
    "typescript": _JS,
    **dict.fromkeys(
        ("c", "c++", "cuda", "cpp"),
        re.compile(r"^[ \t]*#[ \t]*include[ \t]*[<\"]([^>\"\n]+)", re.MULTILINE),
    ),
    "go": re.compile(r'^(?:import[ \t]+|[ \t]+)(?:\w+[ \t]+)?"([\w./-]+)"[ \t]*$', re.MULTILINE),
    "rust": re.compile(r"^[ \t]*(?:pub[ \t]+)?use[ \t]+([\w:]+)", re.MULTILINE),
    "c#": re.compile(r"^[ \t]*using[ \t]+([\w.]+);", re.MULTILINE),
    "ruby": re.compile(r"^[ \t]*require(?:_relative)?[ \t(]+[\"']([^\"'\n]+)", re.MULTILINE),
    "php": re.compile(r"^[ \t]*use[ \t]+([\w\\]+)", re.MULTILINE),
    "perl": re.compile(r"^[ \t]*use[ \t]+([A-Z][\w:]*)", re.MULTILINE),
    "r": re.compile(r"\b(?:library|require)\(\s*[\"']?([\w.]+)"),
    "julia": re.compile(r"^[ \t]*(?:using|import)[ \t]+([\w.]+)", re.MULTILINE),
    "swift": re.compile(r"^import[ \t]+(\w+)", re.MULTILINE),
    "haskell": re.compile(r"^import[ \t]+(?:qualified[ \t]+)?([\w.]+)", re.MULTILINE),
}  # fmt: skip
_LEVELS: Final = {"java": 2, "kotlin": 2, "scala": 2, "c#": 1}  # of a dotted name that say whose
_MOST_IMPORTS: Final = 50
_SPACE: Final = re.compile(r"\s+")


class Traits:
    """The step. Columns: comments, the share of characters in comments and docstrings, white space
    not counted (null for a language whose marks are not known); documented (there is any); imports,
    the packages, each once, the most common names first as they come."""

    name = "traits"
    version = 1
    reads = ("text", "language")

    def schema(self) -> pa.Schema:
        """Return comments, documented, imports."""
        return pa.schema(
            [
                ("comments", pa.float64()),
                ("documented", pa.bool_()),
                ("imports", pa.list_(pa.string())),
            ]
        )

    def settings(self) -> Mapping[str, Any]:
        """There are none."""
        return {}

    def compute(self, table: pa.Table) -> pa.Table:
        """Look at each text."""
        texts = table.column("text").to_pylist()
        languages = [language.lower() for language in table.column("language").to_pylist()]
        shares = [comments_of(text, one) for text, one in zip(texts, languages, strict=True)]
        return pa.table(
            {
                "comments": pa.array(shares, pa.float64()),
                "documented": pa.array([None if one is None else one > 0 for one in shares]),
                "imports": pa.array(
                    [imports_of(text, one) for text, one in zip(texts, languages, strict=True)],
                    pa.list_(pa.string()),
                ),
            },
            schema=self.schema(),
        )


def traits() -> Traits:
    """Return the step."""
    return Traits()


def comments_of(text: str, language: str) -> float | None:
    """Return the share of a text's characters in comments, None where its marks are not known."""
    scan = _SCANS.get(language)
    if scan is None:
        return None
    total = len(_SPACE.sub("", text))
    found = sum(len(_SPACE.sub("", m["c"])) for m in scan.finditer(text) if m["c"] is not None)
    return min(1.0, found / total) if total else 0.0


def imports_of(text: str, language: str) -> list[str]:
    """Return the packages that a text imports, each once, in order."""
    pattern = _IMPORTS.get(language)
    if pattern is None:
        return []
    names = (_package(match[1], language) for match in pattern.finditer(text))
    return list(dict.fromkeys(name for name in names if name))[:_MOST_IMPORTS]


def _package(name: str, language: str) -> str:
    if language in ("javascript", "typescript"):
        if name.startswith("."):
            return ""
        return "/".join(name.split("/")[: 2 if name.startswith("@") else 1])
    if language in ("c", "c++", "cuda", "cpp", "ruby"):
        return name.split("/")[0] if "/" in name else name
    if language == "go":
        parts = name.split("/")
        return "/".join(parts[:3]) if "." in parts[0] else name
    separator = "::" if "::" in name else "\\" if "\\" in name else "."
    return ".".join(name.strip(separator).split(separator)[: _LEVELS.get(language, 1)])
