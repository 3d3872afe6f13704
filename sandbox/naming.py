"""What a program's own text says of its file and of its main class.

Read off the words of the text, not parsed: a program that misleads this does not compile or start,
which harms nobody but itself. One pass, for the text may be large and hostile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Names(NamedTuple):
    """file: in the work folder. main: the class that a virtual machine starts with."""

    file: str
    main: str


# Comments and literals, which may be left open at the end of the text.
_NOISE = re.compile(
    r'//[^\n]*|/\*.*?(?:\*/|\Z)|"""(?:\\.|.)*?(?:"""|\Z)|"(?:\\.|[^"\\\n])*"?'
    r"|'(?:\\.[^'\n]{0,6}|[^'\\\n])'",
    re.DOTALL,
)
_WORD = re.compile(r"\w+|[^\w\s]")
_JS_MODULE = re.compile(r"^[ \t]*(?:import\b[ \t]*[\w{*'\"]|export[ \t]+\w)", re.MULTILINE)
_JAVA_TYPES = frozenset({"class", "enum", "record", "interface"})
_LONGEST_NAME = 200  # a file's name may have 255 bytes


def _words(source: str) -> Iterator[str]:
    """Yield words and signs, without comments and literals."""
    yield from (match[0] for match in _WORD.finditer(_NOISE.sub(" ", source)))


def java(source: str) -> Names:
    """The public type names the file; the outermost type that holds `main` is started."""
    depth, public, package, main = 0, "", "", ""
    first = current = before = last = ""
    is_public = reading_package = False
    for word in _words(source):
        if word in "{}":
            depth += 1 if word == "{" else -1
        if reading_package:
            reading_package = word != ";"
            package += word if reading_package else ""
        elif depth == 0 and word == "package" and not first:
            reading_package = True
        elif depth == 0 and last in _JAVA_TYPES and word.isidentifier():
            current, first = word[:_LONGEST_NAME], first or word[:_LONGEST_NAME]
            public = public or (current if is_public else "")
        elif word == "(" and last == "main" and before == "void":
            main = main or current
        if depth == 0:
            is_public = word == "public" or (is_public and word not in "};")
        before, last = last, word
    main = main or public or first or "Main"
    return Names(file=f"{public or main}.java", main=f"{package}.{main}" if package else main)


def javascript(source: str) -> Names:
    """A text that imports or exports is a module; Node tells modules by the file's name."""
    is_module = _JS_MODULE.search(source) and "require(" not in source
    return Names(file="main.mjs" if is_module else "main.js", main="main")


def scala(source: str) -> Names:
    """The first object that can be started."""
    current = before = last = ""
    for word in _words(source):
        if last == "object" and word.isidentifier():
            current = word
        elif (word == "App" and current) or (word == "main" and last == "def" and current):
            return Names(file="main.scala", main=current)
        elif last == "def" and before == "main":  # @main def NAME
            return Names(file="main.scala", main=word)
        before, last = last, word
    return Names(file="main.scala", main="Main")
