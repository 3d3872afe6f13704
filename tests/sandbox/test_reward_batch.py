"""Rollouts to rewards: in order, equal ones judged once, known ones not at all, failures raised."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest

from sandbox import (
    AssertTests,
    CallTests,
    Job,
    Kind,
    Limits,
    Outcome,
    Pool,
    Program,
    ProjectTests,
    SandboxBroken,
    SandboxError,
    Snapshot,
    StdioCase,
    StdioTests,
    TestsBroken,
    Verdict,
)
from sandbox.reward import Overlong, Rewarder, Rollout, Scheme, ThinkAnswer, VerdictCache, key

LIMITS = Limits(cpu_s=2, wall_s=20, memory_mb=256)
DOUBLE = StdioTests.of(("1\n", "2\n"), ("5\n", "10\n"))
RIGHT, WRONG = "print(2 * int(input()))", "print(2)"
CALLS = CallTests.of("f", ([1], 2), ([2], 4))


class Counted:
    """A pool that counts what it is asked to judge, and passes it on."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.jobs: list[Job] = []
        self.box_name, self.packages = pool.box_name, pool.packages
        self.confirms_timeouts = pool.confirms_timeouts

    def map_jobs(
        self, jobs: Iterable[Job], *, ordered: bool = True
    ) -> Iterator[tuple[Job, Verdict | Outcome | SandboxError]]:
        taken = list(jobs)
        self.jobs += taken
        return self.pool.map_jobs(taken, ordered=ordered)

    def amap(
        self, jobs: Iterable[Job], *, ordered: bool = True
    ) -> AsyncIterator[Verdict | Outcome | SandboxError]:
        taken = list(jobs)
        self.jobs += taken
        return self.pool.amap(taken, ordered=ordered)


@pytest.fixture
def counted(pool: Pool) -> Counted:
    return Counted(pool)


def rollout(source: str, tests: object = DOUBLE, **more: object) -> Rollout:
    fields = {"limits": LIMITS, "program": Program.python(source), "tests": tests, **more}
    return Rollout(**fields)  # type: ignore[arg-type]


def fenced(reply: str) -> str | None:
    parts = reply.split("```")
    return parts[1].removeprefix("python\n") if len(parts) == 3 else None


def test_rewards_come_in_order_and_equal_rollouts_are_judged_once(counted: Counted) -> None:
    with Rewarder(counted, cache=False) as rewarder:
        sources = [RIGHT, WRONG, RIGHT, "import", RIGHT, WRONG, ""]
        rewards = rewarder.rewards([rollout(source) for source in sources])
    assert [reward.value for reward in rewards] == [1, 0, 1, 0, 1, 0, 0]
    kinds = [reward.verdict.kind for reward in rewards if reward.verdict]
    assert kinds[3:] == [Kind.COMPILE_ERROR, Kind.PASSED, Kind.WRONG, Kind.NO_CODE]
    assert len(counted.jobs) == 4
    assert rewarder.rewards([]) == []


def test_other_tests_limits_or_files_are_other_rollouts(counted: Counted) -> None:
    same = rollout(RIGHT)
    others = [
        rollout(RIGHT, StdioTests.of(("1\n", "2\n"))),
        rollout(RIGHT, limits=dataclasses.replace(LIMITS, memory_mb=300)),
        rollout(RIGHT, program=Program(source=RIGHT, files={"a": b""})),
        rollout(RIGHT, program=Program(source=RIGHT, files={"a": b"b"})),
        rollout(RIGHT, program=Program(source=RIGHT, argv=("a",))),
        rollout(RIGHT, dataclasses.replace(DOUBLE, stop_early=False)),
    ]
    equal = [
        rollout(RIGHT, StdioTests.of(("1\n", "2\n"), ("5\n", "10\n"))),
        rollout(RIGHT, limits=Limits(cpu_s=2, wall_s=20, memory_mb=256)),
    ]
    with Rewarder(counted, cache=False) as rewarder:
        rewards = rewarder.rewards([same, *others, *equal])
    assert {reward.value for reward in rewards} == {1.0}
    assert len(counted.jobs) == 7


def test_a_verdict_that_is_known_is_not_judged_again(counted: Counted, tmp_path: Path) -> None:
    batch = [rollout(source) for source in (RIGHT, WRONG, "1 / 0", "")]
    batch.append(rollout("def f(n):\n    return 2 * n", CALLS))
    proof = AssertTests(
        test="def check(c):\n    assert c(2) == 4", entry_point="f", call="check(f)"
    )
    batch.append(rollout("def f(n):\n    return 2 * n", proof))
    with Rewarder(counted, cache=tmp_path / "verdicts") as rewarder:
        cold = rewarder.rewards(batch)
        assert len(counted.jobs) == 6
        assert rewarder.rewards(batch) == cold
        assert len(counted.jobs) == 6
    with Rewarder(counted, cache=tmp_path / "verdicts") as rewarder:  # from the disk
        assert rewarder.rewards(batch) == cold
        assert asyncio.run(rewarder.arewards(batch)) == cold
        assert len(counted.jobs) == 6
        assert rewarder.cache is not None and rewarder.cache.misses == 0
    with Rewarder(counted, cache=tmp_path / "verdicts", version="other") as rewarder:
        assert rewarder.rewards(batch[:1]) == cold[:1]
        assert len(counted.jobs) == 7
    with Rewarder(counted, cache=False) as rewarder:
        assert rewarder.cache is None and rewarder.rewards(batch[:1]) == cold[:1]
        assert len(counted.jobs) == 8


def test_another_box_or_package_has_verdicts_of_its_own(counted: Counted, tmp_path: Path) -> None:
    cache = VerdictCache(tmp_path / "verdicts")
    for change in ({}, {"box_name": "docker:one"}, {"packages": ()}, {}):
        pool = Counted(counted.pool)
        vars(pool).update(change)
        Rewarder(pool, cache=cache).reward(rollout(RIGHT))
        counted.jobs += pool.jobs
    assert len(counted.jobs) == 3
    cache.close()


def test_a_server_is_cached_only_under_a_version_that_is_given(
    counted: Counted, tmp_path: Path
) -> None:
    counted.box_name = "http://127.0.0.1:1"
    assert Rewarder(counted, cache=tmp_path / "verdicts").cache is None
    assert Rewarder(counted, cache=tmp_path / "verdicts", version="1").cache is not None


def test_a_custom_comparer_is_judged_and_not_kept(counted: Counted, tmp_path: Path) -> None:
    def lenient(expected: str, got: str) -> bool:
        return expected.split() == got.split()

    tests = dataclasses.replace(DOUBLE, comparer=lenient)
    with Rewarder(counted, cache=tmp_path / "verdicts") as rewarder:
        for _ in range(2):
            rewards = rewarder.rewards([rollout(RIGHT, tests), rollout(RIGHT, tests)])
            assert [reward.value for reward in rewards] == [1, 1]
        assert rewarder.cache is not None and len(rewarder.cache) == 0
    assert len(counted.jobs) == 2  # once a batch


def test_what_tests_do_not_say_keeps_them_from_being_known_again() -> None:
    def project(snapshot: Snapshot, **more: str) -> ProjectTests:
        return ProjectTests(snapshot=snapshot, fail_to_pass=("test_a.py::test",), **more)  # type: ignore[arg-type]

    pinned = Snapshot.archive("a.tar", sha256="0" * 64)
    assert key.of_tests(project(pinned)) is not None
    assert key.of_tests(project(Snapshot.archive("a.tar"))) is None
    assert key.of_tests(project(Snapshot.folder("a"))) is None
    assert key.of_tests(project(pinned, packages_dir="/packages")) is None
    assert key.of_tests(project(pinned, packages_dir="/packages"), "v1") is not None
    checked = [
        dataclasses.replace(DOUBLE, checker=Program(language=language, source="x"))
        for language in ("python", "cpp", "c")
    ]
    digests = {key.of_tests(tests) for tests in (DOUBLE, *checked)}
    assert len(digests) == 4 and None not in digests


@pytest.mark.slow
def test_a_timeout_is_kept_only_where_cpu_time_decided_it_twice(tmp_path: Path) -> None:
    brief = Limits(cpu_s=0.3, wall_s=0.8, memory_mb=256)
    busy = rollout("while True: pass", limits=dataclasses.replace(brief, wall_s=20))
    asleep = rollout("import time; time.sleep(9)", limits=brief)
    for confirm, kept in ((True, 1), (False, 0)):
        with (
            Pool(1, confirm_timeouts=confirm) as pool,
            Rewarder(Counted(pool), cache=tmp_path / f"verdicts-{confirm}") as rewarder,
        ):
            rewards = rewarder.rewards([busy, asleep])
            assert [r.verdict.kind for r in rewards if r.verdict] == [Kind.TIMEOUT] * 2
            assert rewarder.cache is not None and len(rewarder.cache) == kept
            # A time-out behind a wrong answer is one too.
            cases = [StdioCase(stdin="a", stdout="b"), StdioCase(stdin="", stdout="")]
            late = StdioTests(cases=cases, stop_early=False)
            source = "import time\nif not input(): time.sleep(9)"
            hidden = rollout(source.replace("input()", "open(0).read()"), late, limits=brief)
            wrong = rewarder.reward(hidden).verdict
            assert wrong is not None and wrong.kind is Kind.WRONG
            assert len(rewarder.cache) == kept


def test_replies_are_extracted_and_parts_weighed(counted: Counted) -> None:
    scheme = Scheme(
        format=ThinkAnswer(), length=Overlong(most=100, cache=50), weights={"format": 0.5}
    )
    right = f"<think>so</think><answer>```python\n{RIGHT}\n```</answer>"
    replies = [(right, 10), (right, 75), (f"```python\n{RIGHT}\n```", 10), ("no program", 200)]
    with Rewarder(counted, cache=False, scheme=scheme, extract=fenced) as rewarder:
        rewards = rewarder.rewards(
            [Rollout(reply=text, tokens=n, tests=DOUBLE, limits=LIMITS) for text, n in replies]
        )
    assert [reward.value for reward in rewards] == [1.5, 1.0, 1.0, -1.0]
    assert rewards[1].parts == {"tests": 1.0, "format": 1.0, "length": -0.5}
    assert len(counted.jobs) == 2
    own = Rollout(reply="x", tests=DOUBLE, limits=LIMITS, extract=lambda _: Program.python(RIGHT))
    assert Rewarder(counted, cache=False).reward(own).value == 1.0


def test_fractions_need_tests_that_are_all_judged(counted: Counted) -> None:
    three = [StdioCase(stdin=f"{n}\n", stdout=f"{2 * n}\n") for n in (1, 7, 1)]
    scheme = Scheme(tests="fraction")
    rewarder = Rewarder(counted, cache=False, scheme=scheme)
    whole = StdioTests(cases=three, stop_early=False)
    assert rewarder.reward(rollout(WRONG, whole)).value == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="stop_early=False"):
        rewarder.reward(rollout(WRONG, StdioTests(cases=three)))
    assert len(counted.jobs) == 1


def test_what_a_rollout_lacks_is_said_before_anything_is_judged(counted: Counted) -> None:
    plain = Rewarder(counted, cache=False)
    with pytest.raises(ValueError, match="an extractor"):
        plain.rewards([rollout(RIGHT), Rollout(reply="x", tests=DOUBLE)])
    with pytest.raises(ValueError, match="program, or a reply"):
        plain.reward(Rollout(tests=DOUBLE))
    for scheme, word in ((Scheme(format="x"), "reply"), (Scheme(length=lambda n: n), "tokens")):
        with pytest.raises(ValueError, match=word):
            Rewarder(counted, cache=False, scheme=scheme).reward(rollout(RIGHT))
    with pytest.raises(ValueError, match="retries"):
        Rewarder(counted, retries=-1)
    assert counted.jobs == []


@pytest.mark.slow
def test_streamed_rewards_come_as_they_are_known(counted: Counted, tmp_path: Path) -> None:
    batch = [rollout("import time; time.sleep(0.5); print(2)"), rollout(RIGHT), rollout(WRONG)]
    with Rewarder(counted, cache=tmp_path / "verdicts") as rewarder:
        rewarder.reward(batch[2])
        order = [index for index, _ in rewarder.stream(batch)]
        assert order[0] == 2 and order[-1] == 0
        first = next(iter(rewarder.stream([*batch, rollout("print(3)")])))
        assert first[0] in (0, 1, 2)


def test_the_event_loop_runs_on_and_many_batches_share_a_pool(counted: Counted) -> None:
    async def all_of_them() -> tuple[list[list[float]], int]:
        rewarder = Rewarder(counted, cache=False)
        batches = [
            [rollout(f"{source} # {n}") for source in (RIGHT, WRONG, RIGHT)] for n in range(6)
        ]
        gathered = asyncio.gather(*(rewarder.arewards(batch) for batch in batches))
        turns = 0
        while not gathered.done():
            await asyncio.sleep(0.005)
            turns += 1
        return [[reward.value for reward in batch] for batch in gathered.result()], turns

    values, turns = asyncio.run(all_of_them())
    assert values == [[1.0, 0.0, 1.0]] * 6 and turns > 2


def _children(parent: int) -> set[int]:
    found = set()
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if folder.name.isdigit() and int(fields[1]) == parent:
                found.add(int(folder.name))
    return found


@pytest.mark.slow
def test_a_box_that_breaks_costs_another_try_and_never_a_zero() -> None:
    before = _children(os.getpid())
    slow = rollout("import time; time.sleep(0.7); print(2 * int(input()))")

    def break_box() -> None:
        (guard,) = _children(os.getpid()) - before
        for zygote in _children(guard):
            os.kill(zygote, signal.SIGKILL)

    with Pool(1) as pool:
        assert Rewarder(pool, cache=False).reward(rollout(RIGHT)).value == 1.0
        for retries in (2, 0):
            rewarder = Rewarder(pool, cache=False, retries=retries)
            killer = threading.Timer(0.3, break_box)
            killer.start()
            if retries:
                assert rewarder.reward(slow).value == 1.0
            else:
                with pytest.raises(SandboxBroken):
                    rewarder.reward(slow)
            killer.join()


def test_broken_tests_raise_and_what_was_judged_is_kept(counted: Counted, tmp_path: Path) -> None:
    broken = AssertTests(test="def check(c): pass", entry_point="f", call="check(f)")
    batch = [rollout(RIGHT), rollout("def f(): pass", broken)]
    with Rewarder(counted, cache=tmp_path / "verdicts") as rewarder:
        with pytest.raises(TestsBroken):
            rewarder.rewards(batch)
        with pytest.raises(TestsBroken):
            asyncio.run(rewarder.arewards(batch))
        assert rewarder.cache is not None and len(rewarder.cache) == 1
