"""A document, and what is decided of it: the types of curate/ that cross rooms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text as it came.

    key: its own and for ever: the SHA-256, in hex, of source, repo and path (32 digits of it).
    language: as `curate.languages` names it ("python"), "" where that is unknown. repo: whose it
    is, "" for none. licence: an SPDX expression where one was found. meta: plain data.
    """

    key: str
    text: str
    language: str = ""
    path: str = ""
    repo: str = ""
    licence: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "meta": dict(self.meta)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Document:
        """Return the document that `to_json` wrote."""
        return cls(**data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one step says of one document. reason: in a few words that are the same for the same
    cause, so that they can be counted. value: the number behind it, where there is one."""

    key: str
    step: str
    keep: bool
    reason: str = ""
    value: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `json.dumps`."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Decision:
        """Return the decision that `to_json` wrote."""
        return cls(**data)
