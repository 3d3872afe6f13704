"""What is known of one batch, on the disk and as OpenAI shows it.

FOLDER/batches/batch_0123.../batch.json    this, written whole at each change
                             input.jsonl   a link to the uploaded file
                             output.jsonl  answers, appended as they come
                             errors.jsonl  lines that got none, the same way
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from serve.fault import Fault
from serve.gateway.file_store import BATCH_STAYS_S, disk, write_whole
from serve.gateway.files import check_stay

log = logging.getLogger(__name__)

Status = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling",
    "cancelled",
]  # fmt: skip
ENDED: tuple[Status, ...] = ("failed", "completed", "expired", "cancelled")
ENDPOINTS = (
    "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages",
    "/v1/fim/completions",
)  # fmt: skip
_ID = re.compile(r"batch_[0-9a-f]{24}")
_WINDOW = re.compile(r"(\d{1,7})([smhd])")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WINDOW_MOST_S = 30 * 86400  # ours; OpenAI's only one is 24h
_METADATA_MOST, _KEY_MOST, _VALUE_MOST = 16, 64, 512  # OpenAI's


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """One batch. owner: the id of a key, "" for none. Times in seconds since 1970.

    times: from a status to when it was reached. total, completed, failed: lines. errors: why the
    whole batch failed. tokens: used by its lines: input, output, reasoning, cached. ends: the
    status it is on its way to, once all is asked. kept_id, kept_error_id: of the files that its
    rows become then.
    """

    id: str
    owner: str
    endpoint: str
    input_file_id: str
    window: str
    created_at_s: float
    expires_at_s: float
    stays_s: float
    metadata: dict[str, str] | None = None
    status: Status = "validating"
    times: dict[str, float] = field(default_factory=dict)
    total: int = 0
    completed: int = 0
    failed: int = 0
    model: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)
    ends: Status | None = None
    kept_id: str | None = None
    kept_error_id: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED

    @property
    def is_over(self) -> bool:
        """Whether its window is over."""
        return time.time() >= self.expires_at_s

    def at(self, status: Status) -> BatchRecord:
        """Return it in a new status, reached now."""
        return replace(self, status=status, times={**self.times, status: time.time()})

    def to_json(self) -> dict[str, Any]:
        """Return it as OpenAI shows a batch."""
        reached = {
            f"{status}_at": int(self.times[status]) if status in self.times else None
            for status in (
                "in_progress", "finalizing", "completed", "failed", "expired", "cancelling",
                "cancelled",
            )
        }  # fmt: skip
        shown = self.has_ended
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "model": self.model,
            "errors": {"object": "list", "data": self.errors} if self.errors else None,
            "input_file_id": self.input_file_id,
            "completion_window": self.window,
            "status": self.status,
            "output_file_id": self.kept_id if shown else None,
            "error_file_id": self.kept_error_id if shown else None,
            "created_at": int(self.created_at_s),
            "expires_at": int(self.expires_at_s),
            **reached,
            "request_counts": {
                "total": self.total,
                "completed": self.completed,
                "failed": self.failed,
            },
            "usage": self._usage(),
            "metadata": self.metadata,
        }

    def _usage(self) -> dict[str, Any]:
        counted = {name: self.tokens.get(name, 0) for name in TOKENS}
        return {
            "input_tokens": counted["input"],
            "input_tokens_details": {"cached_tokens": counted["cached"]},
            "output_tokens": counted["output"],
            "output_tokens_details": {"reasoning_tokens": counted["reasoning"]},
            "total_tokens": counted["input"] + counted["output"],
        }


TOKENS = ("input", "cached", "output", "reasoning")


def asked(body: Mapping[str, Any], owner: str) -> BatchRecord:
    """Return the batch that a request asks for. Raises Fault 400."""
    for name in body:
        if name not in (
            "input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after",
        ):  # fmt: skip
            raise Fault(400, f"a batch has no {name[:64]!r}", param=name[:64])
    for name in ("input_file_id", "endpoint", "completion_window"):
        if not isinstance(body.get(name), str):
            raise Fault(400, f"{name} must be a string", param=name)
    if body["endpoint"] not in ENDPOINTS:
        raise Fault(
            400,
            f"endpoint must be one of {', '.join(ENDPOINTS)}, got {body['endpoint'][:64]!r}",
            param="endpoint",
        )
    now_s = time.time()
    return BatchRecord(
        id=f"batch_{secrets.token_hex(12)}",
        owner=owner,
        endpoint=body["endpoint"],
        input_file_id=body["input_file_id"],
        window=body["completion_window"],
        created_at_s=now_s,
        expires_at_s=now_s + _window_s(body["completion_window"]),
        stays_s=_stays_s(body.get("output_expires_after")),
        metadata=_metadata(body.get("metadata")),
        times={"validating": now_s},
    )


def _window_s(said: str) -> float:
    match = _WINDOW.fullmatch(said)
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 1 <= seconds <= _WINDOW_MOST_S:
        raise Fault(
            400,
            f"completion_window must be a span as 24h, from 1s to 30d, got {said[:64]!r}",
            param="completion_window",
        )
    return float(seconds)


def _stays_s(said: object) -> float:
    if said is None:
        return BATCH_STAYS_S
    if not isinstance(said, dict):
        raise Fault(400, "output_expires_after must be an object", param="output_expires_after")
    return check_stay(said.get("anchor"), said.get("seconds"), "output_expires_after")


def _metadata(said: object) -> dict[str, str] | None:
    if said is None:
        return None
    if (
        not isinstance(said, dict)
        or len(said) > _METADATA_MOST
        or not all(isinstance(value, str) for value in said.values())
        or any(len(k) > _KEY_MOST or len(v) > _VALUE_MOST for k, v in said.items())
    ):
        raise Fault(
            400,
            f"metadata must be an object of at most {_METADATA_MOST} strings, keys up to"
            f" {_KEY_MOST} characters and values up to {_VALUE_MOST}",
            param="metadata",
        )
    return said


class BatchFolder:
    """The batches of one folder. The functions wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "batches"

    def of(self, batch_id: str) -> Path:
        """Return a batch's own folder."""
        return self.path / batch_id

    def write(self, record: BatchRecord) -> None:
        """Write a batch down. Raises Fault 503 where the disk fails."""
        with disk(self.path):
            folder = self.of(record.id)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(folder / "batch.json", asdict(record))

    def find(self, batch_id: str, owner: str) -> BatchRecord:
        """Return a batch. Raises Fault 404 where its owner has none of this id."""
        record = self._read(self.of(batch_id)) if _ID.fullmatch(batch_id) else None
        if record is None or record.owner != owner:
            raise no_batch(batch_id)
        return record

    def all(self) -> list[BatchRecord]:
        """Return every batch, the newest first."""
        with disk(self.path):
            found = [record for path in self.path.glob("batch_*") if (record := self._read(path))]
        return sorted(found, key=lambda one: (one.created_at_s, one.id), reverse=True)

    def _read(self, folder: Path) -> BatchRecord | None:
        with disk(self.path):
            try:
                return BatchRecord(**json.loads((folder / "batch.json").read_bytes()))
            except FileNotFoundError:
                return None
            except (ValueError, TypeError):
                log.error("this says nothing of a batch path=%s", folder)
                return None


def no_batch(batch_id: str) -> Fault:
    """Return the refusal for a batch that is not there."""
    return Fault(404, f"there is no batch {batch_id[:64]!r}", code="batch_not_found")
