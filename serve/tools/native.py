"""A model's tool calls as an engine parses them, gathered from the chunks of a stream."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """One call. arguments: JSON, as the model wrote it."""

    id: str
    name: str
    arguments: str

    def to_json(self) -> dict[str, Any]:
        """Return it as a message has it."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": function}


class Calls:
    """The calls of one reply, as they come."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[str, str]] = {}

    def take(self, delta: Mapping[str, Any]) -> bool:
        """Take what a delta says of calls; return whether it says anything."""
        said = delta.get("tool_calls")
        if not isinstance(said, list) or not said:
            return False
        for part in said:
            if not isinstance(part, Mapping):
                continue
            index = part.get("index")
            index = index if isinstance(index, int) else len(self._parts)
            kept = self._parts.setdefault(index, {"id": "", "name": "", "arguments": ""})
            function = part.get("function")
            function = function if isinstance(function, Mapping) else {}
            # An id and a name come whole; some engines send them again with each piece.
            kept["id"] = kept["id"] or str(part.get("id") or "")
            kept["name"] = kept["name"] or str(function.get("name") or "")
            kept["arguments"] += str(function.get("arguments") or "")
        return True

    def all(self) -> list[Called]:
        """Return the calls in order; one without an id gets one."""
        return [
            Called(
                id=part["id"] or f"call_{secrets.token_hex(8)}",
                name=part["name"],
                arguments=part["arguments"],
            )
            for _, part in sorted(self._parts.items())
        ]
