"""Read the JUnit XML that a run left. What wrote it may have been anything.

Refuses: documents with a DOCTYPE or an entity (so nothing is ever expanded), truncated or nested
too deep, or with more tests than the cap. Its size was capped before it came here.
Does not know: whether pytest wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from xml.parsers import expat

_MOST_TESTS = 200_000
_MOST_DEPTH = 20
_MOST_WORDS = 2_000
# Worst last: of several entries for one test the worst counts.
ORDER = ("passed", "xfailed", "skipped", "failed", "error")
PASSES = frozenset(("passed", "xfailed"))


class JunitError(ValueError):
    """The XML is not one that a test run leaves."""


class Key(NamedTuple):
    """How the XML names a test."""

    classname: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Junit:
    """statuses: of each test, the worst of its entries. words: why those failed that did."""

    statuses: Mapping[Key, str]
    words: Mapping[Key, str]

    def counts(self) -> dict[str, int]:
        """Return how many tests there are of each status."""
        found = dict.fromkeys(ORDER, 0)
        for status in self.statuses.values():
            found[status] += 1
        return found


def worse(one: str, other: str) -> str:
    """Return the worse of two statuses."""
    return max(one, other, key=ORDER.index)


class _Reader:
    def __init__(self) -> None:
        self.statuses: dict[Key, str] = {}
        self.words: dict[Key, str] = {}
        self._depth = 0
        self._tests = 0
        self._key: Key | None = None
        self._status = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise JunitError("it is nested too deep")
        if tag == "testcase":
            if self._key is not None:
                raise JunitError("it has a test within a test")
            self._tests += 1
            if self._tests > _MOST_TESTS:
                raise JunitError(f"it has more than {_MOST_TESTS} tests")
            self._key = Key(attributes.get("classname", ""), attributes.get("name", ""))
            self._status = "passed"
        elif self._key is not None and tag in ("failure", "error", "skipped"):
            status = {"failure": "failed", "error": "error"}.get(tag, "skipped")
            if attributes.get("type") == "pytest.xfail":
                status = "xfailed"
            self._status = worse(self._status, status)
            if status in ("failed", "error"):
                self.words.setdefault(self._key, attributes.get("message", "")[:_MOST_WORDS])

    def end(self, tag: str) -> None:
        self._depth -= 1
        if tag == "testcase" and self._key is not None:
            known = self.statuses.get(self._key)
            self.statuses[self._key] = worse(known, self._status) if known else self._status
            self._key = None


def parse(content: bytes) -> Junit:
    """Return the tests of an XML. Raises JunitError, whose message says what is wrong with it."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise JunitError(f"it is no whole XML: {error}") from None
    return Junit(statuses=reader.statuses, words=reader.words)


def _refuse(*_: object) -> None:
    raise JunitError("it declares a document type or an entity")


def key_of(test_id: str) -> Key:
    """Return how pytest's XML names the test of an id; other tools' by the same reading."""
    address, bracket, parameters = test_id.partition("[")
    names = address.split("::")
    names[0] = names[0].removesuffix(".py").replace("/", ".")
    names[-1] += bracket + parameters
    return Key(".".join(names[:-1]), names[-1])
