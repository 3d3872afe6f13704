"""The layers of a recipe: a file, the files under it, the command line; and who said what."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seedcoder.errors import RecipeError

BASE = "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """The merged data of a recipe.

    data: tables as dicts, as TOML gave them, without `base`.
    sources: for each value and table, by its path of keys, the file or "--set a.b=1" that had the
        last word on it.
    file: the recipe itself.
    """

    file: Path
    data: dict[str, Any] = field(default_factory=dict)
    sources: dict[tuple[str, ...], str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, overrides: Sequence[str]) -> Layers:
        """Return the layers of `path` under `overrides`; RecipeError as `load_recipe` has it."""
        layers = cls(file=path)
        for file, data in reversed(_chain(path)):
            layers._put(data, str(file))
        for override in overrides:
            layers._put(_override(override), f"--set {override}")
        return layers

    def source_of(self, path: Sequence[object]) -> str:
        """Return who said the value at `path`, or the nearest table above it."""
        keys = tuple(str(key) for key in path)
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.sources:
                return self.sources[keys[:length]]
        return str(self.file)

    def _put(self, data: Mapping[str, Any], source: str) -> None:
        self._merge(self.data, data, source, ())

    def _merge(
        self, below: dict[str, Any], above: Mapping[str, Any], source: str, at: tuple[str, ...]
    ) -> None:
        for key, value in above.items():
            path = (*at, key)
            self.sources[path] = source
            if isinstance(value, dict):
                under = below.get(key)
                below[key] = dict(under) if isinstance(under, dict) else {}
                self._merge(below[key], value, source, path)
            else:
                below[key] = value


def overrides(texts: Sequence[str]) -> dict[str, Any]:
    """Return what "a.b=1" and its like say together; RecipeError for one that says nothing."""
    layers = Layers(file=Path())
    for text in texts:
        layers._put(_override(text), text)
    return layers.data


def _chain(path: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Return the file, its base, the base of that and so on, each with its data."""
    chain: list[tuple[Path, dict[str, Any]]] = []
    seen: list[Path] = []
    file, asked_by = path, ""
    while True:
        data = _read(file, asked_by)
        real = file.resolve()
        if real in seen:
            ring = " -> ".join(str(inner) for inner, _ in chain)
            raise RecipeError(f"{path}: the bases run in a circle: {ring} -> {file}")
        seen.append(real)
        base = data.pop(BASE, None)
        chain.append((file, data))
        if base is None:
            return chain
        if not isinstance(base, str) or not base:
            raise RecipeError(f"{file}: base must be the path of a recipe, got {base!r}")
        file, asked_by = Path(os.path.normpath(file.parent / base)), str(file)


def _read(file: Path, asked_by: str) -> dict[str, Any]:
    named = f"{asked_by}: base {str(file)!r}" if asked_by else f"recipe {str(file)!r}"
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise RecipeError(f"{named} does not exist{_alike(file)}") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RecipeError(f"{named} cannot be read: {said}") from None
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RecipeError(f"{file}: not UTF-8 at line {line}; TOML must be") from None
    except RecursionError:
        raise RecipeError(f"{file}: not TOML: nested too deep") from None
    except ValueError as error:  # also a whole number of thousands of digits
        raise RecipeError(f"{file}: not TOML: {error}") from None


def _alike(file: Path) -> str:
    try:
        names = [other.name for other in file.parent.iterdir() if other.suffix == ".toml"]
    except OSError:
        return f" (nor can its folder {str(file.parent)!r} be read)"
    close = difflib.get_close_matches(file.name, names, n=1)
    if not close:
        # "demo" for demo.toml is too far off for the measure above.
        close = [name for name in names if name == f"{file.name}.toml"]
    return f"; did you mean {str(file.parent / close[0])!r}?" if close else ""


def _override(text: str) -> dict[str, Any]:
    """Return "a.b=1" as {"a": {"b": 1}}."""
    if "=" not in text:
        raise RecipeError(f"--set {text}: no '='; write --set table.key=value")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        said = text.encode("utf-8", "backslashreplace").decode()
        raise RecipeError(f"--set {said}: not UTF-8") from None
    path, value = _split(text)
    if not path:
        key = text.partition("=")[0].strip()
        raise RecipeError(f"--set {text}: {key!r} is no key; write --set table.key=value")
    if path[0] == BASE:
        raise RecipeError(f"--set {text}: base is read from the file only")
    data: Any = _value(value)
    for part in reversed(path):
        data = {part: data}
    return dict(data)


def _split(text: str) -> tuple[list[str], str]:
    """Return the key's parts and the value, parted at the first = that is not inside quotes."""
    at = text.find("=")
    while at >= 0:
        path = _key_path(text[:at])
        if path:
            return path, text[at + 1 :]
        at = text.find("=", at + 1)
    return [], ""


def _key_path(key: str) -> list[str]:
    """Return the parts of a dotted key as TOML reads it; nothing where it is none."""
    if "\n" in key or "\r" in key:  # a comment, and a key of another line under it
        return []
    try:
        parsed: Any = tomllib.loads(f"{key} = 0")
    except (ValueError, RecursionError):
        return []
    path = []
    while isinstance(parsed, dict) and len(parsed) == 1:
        (part, parsed), *_ = parsed.items()
        path.append(part)
    return path


def _value(value: str) -> Any:
    bare = value.strip()
    # A bare word with a # in it is a word ("openai:http://host/v1#name"), not one with a comment.
    if "#" in bare and bare[0] not in "\"'[{":
        return bare
    try:
        parsed = tomllib.loads(f"x = {bare}")
    except (ValueError, RecursionError):
        return bare
    # A line break can smuggle in a second key; then it was no one value.
    return parsed["x"] if set(parsed) == {"x"} else bare
