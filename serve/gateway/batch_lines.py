"""The lines of a batch's input, looked at before any is asked.

A line that cannot be asked does not fail its batch: it goes into the file of errors, with its
number and what is wrong with it. A batch without a good line fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from serve.gateway.file_store import disk

LINES_MOST = 500_000  # ours; OpenAI's is 50,000
_CUSTOM_ID_MOST = 512  # ours
_METHOD = "POST"


@dataclass(frozen=True, slots=True)
class Line:
    """A good line: where it lies in the file. number: from 1."""

    number: int
    offset_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be asked. code, message, param: as in OpenAI's errors of a batch."""

    number: int
    custom_id: str | None
    code: str
    message: str
    param: str | None = None

    def to_error(self) -> dict[str, Any]:
        """Return it as an error of a batch."""
        return {
            "code": self.code,
            "line": self.number,
            "message": self.message,
            "param": self.param,
        }


@dataclass(slots=True)
class Lines:
    """The lines of a file. model: of all good ones; None where they name several."""

    good: list[Line]
    bad: list[BadLine]
    model: str | None = None


class WrongLine(Exception):
    """What is wrong with a line."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


def look_at(path: Path, endpoint: str, *, line_most_bytes: int) -> Lines:
    """Look at every line of a file; empty lines do not count.

    Raises WrongLine for too many lines, Fault 503 where the disk fails.
    """
    lines, seen, models = Lines([], []), set[str](), set[object]()
    for number, offset, data in _raw_lines(path, line_most_bytes):
        if len(lines.good) + len(lines.bad) >= LINES_MOST:
            raise WrongLine("too_many_lines", f"a batch may have {LINES_MOST} lines here")
        custom_id: str | None = None
        try:
            if data is None:
                raise WrongLine(
                    "line_too_large", f"a line may have {line_most_bytes >> 20} MiB here"
                )
            row = _object(data)
            custom_id = _custom_id(row)
            check(row, endpoint)
            if custom_id in seen:
                raise WrongLine(
                    "duplicate_custom_id", f"custom_id {custom_id!r} stands in an earlier line",
                    "custom_id",
                )  # fmt: skip
            seen.add(custom_id)
            lines.good.append(Line(number, offset, len(data)))
            model = row["body"].get("model")
            if len(models) < 2:
                models.add(model if isinstance(model, str) else None)
        except WrongLine as wrong:
            lines.bad.append(BadLine(number, custom_id, wrong.code, wrong.message, wrong.param))
    if len(models) == 1:
        (one,) = models
        lines.model = one if isinstance(one, str) else None
    return lines


def _raw_lines(path: Path, most_bytes: int) -> Iterator[tuple[int, int, bytes | None]]:
    """Yield number, offset, and bytes (None for too many) of lines that are not empty."""
    number, offset = 0, 0
    with disk(path), path.open("rb") as file:
        while data := file.readline(most_bytes + 1):
            number += 1
            begin, is_long = offset, len(data) > most_bytes
            offset += len(data)
            while is_long and not data.endswith(b"\n"):
                data = file.readline(most_bytes)
                offset += len(data)
                if not data:
                    break
            if is_long:
                yield number, begin, None
            elif data.strip():
                yield number, begin, data


def _object(data: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise WrongLine("invalid_json_line", f"this line is no JSON: {error}"[:300]) from None
    if not isinstance(row, dict):
        raise WrongLine("invalid_json_line", "this line is no JSON object")
    return row


def _custom_id(row: dict[str, Any]) -> str:
    found = row.get("custom_id")
    if not isinstance(found, str) or not 1 <= len(found) <= _CUSTOM_ID_MOST:
        raise WrongLine(
            "missing_custom_id",
            f"custom_id must be a string of 1 to {_CUSTOM_ID_MOST} characters",
            "custom_id",
        )
    return found


def check(row: dict[str, Any], endpoint: str) -> None:
    """Raise WrongLine for a row that does not ask the batch's endpoint for something."""
    if row.get("method") != _METHOD:
        raise WrongLine("invalid_method", f"method must be POST, got {_short(row.get('method'))}",
                        "method")  # fmt: skip
    if row.get("url") != endpoint:
        raise WrongLine(
            "mismatched_url",
            f"url must be the batch's endpoint {endpoint}, got {_short(row.get('url'))}",
            "url",
        )
    if not isinstance(row.get("body"), dict):
        raise WrongLine("invalid_body", "body must be an object", "body")
    if row["body"].get("stream"):
        raise WrongLine("stream_in_batch", "a line of a batch cannot be streamed", "body.stream")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
