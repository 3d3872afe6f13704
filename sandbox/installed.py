"""Which tools of languages this machine has, where they really are, and what of it a box must show.

Only trusted things are started here: the tools themselves, to ask for their version.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sandbox.language import Language
from sandbox.languages import LANGUAGES

# Where tools are installed that are often not on the PATH of a service; patterns below the home.
_PLACES = (
    "~/.cargo/bin", "/usr/local/go/bin", "/usr/local/bin", "/opt/*/bin", "~/.ghcup/bin",
    "~/.sdkman/candidates/*/current/bin", "/usr/bin", "/bin",
)  # fmt: skip
# Too wide to be shown for the sake of one tool that lies in their `bin`.
_WIDE = ("/", "/usr", "/usr/local", "/opt", "~", "~/.local")
_MODULES = (
    "{checkout}/.cache/node/node_modules", "/usr/local/lib/node_modules", "/usr/lib/node_modules",
    "/usr/share/nodejs",
)  # fmt: skip
_ASK_S = 30.0
_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.-]*|\d+\b")
_QUIET = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """A language's tools on this machine.

    paths: by the word that a command has for them. modules: the folder of Node's modules, or "".
    trees: folders and files that a box must show beside the system's own.
    identity: changes when a tool does. A script that starts a compiler elsewhere (ghc, mcs) stands
        for it: its package replaces both.
    """

    paths: Mapping[str, str]
    modules: str
    trees: tuple[str, ...]
    identity: str


class Missing(LookupError):
    """A tool is not on this machine."""


def tools(language: str) -> Tools:
    """Return where the tools of a language are. Raises Missing, with the first that is not there.

    Looked for once for each value of PATH.
    """
    found = _tools(language, os.environ.get("PATH", os.defpath), str(Path("~").expanduser()))
    if isinstance(found, str):
        raise Missing(found)
    return found


@functools.cache
def _tools(name: str, path: str, home: str) -> Tools | str:
    language = LANGUAGES[name]
    paths, trees = {}, set()
    for word in _wanted(language):
        real = _find(language.tools.get(word, (word,)), path, home)
        if not real:
            return f"no {' or '.join(language.tools.get(word, (word,)))}"
        paths[word] = real
        trees |= _tree(real, home)
    modules = _modules(language, path) if language.modules else ""
    if modules is None:
        return f"no Node module {language.modules[0]}"
    trees |= {f"{modules}/{module}" for module in language.modules if _exists(modules, module)}
    for pattern in language.configuration:
        trees |= set(_matching(pattern))
    files = [*paths.values(), *(f"{modules}/{module}" for module in language.modules)]
    return Tools(
        paths=paths,
        modules=modules,
        trees=tuple(sorted(trees)),
        identity=" ".join(map(_stamp, files)),
    )


def _wanted(language: Language) -> list[str]:
    """Return the tools that a language's commands begin with, and those that these call."""
    words = [command[0] for command in language.commands]
    return list(dict.fromkeys([*words, *language.tools]))


def _matching(pattern: str) -> list[str]:
    return sorted(map(str, Path("/").glob(pattern.lstrip("/"))))


def _exists(folder: str, name: str) -> bool:
    return Path(folder, name).exists()


def _stamp(path: str) -> str:
    try:
        seen = Path(path).stat()
    except FileNotFoundError:
        return f"{path}:absent"
    return f"{path}:{seen.st_mtime_ns}:{seen.st_size}"


def _find(names: tuple[str, ...], path: str, home: str) -> str:
    """Return the best tool of these names, where it really is; "" where there is none."""
    folders = path.split(os.pathsep)
    for place in _PLACES:
        folders += _matching(place.replace("~", home, 1))
    # A version manager's shim is a script that costs more than the tool and needs its home folder.
    wanted = os.pathsep.join(folder for folder in folders if Path(folder).name != "shims")
    for name in names:
        found = shutil.which(name, path=wanted)
        if found:
            return _real(found)
    return ""


def _real(path: str) -> str:
    """Return where a tool is: behind rustup's shim (it costs 90 ms a start), behind Debian's links.

    Other links are kept, for some tools look at their name (clang++).
    """
    resolved = Path(os.path.realpath(path))
    if resolved.name == "rustup":
        done = subprocess.run(
            [path, "--print", "sysroot"], capture_output=True, text=True, timeout=_ASK_S
        )
        real = Path(done.stdout.strip(), "bin", Path(path).name)
        return str(real) if done.returncode == 0 and real.is_file() else ""
    while Path(path).is_symlink():
        target = Path(path).parent / Path(path).readlink()
        if "/etc/alternatives" not in (str(target.parent), str(Path(path).parent)):
            break
        path = str(target)
    return path if resolved.is_relative_to("/usr") and path.startswith("/usr/") else str(resolved)


def _tree(tool: str, home: str) -> set[str]:
    """Return what must be shown for a tool; nothing for those of the system."""
    path = Path(tool)
    if path.is_relative_to("/usr") and not path.is_relative_to("/usr/local"):
        return set()
    root = path.parent.parent if path.parent.name == "bin" else path.parent
    wide = {Path(place.replace("~", home, 1)) for place in _WIDE}
    return {str(path if root in wide or root in Path(home).parents else root)}


def _modules(language: Language, path: str) -> str | None:
    """Return the folder that holds the first of a language's Node modules, or None."""
    checkout = str(Path(__file__).resolve().parent.parent)
    places = [place.format(checkout=checkout) for place in _MODULES]
    command = shutil.which("tsc", path=path)
    if command:  # FOLDER/typescript/bin/tsc
        places.insert(0, str(Path(os.path.realpath(command)).parents[2]))
    return next((place for place in places if _exists(place, language.modules[0])), None)


def there() -> tuple[str, ...]:
    """Return the languages whose tools are all on this machine."""
    found = []
    for name in LANGUAGES:
        try:
            tools(name)
        except Missing:
            continue
        found.append(name)
    return tuple(found)


def versions() -> dict[str, tuple[bool, str]]:
    """Return, for every language, whether its tools are there, and their version."""
    with ThreadPoolExecutor(8) as threads:
        return dict(zip(LANGUAGES, threads.map(_version, LANGUAGES), strict=True))


def _version(name: str) -> tuple[bool, str]:
    if name == "python":
        return True, platform.python_version()
    try:
        found = tools(name)
    except Missing:
        return False, ""
    return True, _asked(LANGUAGES[name].version, found)


@functools.lru_cache(maxsize=64)
def _ask(command: tuple[str, ...], identity: str) -> str:
    """Return the version that a command prints; asked again where the tools' `identity` changed."""
    environment = {**_QUIET, "PATH": f"{Path(command[0]).parent}:{_QUIET['PATH']}"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_ASK_S,
            stdin=subprocess.DEVNULL, env=environment, cwd="/",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown ({type(error).__name__})"
    match = _VERSION.search(done.stdout + done.stderr)
    return match[0].rstrip(".") if match else "unknown"


def _asked(template: str, found: Tools) -> str:
    word, *rest = template.split()
    real = found.paths.get(word, word)
    arguments = [part.replace("{modules}", found.modules) for part in rest]
    return _ask((real, *arguments), found.identity)
