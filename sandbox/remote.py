"""The remote box: programs run and are judged by a sandbox server, over HTTP.

What is promised of a run, whatever happens on the way:
- it is answered once, or one exception is raised;
- SandboxUnavailable: no server was reached, or it refuses us; the program did not run.
- SandboxBroken says in its message whether the program "did not run" or "may have run". In the
  second case the server was lost while it may have held the program: it ended, it was started
  anew, or it cannot show that it was not. The program is then never sent again from here; doing so
  is the caller's to decide (`Pool`'s callers and `sandbox.reward` do, and count it).
- A retry that this module sends itself carries the key of the first attempt, and reaches a program
  that has run already only through the answer that the server kept of it.
What cannot be promised is said in `remote_retry`.

The server's machine is trusted: it gets the answers, and its verdicts are believed. What programs
may import is the server's to say, not ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from sandbox.box import STRENGTH
from sandbox.cases import Tests
from sandbox.errors import SandboxBroken, SandboxUnavailable
from sandbox.outcome import Outcome
from sandbox.program import Limits, Program
from sandbox.remote_link import JobRefused, Link
from sandbox.remote_retry import Patience
from sandbox.tests_json import tests_to_json
from sandbox.verdict import Verdict

__all__ = ["JobRefused", "Patience", "RemoteBox"]

_T = TypeVar("_T")


class RemoteBox:
    """A box behind a URL, for many threads at once.

    url: of the server, http://HOST:PORT, with a path where a proxy wants one, without credentials.
    key: the server's key; by default what SEEDCODER_SANDBOX_KEY holds, "" for none. Never shown.
    patience: how long requests are tried.
    Raises SandboxUnavailable where no server answers, ValueError for a URL or key that is none.
    """

    def __init__(
        self, url: str, *, key: str | None = None, patience: Patience | None = None
    ) -> None:
        self._link = Link(url, key, patience or Patience())
        if self.kind not in STRENGTH:
            self.close()
            raise SandboxUnavailable(f"{self.name}: {self.kind!r} is no kind of box known here")

    @property
    def name(self) -> str:
        """The server's URL."""
        return self._link.url

    @property
    def kind(self) -> str:
        """The kind of the server's box."""
        return self._link.greeting.kind

    @property
    def workers(self) -> int:
        """How many boxes the server has; 0 where it does not say."""
        return self._link.greeting.workers

    def run(self, program: Program, limits: Limits, collect: tuple[str, ...] = ()) -> Outcome:
        """Run a program as a script.

        Raises SandboxBroken, SandboxUnavailable, and JobRefused (a ValueError too) for what the
        server does not take.
        """
        job = {"program": program.to_json(), "limits": limits.to_json(), "collect": list(collect)}
        return self._read(self._link.ask("/v1/run", _body(job)), Outcome.from_json)

    def judge(self, program: Program, tests: Tests, limits: Limits) -> Verdict:
        """Judge a program by tests.

        Raises as `run`; TestsBroken; ValueError for tests that cannot be sent (a comparer that is
        a function).
        """
        job = {
            "program": program.to_json(),
            "tests": tests_to_json(tests),
            "limits": limits.to_json(),
        }
        return self._read(self._link.ask("/v1/judge", _body(job)), Verdict.from_json)

    def _read(self, data: Any, reader: Callable[[Any], _T]) -> _T:
        try:
            return reader(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SandboxBroken(
                f"{self.name}: its answer is none that this version reads ({error!r})"
            ) from None

    def close(self) -> None:
        """Close the connections; the server goes on."""
        self._link.close()


def _body(job: dict[str, Any]) -> bytes:
    return json.dumps(job, separators=(",", ":")).encode()
