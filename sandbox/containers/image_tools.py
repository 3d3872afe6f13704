"""Which tools of languages an image has: asked in a container of it."""

from __future__ import annotations

from collections.abc import Callable

from sandbox import installed
from sandbox.languages import LANGUAGES

_MODULES = ("/usr/share/nodejs", "/usr/lib/node_modules", "/usr/local/lib/node_modules")
Where = Callable[[tuple[str, ...]], dict[str, str]]


def of(language: str, identity: str, where: Where) -> installed.Tools:
    """Return a language's tools in an image. Raises installed.Missing.

    identity: of the image. where: tells of names and absolute paths where they are in it, or "".
    """
    known = LANGUAGES[language]
    words = list(dict.fromkeys([*(command[0] for command in known.commands), *known.tools]))
    names = {word: known.tools.get(word, (word,)) for word in words}
    wanted = [name for several in names.values() for name in several]
    # A folder of modules serves when it has the language's own; their types may come with it.
    wanted += [f"{place}/{known.modules[0]}" for place in _MODULES if known.modules]
    found = where(tuple(dict.fromkeys(wanted)))
    paths = {}
    for word, several in names.items():
        path = next((found[name] for name in several if found.get(name)), "")
        if not path:
            raise installed.Missing(f"no {' or '.join(several)}")
        paths[word] = path
    modules = ""
    if known.modules:
        there = [x for x in _MODULES if found.get(f"{x}/{known.modules[0]}")]
        if not there:
            raise installed.Missing(f"no Node module {known.modules[0]}")
        modules = there[0]
    listed = " ".join(f"{word}={path}" for word, path in sorted(paths.items()))
    return installed.Tools(
        paths=paths, modules=modules, trees=(), identity=f"{identity} {modules} {listed}"
    )
