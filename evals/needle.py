"""Needle in the code: one function at a depth of a long stretch of code, and a question about it.

After "Needle in the Code" of the Seed-Coder paper (section 2, Fig. 10: 1K to 32K tokens, depth 0
to 100%), whose data and wording were not published: the grid is the paper's, all else is ours.
Generated, the same for the same seed and the same Python; nothing is fetched.

ask = "value"  The needle is a function that returns a number of its own. The model is asked what
               it returns; the number must be right to the digit (a text test, nothing is run).
               Of a completion the number it begins with counts, of a chat reply the last one.
ask = "code"   The needle is a small formula with constants of its own. The model is to write the
               function again; what it writes is run on inputs it was not shown.

`length` counts the whole prompt and the room for the reply, in tokens of `tokenizer`, else of 3.2
characters (evals.needle_haystack), so that 32768 fits a context of 32768. A prompt that does not
fit after all has the finish "overflow": no reply, a wrong answer, and counted apart in the summary.

Tags: "length:4096" and "depth:50", for the parts and for a heat map. With `repeats` each cell has
so many haystacks and needles of its own.
Does not show: understanding. Finding a number is the least that a long context must be good for.
"""

from __future__ import annotations

import hashlib
import random
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

from evals.bench import Bench, Style
from evals.extract import extract
from evals.needle_haystack import Haystacks
from evals.problem import Problem
from evals.prune import prune
from evals.spoil import spoilt
from sandbox import Call, CallTests, Failure, Kind, Limits, Program, Verdict
from seedcoder.completion import Message, Request, Sampling
from seedcoder.errors import UsageError

Ask = Literal["value", "code"]

# The paper's Fig. 10: 1K, then every 4K to 32K.
LENGTHS: Final = (1024, 4096, 8192, 12288, 16384, 20480, 24576, 28672, 32768)
DEPTHS: Final = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)

_REPLY_TOKENS: Final = {"value": 48, "code": 160}
_FRAME_TOKENS: Final = 160  # ours: the question, fences, and what a chat template adds
_SHORTEST: Final = 512
_INPUTS: Final = (0, 1, 7, 12, 365, 1001, -4)  # ours; never shown to the model

_WORDS: Final = (
    ("orchid", "walrus", "copper", "lantern", "maple", "quartz", "tundra", "saffron", "pylon"),
    ("harbor", "glacier", "meadow", "furnace", "canyon", "orchard", "beacon", "foundry", "lagoon"),
    ("quota", "ration", "toll", "margin", "allowance", "surcharge", "rebate", "levy", "tariff"),
)


@dataclass(frozen=True, slots=True)
class Said:
    """A text test: the number that was said must be the needle's."""

    expected: str

    def judge(self, text: str) -> Verdict:
        """Return the verdict on the number taken out of a reply; "" is no answer."""
        right = text == self.expected
        failure = Failure(
            index=0, test="the number", expected=self.expected, got=text[:80], reason="another one"
        )
        return Verdict(
            kind=Kind.PASSED if right else Kind.WRONG if text else Kind.NO_CODE,
            passed=int(right),
            total=1,
            first_failure=None if right else failure,
            outcomes=(),
            mode="text",
        )


class Needle(Bench):
    """The benchmark. See the module's words."""

    name = "needle"
    licence = "PSF-2.0"  # of the haystacks

    def __init__(
        self,
        haystacks: Haystacks,
        *,
        lengths: Sequence[int],
        depths: Sequence[int],
        repeats: int,
        seed: int,
        ask: Ask,
    ) -> None:
        """Lay out the grid; nothing is read yet."""
        self._haystacks = haystacks
        self._lengths, self._depths = tuple(lengths), tuple(depths)
        self._repeats, self._seed, self._ask = repeats, seed, ask

    @property
    def version(self) -> str:
        """What it was generated from."""
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"generated, seed {self._seed}, ask {self._ask}, code of Python {python}"

    @property
    def data_sha256(self) -> Mapping[str, str]:
        """The digest of all prompts: of another Python they are others."""
        digest = hashlib.sha256()
        for problem in self._problems:
            digest.update(f"{len(problem.prompt)} {problem.prompt}".encode("utf-8", "replace"))
        return {"needle": digest.hexdigest()}

    @cached_property
    def _problems(self) -> tuple[Problem, ...]:
        return tuple(
            self._made(length, depth, repeat)
            for length in self._lengths
            for depth in self._depths
            for repeat in range(self._repeats)
        )

    def _made(self, length: int, depth: int, repeat: int) -> Problem:
        where = f"{length}/{depth}/{repeat}"
        draw = random.Random(f"needle {self._seed} {where}")
        name = "_".join(draw.choice(words) for words in _WORDS) + f"_{draw.randrange(10, 100)}"
        if self._ask == "value":
            value = draw.randrange(10_000_000, 100_000_000)
            tests: Mapping[str, object] = {"value": str(value)}
            needle = f"def {name}():\n    return {value}"
        else:
            times, plus, most = (draw.randrange(100, 1000) for _ in range(3))
            formula = f"(number * {times} + {plus}) % {10 * most + 7}"
            tests = {"values": [(n * times + plus) % (10 * most + 7) for n in _INPUTS]}
            needle = f"def {name}(number):\n    return {formula}"
        room = length - _FRAME_TOKENS - _REPLY_TOKENS[self._ask]
        return Problem(
            key=f"needle/{where}",
            prompt=self._haystacks.around(needle, tokens=room, depth=depth / 100, name=where),
            entry_point=name,
            tests=tests,
            canonical=needle,
            tags=(f"length:{length}", f"depth:{depth}"),
        )

    def problems(self) -> Sequence[Problem]:
        """Return the grid: by length, then depth, then repeat."""
        return self._problems

    def count(self) -> int:
        """Return the size of the grid, without making it."""
        return len(self._lengths) * len(self._depths) * self._repeats

    def request(self, problem: Problem, style: Style) -> Request:
        """Return the haystack and the question; the name of the needle is in the question."""
        name, hay = problem.entry_point, problem.prompt
        if style.protocol == "completion":
            return Request(key=problem.key, prompt=f"{hay}\n\n\n{self._line(name)}")
        question = (
            f"What number does `{name}()` return? Answer with the number alone."
            if self._ask == "value"
            else f"Write the function `{name}` again, exactly as it stands there, in a code block."
        )
        asked = f"Here is Python code:\n\n```python\n{hay}\n```\n\n{question}"
        return Request(key=problem.key, prompt=(Message(role="user", content=asked),))

    def sampling(self, style: Style) -> Sampling:
        """Return greedy sampling; a completion ends with the line, or with the function."""
        stop: tuple[str, ...] = ()
        if style.protocol == "completion":
            stop = ("\n",) if self._ask == "value" else ("\ndef", "\nclass", "\n#", "\n\n\n")
        return Sampling(max_tokens=_REPLY_TOKENS[self._ask], stop=stop)

    def program(self, problem: Problem, text: str, style: Style) -> Program:
        """Return the number that was said, as text; or the function that was written."""
        completion = style.protocol == "completion"
        if self._ask == "value":
            found = _numbers(text)
            first = re.match(r"\s*\d", text) is not None
            said = (found[0] if first else "") if completion else found[-1] if found else ""
            return Program(language="text", source=said)
        if not completion:
            code = extract(text, problem.entry_point)
            return Program.python(prune(code, problem.entry_point) if code else "")
        for stop in self.sampling(style).stop:
            text = text.partition(stop)[0]
        return Program.python(self._line(problem.entry_point) + text if text.strip() else "")

    def tests(self, problem: Problem) -> CallTests | Said:
        """Return the comparison with the needle's number, or calls of the function."""
        if self._ask == "value":
            return Said(problem.tests["value"])
        values = problem.tests["values"]
        calls = tuple(Call(args=(n,), expected=v) for n, v in zip(_INPUTS, values, strict=True))
        return CallTests(entry_point=problem.entry_point, calls=calls)

    def limits(self, problem: Problem) -> Limits:
        """Return what a formula may use."""
        return Limits(cpu_s=2.0, memory_mb=256)  # ours

    def canonical(self, problem: Problem) -> Program:
        """Return the needle's number, or the needle."""
        if self._ask == "value":
            return Program(language="text", source=problem.tests["value"])
        return Program.python(problem.canonical)

    def broken(self, problem: Problem) -> Program:
        """Return a number off by one, or a function that gives such."""
        if self._ask == "value":
            return Program(language="text", source=str(int(problem.tests["value"]) + 1))
        return Program.python(spoilt(problem.canonical + "\n", problem.entry_point))

    def _line(self, name: str) -> str:
        """Return how a completion begins: `assert orchid_harbor_toll_42() ==`, or the `def`."""
        if self._ask == "value":
            return f"assert {name}() =="
        return f"# The function {name} once more, as above.\ndef {name}(number):\n"


def needle(
    *,
    lengths: tuple[int, ...] = LENGTHS,
    depths: tuple[int, ...] = DEPTHS,
    repeats: int = 1,
    seed: int = 0,
    ask: Ask = "value",
    tokenizer: str | None = None,
    folder: Path | None = None,
) -> Needle:
    """Return the benchmark.

    lengths: tokens of prompt and reply together. depths: percent of the haystack before the
    needle. repeats: problems a cell. tokenizer: what tokens are counted with. folder: of Python
    files, in place of the standard library's. Raises UsageError for a grid that cannot be.
    """
    if not lengths or min(lengths) < _SHORTEST or len(set(lengths)) < len(lengths):
        raise UsageError(f"needle: options.lengths must be different numbers from {_SHORTEST} up")
    if not depths or min(depths) < 0 or max(depths) > 100 or len(set(depths)) < len(depths):
        raise UsageError("needle: options.depths must be different numbers from 0 to 100")
    if repeats < 1:
        raise UsageError(f"needle: options.repeats must be 1 or more, got {repeats}")
    if folder is not None and not folder.is_dir():
        raise UsageError(f"needle: options.folder: no folder {folder}")
    haystacks = Haystacks(folder=folder, tokenizer=tokenizer, most_tokens=max(lengths), seed=seed)
    return Needle(haystacks, lengths=lengths, depths=depths, repeats=repeats, seed=seed, ask=ask)


def _numbers(text: str) -> list[str]:
    """Return the whole numbers in a text, without the marks between their digits."""
    return [re.sub(r"[_,]", "", n) for n in re.findall(r"(?<![\w.])\d[\d_,]*\d|(?<![\w.])\d", text)]
