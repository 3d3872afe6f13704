"""The pool: order, back-pressure, both worlds of waiting, and nothing lost when boxes break."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import (
    AssertTests,
    CallTests,
    Job,
    Kind,
    Limits,
    Outcome,
    Pool,
    Program,
    SandboxBroken,
    SandboxError,
    SandboxUnavailable,
    StdioTests,
    TestsBroken,
    Verdict,
)
from sandbox.box import BoxName, LocalBox
from sandbox.slot import Slot

BoxOf = Callable[[BoxName], LocalBox]
NAMES: tuple[BoxName, ...] = ("namespace", "restricted")
LIMITS = Limits(cpu_s=2, wall_s=20, memory_mb=256)


def _sleep(seconds: float, word: object = "") -> Job:
    source = f"import time\ntime.sleep({seconds})\nprint({word!r})"
    return Job(program=Program.python(source), limits=LIMITS, key=str(word))


def _stdout(result: object) -> str:
    assert isinstance(result, Outcome), result
    return result.stdout.strip()


def test_results_come_in_the_order_of_their_jobs(pool: Pool) -> None:
    jobs = [_sleep(0.2 if n % 4 == 0 else 0, n) for n in range(12)]
    assert [_stdout(one) for one in pool.map(jobs)] == [str(n) for n in range(12)]


@pytest.mark.slow
def test_results_come_as_they_are_completed_and_know_their_jobs(pool: Pool) -> None:
    jobs = [_sleep(1.5, "slow"), *(_sleep(0, n) for n in range(6))]
    pairs = list(pool.map_jobs(jobs, ordered=False))
    assert [_stdout(result) for _, result in pairs] == [job.key for job, _ in pairs]
    assert sorted(job.key for job, _ in pairs) == sorted(job.key for job in jobs)
    assert pairs[-1][0].key == "slow"


def test_jobs_are_taken_only_as_fast_as_the_pool_works(pool: Pool) -> None:
    taken = 0

    def jobs() -> Iterator[Job]:
        nonlocal taken
        for n in range(40):
            taken += 1
            yield _sleep(0, n)

    seen = 0
    for seen, _ in enumerate(pool.map(jobs()), 1):
        assert taken <= seen + 2 * pool.workers + 2
    assert (seen, taken) == (40, 40)


def test_leaving_a_map_early_leaves_the_pool_usable(pool: Pool) -> None:
    results = pool.map(_sleep(0, n) for n in range(1000))
    assert _stdout(next(results)) == "0"
    results.close()  # type: ignore[attr-defined]
    assert pool.run(Program.python("print(1)"), LIMITS).stdout == "1\n"


@pytest.mark.slow
def test_submit_waits_while_the_queue_is_full() -> None:
    with Pool(1, queue_size=1, confirm_timeouts=False) as small:
        began = time.monotonic()
        futures = [small.submit(_sleep(0.4, n).program, None, LIMITS) for n in range(4)]
        waited = time.monotonic() - began
        assert waited > 0.6  # one runs and one waits; the third and fourth had to be held back
        assert [_stdout(one.result()) for one in futures] == ["0", "1", "2", "3"]


def test_a_map_goes_on_after_tests_that_are_broken(pool: Pool) -> None:
    right = Program.python("def f(x): return x")
    broken = AssertTests(test="1 / 0", entry_point="f")
    fine = AssertTests(test="assert candidate(1) == 1", entry_point="f")
    jobs = [Job(program=right, tests=tests, limits=LIMITS) for tests in (fine, broken, fine)]
    for ordered in (True, False):
        results = list(pool.map(jobs, ordered=ordered))
        assert sum(isinstance(one, Verdict) and one.ok for one in results) == 2
        assert sum(isinstance(one, TestsBroken) for one in results) == 1
    with pytest.raises(TestsBroken):
        pool.judge(right, broken, LIMITS)


@pytest.mark.slow
def test_asyncio_is_not_held_up(pool: Pool) -> None:
    async def work() -> tuple[list[str], list[str], bool, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticker = asyncio.create_task(tick())
        jobs = [_sleep(0.3 if n == 0 else 0, n) for n in range(12)]
        ordered = [_stdout(one) async for one in pool.amap(jobs)]
        completed = [_stdout(one) async for one in pool.amap(jobs, ordered=False)]
        verdict = await pool.ajudge(
            Program.python("def f(x): return x"), CallTests.of("f", ([1], 1)), LIMITS
        )
        outcome = await pool.arun(Program.python("print(5)"), LIMITS)
        assert outcome.stdout == "5\n"
        ticker.cancel()
        return ordered, completed, verdict.ok, ticks

    ordered, completed, ok, ticks = asyncio.run(work())
    assert ordered == [str(n) for n in range(12)]
    assert sorted(completed) == sorted(ordered)
    assert completed[-1] != ordered[-1] or completed[0] != "0"
    assert ok
    assert ticks > 10


@pytest.mark.slow
def test_asyncio_tasks_can_be_cancelled_and_the_pool_goes_on(pool: Pool) -> None:
    async def work() -> str:
        tasks = [asyncio.create_task(pool.arun(_sleep(0.5, n).program, LIMITS)) for n in range(10)]
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        return (await pool.arun(Program.python("print('on')"), LIMITS)).stdout

    assert asyncio.run(work()) == "on\n"


def test_an_async_pool_closes_itself() -> None:
    async def work() -> str:
        async with Pool(1) as made:
            return (await made.arun(Program.python("print(1)"), LIMITS)).stdout

    assert asyncio.run(work()) == "1\n"


@pytest.mark.slow
def test_closing_waits_for_the_jobs_or_cancels_them() -> None:
    waiting = Pool(1, confirm_timeouts=False)
    futures = [waiting.submit(_sleep(0.1, n).program, None, LIMITS) for n in range(3)]
    waiting.close()
    assert [_stdout(one.result(0)) for one in futures] == ["0", "1", "2"]
    waiting.close()
    with pytest.raises(RuntimeError, match="closed"):
        waiting.submit(_sleep(0).program)

    abandoning = Pool(1, confirm_timeouts=False)
    futures = [abandoning.submit(_sleep(0.3, n).program, None, LIMITS) for n in range(4)]
    time.sleep(0.05)
    abandoning.close(wait_for_jobs=False)
    done, rest = concurrent.futures.wait(futures, timeout=5)
    assert not rest, "whoever waits for a cancelled job waits for ever"
    assert sum(one.cancelled() for one in done) >= 2


@pytest.mark.slow
def test_a_job_submitted_while_the_pool_closes_ends_too() -> None:
    for _ in range(5):
        small = Pool(1, queue_size=1, confirm_timeouts=False)
        futures: list[concurrent.futures.Future[Outcome | Verdict]] = []

        def feed(
            to: Pool = small,
            into: list[concurrent.futures.Future[Outcome | Verdict]] = futures,
        ) -> None:
            try:
                while True:
                    into.append(to.submit(Program.python("print(1)"), None, LIMITS))
            except RuntimeError:
                return

        feeders = [threading.Thread(target=feed) for _ in range(3)]
        for feeder in feeders:
            feeder.start()
        time.sleep(0.05)
        small.close(wait_for_jobs=False)
        for feeder in feeders:
            feeder.join(10)
            assert not feeder.is_alive()
        _, rest = concurrent.futures.wait(futures, timeout=10)
        assert not rest


@pytest.mark.slow
def test_a_timeout_is_run_once_more_alone_before_it_counts() -> None:
    hog = Program.python("while True: pass")
    with Pool(2) as confirming:
        spans: list[tuple[float, float]] = []

        def small() -> None:
            source = (
                "import time\na = time.monotonic()\ntime.sleep(0.05)\nprint(a, time.monotonic())"
            )
            for _ in range(25):
                outcome = confirming.run(Program.python(source), LIMITS)
                start, end = map(float, outcome.stdout.split())
                spans.append((start, end))

        others = threading.Thread(target=small)
        others.start()
        began = time.monotonic()
        outcome = confirming.run(hog, Limits(cpu_s=0.4, wall_s=10))
        ended = time.monotonic()
        others.join()
    assert outcome.kind is Kind.TIMEOUT
    assert ended - began > 0.75
    quiet = (ended - 0.35, ended - 0.05)
    assert not [span for span in spans if span[0] < quiet[1] and span[1] > quiet[0]]


def _children(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found.append(int(folder.name))
    return found


def _guards() -> set[int]:
    """Return our children that are guards of boxes."""
    found = set()
    for pid in _children(os.getpid()):
        try:
            if b"sandbox.inside.guard" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["zygote", "guard"])
def test_a_box_killed_in_the_middle_breaks_its_job_and_no_other(victim: str) -> None:
    before = _guards()
    with Pool(1, confirm_timeouts=False) as made:
        assert made.run(Program.python("print(0)"), LIMITS).stdout == "0\n"
        for round_ in range(2):
            broken = made.submit(_sleep(15).program, None, LIMITS)
            others = [made.submit(_sleep(0, n).program, None, LIMITS) for n in range(3)]
            time.sleep(0.3)
            (guard,) = _guards() - before
            (zygote,) = _children(guard)
            os.kill(zygote if victim == "zygote" else guard, signal.SIGKILL)
            began = time.monotonic()
            with pytest.raises(SandboxBroken):
                broken.result(10)
            assert time.monotonic() - began < 8
            assert [_stdout(one.result(30)) for one in others] == ["0", "1", "2"], round_
    assert _guards() == before


@pytest.mark.slow
def test_of_many_jobs_none_is_lost_when_boxes_keep_breaking() -> None:
    before = _guards()
    stop = threading.Event()

    def breaker() -> None:
        while not stop.wait(0.15):
            for guard in _guards() - before:
                for zygote in _children(guard)[:1]:
                    os.kill(zygote, signal.SIGKILL)

    tests = AssertTests(test="assert candidate(1) == 2", entry_point="f")
    jobs = []
    for n in range(30):
        program = Program.python(f"import time\ntime.sleep(0.02)\ndef f(x): return x + {n % 2}")
        judged = Job(program=program, tests=tests, limits=LIMITS, key=str(n % 2))
        jobs.append(judged)
    with Pool(2, confirm_timeouts=False) as made:
        thread = threading.Thread(target=breaker)
        thread.start()
        try:
            results = list(made.map_jobs(jobs))
        finally:
            stop.set()
            thread.join()
        # Every job has its own result or its own error, and no verdict is another's.
        assert [job for job, _ in results] == jobs
        for job, result in results:
            if isinstance(result, SandboxError):
                assert isinstance(result, SandboxBroken | SandboxUnavailable)
            else:
                assert isinstance(result, Verdict)
                assert result.kind is (Kind.PASSED if job.key == "1" else Kind.WRONG)
        assert any(isinstance(result, SandboxError) for _, result in results)
        time.sleep(0.5)  # the last one killed may still be dying
        again = list(made.map(jobs[:4]))
        assert [getattr(one, "ok", None) for one in again] == [False, True, False, True]


def test_a_box_weaker_than_required_is_refused() -> None:
    with pytest.raises(SandboxUnavailable, match="weaker than the required namespace"):
        Pool(1, box="restricted", require="namespace")
    with pytest.raises(ValueError, match="box must be"):
        Pool(1, box="strongest")
    with pytest.raises(ValueError, match="workers"):
        Pool(-1)


@pytest.mark.slow
@settings(max_examples=60)
@given(
    source=st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")))
)
def test_random_bytes_never_break_the_pool(pool: Pool, source: str) -> None:
    tight = Limits(cpu_s=0.5, wall_s=5, memory_mb=128)
    outcome = pool.run(Program(source=source, stdin=source), tight)
    assert outcome.kind in Kind
    tests = (
        CallTests.of("f", ([1], 1)),
        StdioTests.of((source, "never printed")),
        AssertTests(test="assert candidate(1)", entry_point="f"),
    )
    for one in tests:
        assert not pool.judge(Program(source=source), one, tight).ok


@pytest.mark.slow
@settings(max_examples=40)
@given(
    data=st.binary(max_size=400),
    fd=st.integers(0, 8),
    code=st.integers(0, 255),
)
def test_random_bytes_on_any_descriptor_never_break_the_pool(
    pool: Pool, data: bytes, fd: int, code: int
) -> None:
    source = (
        f"import os\ntry:\n    os.write({fd}, {data!r})\nexcept OSError: pass\n"
        f"def f(x): os._exit({code})\n"
    )
    tight = Limits(cpu_s=0.5, wall_s=1.5, memory_mb=128)
    for tests in (
        CallTests.of("f", ([1], "never")),
        AssertTests(test="assert candidate(1) == 'never'", entry_point="f"),
        AssertTests(test="assert candidate(len) == 'never'", entry_point="f", mode="shared"),
    ):
        assert not pool.judge(Program.python(source), tests, tight).ok


@pytest.mark.slow
def test_a_box_that_died_while_idle_is_replaced_before_the_next_run(box_of: BoxOf) -> None:
    for name in NAMES:
        box_of(name)  # skips where there is none
        slot = Slot(name)
        try:
            assert slot.run(Program.python("print(0)"), LIMITS).stdout == "0\n"
            for _ in range(2):
                (zygote,) = _children(slot.pid)
                os.kill(zygote, signal.SIGKILL)
                time.sleep(0.2)
                assert slot.run(Program.python("print(1)"), LIMITS).stdout == "1\n"
        finally:
            slot.close()
