"""What goes into a stage, and what it comes to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from seedcoder.errors import UsageError

if TYPE_CHECKING:
    from curate.instruct.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to work on. key: its own among the stage's; without "/" and "#"."""

    key: str
    data: Mapping[str, Any]

    @property
    def task(self) -> str:
        """What the user asks: the last user message, or the prompt."""
        told = self.data.get("messages") or self.data.get("prompt")
        if isinstance(told, str):
            return told
        asked = [x["content"] for x in told or () if x["role"] == "user"]
        return str(asked[-1]) if asked else ""

    @property
    def reply(self) -> str:
        """The last assistant message, "" where there is none."""
        said = [x["content"] for x in self.data.get("messages") or () if x["role"] == "assistant"]
        return str(said[-1]) if said else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What an item came to: rows to write, or the reason for none.

    reason: the same words for the same cause. facts: numbers to add up in the manifest.
    """

    key: str
    rows: tuple[Mapping[str, Any], ...] = ()
    reason: str = ""
    facts: Mapping[str, int] = field(default_factory=dict)


class Stage(Protocol):
    """What a stage does with items. An item that is not settled was lost to a failure of ours."""

    def settle(self, items: Sequence[Item], desk: Desk) -> Iterator[Settled]:
        """Yield each item's end, in any order."""
        ...


def read_items(path: Path) -> list[Item]:
    """Return the rows of a file of JSON lines as items.

    A row without a key is named by the digest of its content. UsageError, naming the line, for
    what is no row with `messages` or `prompt`, or has a key that an earlier one has.
    """
    items: dict[str, Item] = {}
    for place, row in json_lines(path):
        messages, prompt = row.get("messages"), row.get("prompt")
        told = messages if messages is not None else prompt
        if not (isinstance(told, str) and told) and not _are_messages(told):
            raise UsageError(f"{place}: want messages (a list of role and content) or a prompt")
        key = key_of_row(row, place)
        if key in items:
            raise UsageError(f"{place}: a second row with the key {key!r}")
        items[key] = Item(key=key, data={**row, "key": key})
    return list(items.values())


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file:line, object) of a file of JSON lines. UsageError for what is none."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise UsageError(f"{path}:{number}: no JSON object")
                yield f"{path}:{number}", row
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise UsageError(f"{path}: not JSON lines in UTF-8: {error}") from None


def key_of_row(row: Mapping[str, Any], place: str) -> str:
    """Return the row's key, or a digest of it. UsageError for a key that cannot be used."""
    key = row.get("key")
    if key is None:
        text = json.dumps(row, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    if not isinstance(key, str) or not key or any(mark in key for mark in "/# "):
        raise UsageError(f"{place}: a key is a string without '/', '#' and blanks, got {key!r}")
    return key


def _are_messages(told: Any) -> bool:
    return (
        isinstance(told, list)
        and bool(told)
        and all(
            isinstance(x, dict)
            and x.get("role") in ("system", "user", "assistant")
            and isinstance(x.get("content"), str)
            for x in told
        )
    )
