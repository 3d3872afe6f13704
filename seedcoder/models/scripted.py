"""A model that reads its answers from a file: for tests, and for replies made elsewhere.

It does not cut: the texts are taken as the replies that they are, whatever the sampling says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seedcoder.completion import Completion, Request, Sampling
from seedcoder.errors import UsageError


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    key: str
    n: int | None = Field(default=None, ge=0)
    text: str
    finish: Literal["stop", "length", "error"] = "stop"
    tokens: int = Field(default=0, ge=0)


class ScriptedModel:
    """Answers each request by its key. See `read_answers` for the file."""

    def __init__(self, path: Path) -> None:
        """Read the whole file. Raises UsageError, naming the line, where it cannot be used."""
        self._path = path
        self._answers = read_answers(path)

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self._path.stem

    def generate(
        self, requests: Iterable[Request], sampling: Sampling, n: int = 1
    ) -> Iterator[Completion]:
        """Yield the answers in the order of the requests; a missing one finishes as "error"."""
        for request in requests:
            for sample in range(n):
                row = self._answers.get((request.key, sample))
                row = row or self._answers.get((request.key, None))
                if row is None:
                    yield Completion(
                        key=request.key,
                        n=sample,
                        text="",
                        finish="error",
                        error=f"{self._path.name} has no answer for this key and sample",
                    )
                    continue
                yield Completion(
                    key=request.key,
                    n=sample,
                    text=row.text,
                    finish=row.finish,
                    tokens=row.tokens,
                    error="the script says so" if row.finish == "error" else None,
                )

    def close(self) -> None:
        """Nothing is held."""


def read_answers(path: Path) -> dict[tuple[str, int | None], _Row]:
    """Read JSON lines {"key", "text", "n"?, "finish"?, "tokens"?}; blank lines are skipped.

    A row without "n" answers every sample of its key that has no row of its own.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}") from error
    answers: dict[tuple[str, int | None], _Row] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _Row.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            what = f"{field}: {first['msg']}" if field else first["msg"]
            raise UsageError(f"{path}:{number}: {what}") from error
        if (row.key, row.n) in answers:
            raise UsageError(f"{path}:{number}: a second answer for key {row.key!r}, n {row.n}")
        answers[row.key, row.n] = row
    return answers
