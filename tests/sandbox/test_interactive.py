"""Conversations: who ends how, who waited for whom, and who cannot cheat."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import (
    InteractiveCase,
    InteractiveTests,
    Kind,
    Limits,
    Program,
    SandboxBroken,
    TestsBroken,
    Verdict,
    stillness,
)
from sandbox.box import BoxName, LocalBox
from sandbox.inside import settings

LIMITS = Limits(cpu_s=0.5, wall_s=10, memory_mb=256, output_kb=256)
IDLE_S = 0.7

# Guess a number of 1 to 100 with seven guesses.
GAME = """
import sys

secret = int(open(sys.argv[1]).read())
for _ in range(7):
    line = sys.stdin.readline()
    if not line:
        sys.exit("no guess came")
    if not line.strip().isdecimal():
        sys.stderr.write("that is no number\\n")
        sys.exit(2)
    if int(line) == secret:
        print("yes", flush=True)
        sys.stderr.write("found\\n")
        sys.exit(0)
    print("higher" if int(line) < secret else "lower", flush=True)
sys.stderr.write("too many guesses\\n")
sys.exit(1)
"""
# The same, as those write it who trust the program.
NAIVE = """
import sys

secret = int(open(sys.argv[1]).read())
for _ in range(7):
    guess = int(input())
    if guess == secret:
        print("yes", flush=True)
        break
    print("higher" if guess < secret else "lower", flush=True)
else:
    sys.exit(1)
"""
GAME_CPP = """
#include <fstream>
#include <iostream>
#include <string>
int main(int, char **argv) {
    int secret, guess;
    std::ifstream(argv[1]) >> secret;
    for (int i = 0; i < 7; i++) {
        if (!(std::cin >> guess)) { std::cerr << "no guess came"; return 2; }
        if (guess == secret) { std::cout << "yes" << std::endl; return 0; }
        std::cout << (guess < secret ? "higher" : "lower") << std::endl;
    }
    std::cerr << "too many guesses";
    return 1;
}
"""
RIGHT = """
low, high = 1, 100
while True:
    guess = (low + high) // 2
    print(guess, flush=True)
    answer = input()
    if answer == "yes":
        break
    if answer == "higher":
        low = guess + 1
    else:
        high = guess - 1
"""
RIGHT_CPP = """
#include <iostream>
#include <string>
int main() {
    int low = 1, high = 100;
    std::string answer;
    while (true) {
        int guess = (low + high) / 2;
        std::cout << guess << std::endl;
        if (!(std::cin >> answer) || answer == "yes") break;
        if (answer == "higher") low = guess + 1; else high = guess - 1;
    }
}
"""
SILENT = "import time\ntime.sleep(99)"


def talk(
    box: LocalBox,
    source: str,
    interactor: str = GAME,
    numbers: tuple[int, ...] = (37,),
    *,
    languages: tuple[str, str] = ("python", "python"),
    limits: Limits = LIMITS,
    idle_s: float = IDLE_S,
) -> Verdict:
    tests = InteractiveTests(
        interactor=Program(language=languages[1], source=interactor),
        cases=tuple(InteractiveCase(input=f"{number}\n") for number in numbers),
        idle_s=idle_s,
    )
    return box.judge(Program(language=languages[0], source=source), tests, limits)


def why(verdict: Verdict) -> str:
    assert verdict.first_failure is not None
    return verdict.first_failure.reason


@pytest.mark.parametrize("kind", ["namespace", "restricted"])
@pytest.mark.parametrize(
    ("languages", "source", "interactor"),
    [
        (("python", "python"), RIGHT, GAME),
        pytest.param(("cpp", "cpp"), RIGHT_CPP, GAME_CPP, marks=pytest.mark.slow),
        pytest.param(("cpp", "python"), RIGHT_CPP, NAIVE, marks=pytest.mark.slow),
        pytest.param(("python", "cpp"), RIGHT, GAME_CPP, marks=pytest.mark.slow),
    ],
)
def test_a_right_program_finds_every_number_and_a_wrong_one_does_not(
    languages: tuple[str, str],
    source: str,
    interactor: str,
    kind: BoxName,
    box_of: Callable[[BoxName], LocalBox],
) -> None:
    box = box_of(kind)
    verdict = talk(box, source, interactor, (1, 2, 37, 50, 100), languages=languages)
    assert (verdict.kind, verdict.passed, verdict.mode) == (Kind.PASSED, 5, "interactive"), verdict
    wrong = source.replace("/", "-")
    verdict = talk(box, wrong, interactor, (50, 37), languages=languages)
    assert verdict.kind is Kind.WRONG, verdict


BAD: dict[str, tuple[str, Kind, str]] = {
    "ends without a word": ("pass", Kind.WRONG, "no guess came"),
    "exits 0 without a word": ("import os\nos._exit(0)", Kind.WRONG, "no guess came"),
    # The interactor finds out when it reads, or before, when it writes.
    "ends early": ("print(50, flush=True)", Kind.WRONG, "the interactor says: no"),
    "crashes": ("1 / 0", Kind.CRASHED, "ZeroDivisionError: division by zero"),
    "crashes later": ("print(50, flush=True)\ninput()\n1 / 0", Kind.CRASHED, "ZeroDivisionError"),
    "says what is no number": ("print('x')\ninput()", Kind.WRONG, "that is no number"),
    "guesses too often": ("while True: print(1)\n", Kind.WRONG, "too many guesses"),
    "runs for ever": ("while True: pass", Kind.TIMEOUT, "out of time after 0.5"),
    "waits for ever": (SILENT, Kind.TIMEOUT, "nothing moved for 0.7 s: the program slept"),
    "waits to be spoken to": ("input()", Kind.TIMEOUT, "waited for words to read, the interactor"),
    "does not flush": (
        "import sys\nsys.stdout.write('50\\n')\nsys.stdin.readline()",
        Kind.TIMEOUT,
        "the program waited for words to read, the interactor waited for words to read",
    ),
    "takes too much memory": (
        "x = [bytearray(1 << 20) for _ in range(999)]", Kind.MEMORY, "out of memory",
    ),
    "is no program": ("print(", Kind.COMPILE_ERROR, "SyntaxError"),
    "is empty": ("", Kind.NO_CODE, ""),
    "does not end when all is said": (
        RIGHT + "while True: pass", Kind.TIMEOUT, "after the interactor had accepted",
    ),
    "sleeps when all is said": (
        RIGHT + SILENT, Kind.TIMEOUT, "the program slept, the interactor had ended",
    ),
    "reads on when all is said": (RIGHT + "input()", Kind.CRASHED, "EOFError"),
    "ignores that it was rejected": (
        "while True:\n    try:\n        print(1, flush=True)\n    except OSError:\n        pass",
        Kind.WRONG,
        "too many guesses",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_each_way_to_fail_has_its_kind_and_says_why(name: str, box: LocalBox) -> None:
    source, kind, words = BAD[name]
    began = time.monotonic()
    verdict = talk(box, source)
    assert verdict.kind is kind, verdict
    if kind is not Kind.NO_CODE:
        assert words in why(verdict)
    assert time.monotonic() - began < LIMITS.wall_s, "neither waited for the wall clock"
    assert talk(box, RIGHT).ok


@pytest.mark.slow
@pytest.mark.parametrize("name", ["does not flush", "ends early", "waits for ever", "crashes"])
def test_the_restricted_box_says_the_same(name: str, box_of: Callable[[BoxName], LocalBox]) -> None:
    source, kind, words = BAD[name]
    verdict = talk(box_of("restricted"), source)
    assert verdict.kind is kind
    assert words in why(verdict)
    assert talk(box_of("restricted"), RIGHT).ok


@pytest.mark.slow
def test_a_program_that_wakes_now_and_then_is_ended_by_the_wall_clock(box: LocalBox) -> None:
    limits = Limits(cpu_s=1, wall_s=1.5, memory_mb=256)
    waking = "import time\nwhile True: time.sleep(0.05)"
    verdict = talk(box, waking, limits=limits)
    assert (verdict.kind, why(verdict).startswith("out of time")) == (Kind.TIMEOUT, True)
    slow = RIGHT.replace("answer = input()", "answer = input()\n    time.sleep(0.4)")
    assert talk(box, "import time\n" + slow, limits=Limits(cpu_s=1)).ok


@pytest.mark.slow
def test_a_slow_machine_does_not_look_like_sleep(box: LocalBox) -> None:
    busy = [Program.python("while True: pass")] * 3
    boxes = [LocalBox(box.name) for _ in busy]  # type: ignore[arg-type]
    threads = [
        threading.Thread(target=one.run, args=(program, Limits(cpu_s=1.5)))
        for one, program in zip(boxes, busy, strict=True)
    ]
    for thread in threads:
        thread.start()
    working = RIGHT.replace("answer = input()", "answer = input()\n    sum(range(300000))")
    verdicts = [talk(box, working, idle_s=0.3) for _ in range(3)]
    for thread in threads:
        thread.join()
    for one in boxes:
        one.close()
    assert all(verdict.ok for verdict in verdicts), verdicts


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["namespace", "restricted"])
def test_only_a_run_that_sleeps_looks_asleep(
    kind: BoxName, box_of: Callable[[BoxName], LocalBox]
) -> None:
    slot = box_of(kind).slot("candidate")
    seen = {}
    for source in ("while True: pass", "import time\ntime.sleep(99)", "import time\nprint(1)"):
        reader, writer = os.pipe()
        job = {"source": source, "argv": (), "files": {}}
        slot.begin(settings.SCRIPT, job, LIMITS, stdout_fd=writer)
        os.close(writer)
        time.sleep(0.2)
        seen[source] = [stillness.glance(slot.pid) for _ in range(5)]
        stillness.end(slot.pid)
        slot.finish()
        os.close(reader)
    busy, asleep, gone = seen.values()
    assert busy == gone == [None] * 5
    assert None not in asleep and len(set(asleep)) == 1


LAST_WORDS = {
    "in one go": "print('x' * 100_000)",
    "later": "import time\ntime.sleep(0.3)\nprint('x' * 100_000, flush=True)",
    "killed by the signal": (
        "import os, signal, time\ntime.sleep(0.3)\n"
        "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\nos.write(1, b'x')"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LAST_WORDS)
def test_a_broken_pipe_is_no_crash_once_the_interactor_has_accepted(
    name: str, box: LocalBox
) -> None:
    verdict = talk(box, RIGHT + LAST_WORDS[name])
    assert verdict.ok, verdict
    assert verdict.outcomes[0].kind is Kind.CRASHED
    rejected = talk(box, "print(1, flush=True)\n" * 7 + LAST_WORDS[name])
    assert (rejected.kind, "too many" in why(rejected)) == (Kind.WRONG, True)
    assert talk(box, RIGHT + "1 / 0").kind is Kind.CRASHED


@pytest.mark.parametrize(
    ("interactor", "words"),
    [
        ("boo()", "breaks too when nothing is said to it .NameError"),
        ("print(", "does not compile: SyntaxError"),
        ("", "has no code"),
        ("import sys\nsys.exit('bad')if input() else sys.exit(3)", "the interactor failed"),
        ("import sys\ninput()\nsys.stderr.write('I am lost')\nsys.exit(3)", "failed: I am lost"),
        ("import os\nos.abort()", "breaks too when nothing is said to it"),
        (SILENT, "slept on when the program had ended"),
        ("input()\n" + SILENT, "slept on when the program had ended"),
        ("import sys\nsys.exit(7)", "gave points"),
    ],
)
def test_an_interactor_that_is_at_fault_breaks_the_tests(
    interactor: str, words: str, box: LocalBox
) -> None:
    source = RIGHT.replace("print(guess, flush=True)", "print('' , flush=True)")
    with pytest.raises(TestsBroken, match=words):
        talk(box, source if "bad" in interactor else RIGHT, interactor)


@pytest.mark.slow
def test_an_interactor_that_runs_for_ever_breaks_the_tests(box: LocalBox) -> None:
    with pytest.raises(TestsBroken, match="breaks too when nothing is said to it"):
        limits = Limits(cpu_s=0.5, wall_s=2, memory_mb=256)
        talk(box, RIGHT, "import os\nos.fork()\nwhile True: pass", limits=limits)


@pytest.mark.parametrize(
    "source",
    ["pass", "print('x')", "print('x', flush=True)\ninput()", "print('\\0' * 99_999)", "print(50)"],
)
def test_a_program_that_breaks_a_trusting_interactor_is_wrong(source: str, box: LocalBox) -> None:
    verdict = talk(box, source, NAIVE)
    assert verdict.kind is Kind.WRONG, verdict
    assert "broke on what was said" in why(verdict)
    assert talk(box, RIGHT, NAIVE).ok


def test_points_of_an_interactor_are_shares(box: LocalBox) -> None:
    game = GAME.replace("sys.exit(0)", "sys.stderr.write('points 0.5')\n        sys.exit(7)")
    game = game.replace('sys.stderr.write("found\\n")', "")
    verdict = talk(box, RIGHT, game)
    assert (verdict.kind, why(verdict)) == (Kind.WRONG, "the interactor says: points 0.5")


def test_the_interactor_gets_input_answer_and_a_place_for_its_output(box: LocalBox) -> None:
    interactor = Program.python(
        "import sys, beside\n"
        "assert sys.argv[1:] == ['input', 'output', 'answer', 'more'], sys.argv\n"
        "assert open('input').read() == 'in', 1\n"
        "assert open('answer').read() == 'ž\\n', 2\n"
        "open('output', 'w').write('noted')\n"
        "sys.exit(input() != beside.WORD)"
    )
    interactor = Program(
        source=interactor.source, argv=("more",), files={"beside.py": b"WORD = 'hey'"}
    )
    tests = InteractiveTests(
        interactor=interactor, cases=(InteractiveCase(input="in", answer="ž\n"),)
    )
    assert box.judge(Program.python("print('hey')"), tests, LIMITS).ok
    verdict = box.judge(Program.python("print('ho')"), tests, LIMITS)
    assert verdict.kind is Kind.WRONG
    assert verdict.first_failure is not None
    assert verdict.first_failure.expected == "'ž\\n'"


@pytest.mark.slow
def test_judging_ends_at_the_first_failure_and_leaves_nothing_behind(box: LocalBox) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        verdict = talk(box, RIGHT, numbers=(1, 101, 3))
        assert (verdict.kind, verdict.passed, len(verdict.outcomes)) == (Kind.WRONG, 1, 2)
        talk(box, SILENT, idle_s=0.2)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.slow
def test_a_box_that_is_lost_in_the_middle_is_no_verdict(box: LocalBox) -> None:
    own = LocalBox(box.name)  # type: ignore[arg-type]
    assert talk(own, RIGHT).ok
    victim = own.slot("tests")

    def kill() -> None:
        time.sleep(0.5)
        assert victim._guard is not None
        victim._guard.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(SandboxBroken):
        talk(own, SILENT, idle_s=9)
    thread.join()
    until = time.monotonic() + 10  # it was killed, and a busy machine takes its time
    while stillness.glance(own.slot("candidate").pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert stillness.glance(own.slot("candidate").pid) is None, "the program was ended with it"
    assert talk(own, RIGHT).ok, "and the box goes on"
    own.close()


# Programs that do not know the number and want to be told "found".
HACKS = {
    "says all numbers before it is asked": "for n in range(1, 101): print(n, flush=True)",
    "says all numbers in one line": "print(*range(1, 101), flush=True)\ninput()",
    "says what the interactor says": "print('yes', flush=True)\nprint('found', flush=True)",
    "says it on stderr and ends well": (
        "import sys\nsys.stderr.write('found\\n')\nprint('yes', flush=True)\nsys.exit(0)"
    ),
    "ends with a code that it likes": "import os\nos.write(1, b'1\\n')\nos._exit(0)",
    "writes into its own stdin": "import os\nos.write(0, b'yes\\n')\nprint(1, flush=True)",
    "reads its own stdout": "import os\nprint(os.read(1, 9))",
    "reads the other end of its pipes": """
import os
for fd in (0, 1):
    for mode in (os.O_RDONLY | os.O_NONBLOCK, os.O_WRONLY | os.O_NONBLOCK):
        try:
            other = os.open(f"/proc/self/fd/{fd}", mode)
            os.write(other, b"yes\\n") if mode & os.O_WRONLY else os.read(other, 99)
        except OSError:
            pass
""",
    "reads the interactor's memory and descriptors": """
import os
found = set()
for pid in os.listdir("/proc"):
    if not pid.isdecimal() or pid == str(os.getpid()):
        continue
    for name in ("mem", "cmdline", "fd/1", "cwd/input"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                found.add(file.read(99))
        except OSError:
            pass
print(next((int(x) for x in found if x.strip().isdigit()), 1), flush=True)
""",
    "looks for the interactor's files": """
import os
for name in ("input", "answer", "../input", "/box/work/input", "/proc/1/cwd/input", "/input"):
    try:
        print(int(open(name).read()), flush=True)
    except (OSError, ValueError):
        pass
""",
    "looks into other work folders": """
import glob
for name in glob.glob("/tmp/*/input") + glob.glob("/var/tmp/*/input") + glob.glob("/*/*/input"):
    try:
        print(int(open(name).read()), flush=True)
    except (OSError, ValueError):
        pass
""",
    "leaves an input of its own": """
for name in ("input", "output", "answer"):
    open(name, "w").write("1")
print(1, flush=True)
""",
    "fills the pipe": "while True: print(1, flush=True)",
    "fills the pipe without a line's end": "while True: print('1' * 4096, end='', flush=True)",
    "fills the pipe and then sleeps": "print('x' * 60_000, end='', flush=True)\n" + SILENT,
    "sleeps for ever": SILENT,
    "exits without a word": "import sys\nsys.exit(0)",
    "closes its stdout and waits": "import os\nos.close(1)\ninput()",
    "hands its pipes to a child": (
        "import os\nif os.fork(): os._exit(0)\nprint(1, flush=True)\n" + SILENT
    ),
}


@pytest.mark.parametrize("name", HACKS)
def test_a_trick_does_not_win_the_game(name: str, box: LocalBox) -> None:
    verdict = talk(box, HACKS[name])
    assert verdict.kind in (Kind.WRONG, Kind.CRASHED, Kind.TIMEOUT), verdict
    assert talk(box, RIGHT).ok
    assert talk(box, "print(1, flush=True)\ninput()\n" * 7).kind is Kind.WRONG


@pytest.mark.parametrize("name", [name for name in HACKS if name.startswith(("reads", "looks"))])
def test_the_restricted_box_shows_nothing_of_the_interactor(
    name: str, box_of: Callable[[BoxName], LocalBox]
) -> None:
    box = box_of("restricted")
    verdict = talk(box, HACKS[name])
    assert verdict.kind in (Kind.WRONG, Kind.CRASHED, Kind.TIMEOUT), verdict
    assert talk(box, RIGHT).ok


FOR_NOBODY = """
import json, sys
from sandbox import *
from sandbox.box import LocalBox
kind, game, right = sys.argv[1:]
box = LocalBox(kind)
def talk(source):
    tests = InteractiveTests(
        interactor=Program.python(game), cases=(InteractiveCase(input="37"),), idle_s=0.7
    )
    verdict = box.judge(Program.python(source), tests, Limits(cpu_s=1, wall_s=10, memory_mb=256))
    return [verdict.kind, verdict.first_failure.reason if verdict.first_failure else ""]
checker = Program.python("import sys\\nsys.exit(open('output').read() != open('answer').read())")
case = StdioCase(stdin="", stdout="1\\n")
tests = StdioTests(cases=(case,), checker=checker)
sleeps, floods = "import time\\ntime.sleep(99)", "while True: print(1, flush=True)"
found = [talk(program) for program in (right, sleeps, floods)]
found += [box.judge(Program.python(f"print({n})"), tests, Limits()).kind for n in (1, 2)]
box.close()
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["namespace", "restricted"])
def test_a_user_without_rights_judges_the_same(kind: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user; the other tests ran unprivileged")
    here = Path(__file__).parent
    checkout, site = str(here.parents[1]), sysconfig.get_path("purelib")
    base = os.path.realpath(sys.base_prefix)
    needed = ":".join([base, checkout, *([] if site.startswith(checkout) else [site])])
    done = subprocess.run(
        [sys.executable, here / "nobody.py", os.path.realpath(sys.executable), needed,
         *("-c", FOR_NOBODY, kind, GAME, RIGHT)],
        env={"PATH": os.defpath, "PYTHONPATH": f"{checkout}:{site}"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if "SandboxUnavailable" in done.stderr:
        pytest.skip(done.stderr.strip().rpartition("\n")[2])
    assert done.returncode == 0, done.stderr[-2000:]
    won, slept, guessed, accepted, rejected = json.loads(done.stdout)
    assert won == ["passed", ""]
    assert slept[0] == "timeout" and "nothing moved" in slept[1]
    assert guessed == ["wrong", "the interactor says: too many guesses"]
    assert (accepted, rejected) == ("passed", "wrong")
