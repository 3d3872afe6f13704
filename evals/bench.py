"""What a benchmark is: problems, how they are asked, what of a reply is run, and by what tests.

bench = open_bench("humaneval")
for problem in bench.problems():
    request = bench.request(problem, style)
    ...
    program = bench.program(problem, reply, style)      # "" when the reply holds no code
    verdict = pool.judge(Program.python(program), bench.tests(problem), limits)
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, cast

from evals.problem import Problem
from sandbox import Tests
from seedcoder.completion import Request, Sampling
from seedcoder.errors import UsageError

Protocols = Literal["completion", "chat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How problems are asked.

    protocol: "completion" (the model continues the prompt) or "chat" (it is told what to do).
    prefill: chat only; the reply is begun for the model, up to an open code fence. Off for servers
        that cannot continue a reply.
    prelude: chat only; the program begins with what the prompt has before its function (imports,
        helpers), so that a reply need not repeat it.
    strip_prompt: completion only; white space at the prompt's end is taken off before it is asked.
    """

    protocol: Protocols
    prefill: bool = True
    prelude: bool = False
    strip_prompt: bool = True


class Bench(Protocol):
    """One benchmark. Its data is read when it is first asked for, and checked against a digest."""

    @property
    def name(self) -> str:
        """The name that recipes use."""
        ...

    @property
    def version(self) -> str:
        """Which release of the data this is."""
        ...

    @property
    def licence(self) -> str:
        """The licence of the data, as SPDX."""
        ...

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """Name of each data file to its SHA-256, for the manifest."""
        ...

    def problems(self) -> Sequence[Problem]:
        """Return all problems in upstream's order. Raises MachineLacks when the data is absent."""
        ...

    def request(self, problem: Problem, style: Style) -> Request:
        """Return what the model is asked; its key is the problem's."""
        ...

    def sampling(self, style: Style) -> Sampling:
        """Return upstream's own sampling for this style, its stop strings above all."""
        ...

    def program(self, problem: Problem, text: str, style: Style) -> str:
        """Return the source to judge, out of a reply; "" when the reply holds no code."""
        ...

    def tests(self, problem: Problem) -> Tests:
        """Return the tests that judge a program."""
        ...

    def canonical(self, problem: Problem) -> str:
        """Return a program that must pass."""
        ...

    def broken(self, problem: Problem) -> str:
        """Return a program that must not pass, though it loads and answers every call."""
        ...


BENCHES: Final[Mapping[str, str]] = {"humaneval": "evals.humaneval:HumanEval"}


def open_bench(name: str) -> Bench:
    """Return the benchmark of that name; UsageError, with the nearest name, when there is none."""
    place = BENCHES.get(name)
    if place is None:
        near = difflib.get_close_matches(name, BENCHES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(BENCHES)}"
        raise UsageError(f"no benchmark {name!r}; {hint}")
    module, _, attribute = place.partition(":")
    return cast(Bench, getattr(importlib.import_module(module), attribute)())
