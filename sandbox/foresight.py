"""What earlier judgements taught about a test: its code, compiled, and the calls that it makes.

Most tests make the same calls whatever the candidate answers. Once those are known, the candidate's
box can answer them all in one go, and the test's box then runs over the answers: the same calls in
the same order as when the two boxes talk, without a hundred changes of process. A test that makes
another call than foreseen is judged again with the boxes talking.

What is kept here came from test boxes and is opaque to us: code is never unmarshalled on our side,
calls are compared as text in the test's box.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from sandbox.cases import AssertTests

_MOST_TESTS = 4096
_MOST_CALLS = 2000
MOST_CHARACTERS = 1 << 18  # of all calls of a test together


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """code: the test's code as its box marshalled it. calls: None where they cannot be foreseen."""

    code: str
    calls: tuple[str, ...] | None


class _Memory:
    """Foresight by test, the latest used kept. The tests are kept with it, as its key."""

    def __init__(self) -> None:
        self._known: OrderedDict[AssertTests, Foresight] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, tests: AssertTests) -> Foresight | None:
        with self._lock:
            found = self._known.get(tests)
            if found is not None:
                self._known.move_to_end(tests)
            return found

    def keep(self, tests: AssertTests, code: object, calls: object) -> None:
        """Learn from a test box's report, whatever it holds."""
        if not isinstance(code, str):
            return
        texts: tuple[str, ...] | None = None
        if isinstance(calls, list) and 0 < len(calls) <= _MOST_CALLS:
            texts = tuple(call for call in calls if isinstance(call, str))
            if sum(map(len, texts)) > MOST_CHARACTERS:
                texts = None
        with self._lock:
            self._known[tests] = Foresight(code=code, calls=texts)
            while len(self._known) > _MOST_TESTS:
                self._known.popitem(last=False)

    def doubt(self, tests: AssertTests) -> None:
        """Stop foreseeing the calls of tests that made others."""
        with self._lock:
            found = self._known.get(tests)
            if found is not None:
                self._known[tests] = Foresight(code=found.code, calls=None)


memory = _Memory()
