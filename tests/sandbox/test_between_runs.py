"""What one run could leave to the next, and what a run's files may do to whoever reads them."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import AssertTests, Kind, Limits, Program
from sandbox.box import BoxName, LocalBox
from sandbox.slot import Slot

LIMITS = Limits(cpu_s=5, wall_s=20, memory_mb=512)
BOXES: list[BoxName] = ["namespace", "restricted"]
in_each_box = pytest.mark.parametrize("name", BOXES)

# Finds every marker in its own memory: objects, and each readable page. It knows the markers' form
# but not their digits, so it cannot find what it was told.
SCAN = r"""
import ctypes, gc, re
own = "seed-marker-" + OWN
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # its own memory is closed to it otherwise
form = re.compile(rb"seed-marker-([0-9a-f]{16})")
found = set()
for thing in gc.get_objects():
    if isinstance(thing, dict):
        for value in list(thing.values()):
            if isinstance(value, str):
                found |= set(form.findall(value.encode("utf-8", "replace")))
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
    for line in maps.read().splitlines():
        span, rights = line.split()[:2]
        low, high = (int(x, 16) for x in span.split("-"))
        if rights[0] == "r" and "[v" not in line:
            try:
                memory.seek(low)
                found |= set(form.findall(memory.read(high - low)))
            except (OSError, ValueError):
                pass
print(*sorted(x.decode() for x in found))
"""


def _marker() -> str:
    return secrets.token_hex(8)


def _scan(slot: Slot) -> set[str]:
    """Return the markers that a new run of the slot finds, its own taken out."""
    own = _marker()
    # The digits come apart, so that the source is no marker; the program joins them.
    source = f"OWN = {own[:8]!r} + {own[8:]!r}\n{SCAN}"
    outcome = slot.run(Program.python(source), LIMITS)
    assert outcome.kind is Kind.PASSED, outcome.stderr
    found = set(outcome.stdout.split())
    assert own in found, "the scan does not find what is there"
    return found - {own}


def test_no_run_finds_the_source_stdin_files_or_output_of_an_earlier_run(box: LocalBox) -> None:
    slot = box.slot("candidate")
    markers = [_marker() for _ in range(5)]
    texts = [f"seed-marker-{one}" for one in markers]
    program = Program(
        source=f"a = {texts[0]!r} + input()\nprint(a, {texts[4]!r})\nb = [a] * 1000",
        stdin=texts[1],
        argv=(texts[2],),
        files={"data.txt": texts[3].encode()},
    )
    for _ in range(20):
        assert slot.run(program, LIMITS).kind is Kind.PASSED
    assert _scan(slot).isdisjoint(markers)


def test_no_candidate_finds_the_tests_of_an_earlier_judgement(box: LocalBox) -> None:
    marker = _marker()
    tests = AssertTests(
        entry_point="f",
        test=f"secret = 'seed-marker-{marker}'\nassert candidate(1) == 2, secret",
    )
    for _ in range(10):
        assert box.judge(Program.python("def f(x): return x + 1"), tests, LIMITS).ok
        assert not box.judge(Program.python("def f(x): return x"), tests, LIMITS).ok
    assert marker not in _scan(box.slot("candidate"))
    # The tests' own zygote forgets them too, although no candidate ever runs there.
    assert marker not in _scan(box.slot("tests"))


@in_each_box
def test_nothing_that_a_run_wrote_is_there_for_the_next(
    name: BoxName, box_of: Callable[[BoxName], LocalBox]
) -> None:
    box = box_of(name)
    write = """
import os, tempfile
for folder in (".", "/tmp", "/dev/shm", "/var/tmp", tempfile.gettempdir(), os.environ["HOME"]):
    try:
        open(os.path.join(folder, "left"), "w").write("x")
        os.makedirs(os.path.join(folder, "deep/er"))
    except OSError:
        pass
print(sorted(os.listdir(".")))
"""
    first = box.run(Program.python(write), LIMITS)
    assert "left" in first.stdout
    look = """
import os, tempfile
for folder in (".", "/tmp", "/dev/shm", "/var/tmp", tempfile.gettempdir(), os.environ["HOME"]):
    try:
        names = os.listdir(folder)
    except OSError:
        continue
    if {"left", "deep"} & set(names):
        print("found", folder, names)
print("looked")
"""
    assert box.run(Program.python(look), LIMITS).stdout == "looked\n"


def test_what_a_run_changes_in_modules_and_environment_is_gone_in_the_next(box: LocalBox) -> None:
    change = "import math, os, builtins, json\nmath.pi = 3\nos.environ['X'] = '1'\nbuiltins.y = 2"
    assert box.run(Program.python(change), LIMITS).kind is Kind.PASSED
    look = "import math, os\nprint(math.pi > 3.1, os.environ.get('X'), 'y' in dir(__builtins__))"
    assert box.run(Program.python(look), LIMITS).stdout == "True None False\n"


@in_each_box
def test_set_order_is_the_same_in_every_run_and_random_numbers_are_not(
    name: BoxName, box_of: Callable[[BoxName], LocalBox]
) -> None:
    box = box_of(name)
    ordered = Program.python("print(list({'a', 'bb', 'ccc', 'dddd', 'e' * 5}), hash('x'))")
    assert len({box.run(ordered, LIMITS).stdout for _ in range(5)}) == 1
    drawn = Program.python(
        "import os, random, uuid, secrets, tempfile\n"
        "print(random.random(), random.randrange(10**9), uuid.uuid4(), secrets.token_hex(8), "
        "os.urandom(4).hex(), tempfile.mktemp())"
    )
    lines = [box.run(drawn, LIMITS).stdout.split() for _ in range(5)]
    for column in zip(*lines, strict=True):
        assert len(set(column)) == 5


def test_a_module_that_a_program_brings_draws_other_numbers_in_every_run(box: LocalBox) -> None:
    program = Program(
        source="import drawing\nprint(drawing.number())",
        files={"drawing.py": b"import random\ndef number(): return random.random()\n"},
    )
    assert len({box.run(program, LIMITS).stdout for _ in range(4)}) == 4


def test_numpy_draws_other_numbers_in_every_run(box: LocalBox) -> None:
    pytest.importorskip("numpy")
    drawn = Program.python(
        "import numpy\nprint(numpy.random.rand(), numpy.random.default_rng().random())"
    )
    lines = [box.run(drawn, LIMITS).stdout.split() for _ in range(3)]
    for column in zip(*lines, strict=True):
        assert len(set(column)) == 3


def test_the_clock_runs(box: LocalBox) -> None:
    source = "import time\na = time.time(), time.monotonic()\nprint(a[0])"
    first, second = (float(box.run(Program.python(source), LIMITS).stdout) for _ in range(2))
    assert first < second < first + 60


NAMES = ("plain", "link", "hard", "fifo", "folder", "sub/inner", "sparse", "escape", "missing")


@in_each_box
def test_only_regular_files_of_the_work_folder_are_brought_back(
    name: BoxName, box_of: Callable[[BoxName], LocalBox], tmp_path: Path
) -> None:
    box = box_of(name)
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    source = f"""
import os
open("plain", "w").write("fine")
os.symlink({str(secret)!r}, "link")
os.mkfifo("fifo")
os.mkdir("folder")
os.mkdir("sub")
open("sub/inner", "w").write("deep")
os.symlink("..", "escape")
with open("sparse", "wb") as file:
    file.truncate(1 << 20)
try:
    os.link({str(secret)!r}, "hard")
except OSError as error:
    print(error)
"""
    outcome = box.run(Program.python(source), LIMITS, NAMES)
    assert outcome.kind is Kind.PASSED, outcome.stderr
    assert set(outcome.files) == {"plain", "sub/inner", "sparse"}
    assert outcome.files["plain"] == b"fine"
    assert outcome.files["sub/inner"] == b"deep"
    assert outcome.files["sparse"] == bytes(1 << 20)


@in_each_box
def test_names_to_bring_back_cannot_lead_out_of_the_work_folder(
    name: BoxName, box_of: Callable[[BoxName], LocalBox]
) -> None:
    box = box_of(name)
    source = "import os\nos.symlink('/etc', 'etc')\nos.symlink('/', 'root')"
    names = ("../../etc/passwd", "/etc/passwd", "etc/passwd", "root/etc/passwd", "..", ".", "")
    assert box.run(Program.python(source), LIMITS, names).files == {}


def test_a_work_folder_renamed_or_replaced_does_not_mislead(box: LocalBox, tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("SECRET")
    source = f"""
import os
os.mkdir("work")
open("work/out.txt", "w").write("inner")
os.symlink({str(tmp_path)!r}, "elsewhere")
os.chdir("work")
"""
    files = box.run(Program.python(source), LIMITS, ("out.txt", "elsewhere/out.txt")).files
    assert files == {}


@in_each_box
def test_no_exit_of_a_program_looks_like_our_own_failure(
    name: BoxName, box_of: Callable[[BoxName], LocalBox]
) -> None:
    box = box_of(name)
    for code in (0, 1, 2, 119, 120, 121, 255):
        outcome = box.run(Program.python(f"import os\nos._exit({code})"), LIMITS)
        assert outcome.exit_code == code
    for number in (1, 2, 3, 6, 9, 11, 13, 15, 31):
        source = (
            f"import os, signal\nsignal.signal({number}, signal.SIG_DFL)"
            if number not in (9,)
            else "import os"
        )
        outcome = box.run(
            Program.python(f"{source}\nos.kill(os.getpid(), {number})\nwhile True: pass"), LIMITS
        )
        assert outcome.signal == number
        assert outcome.kind in (Kind.CRASHED, Kind.FORBIDDEN)


def test_nothing_of_our_environment_reaches_a_program(
    box_of: Callable[[BoxName], LocalBox],
) -> None:
    os.environ["SEEDCODER_SECRET_FOR_TEST"] = "secret-4711"
    try:
        for name in BOXES:
            with_own_zygote = Slot(name)
            try:
                shown = with_own_zygote.run(
                    Program.python(
                        "import os, subprocess, sys\nprint(dict(os.environ))\n"
                        "print(subprocess.run(['env'], capture_output=True, text=True).stdout)"
                    ),
                    LIMITS,
                )
            finally:
                with_own_zygote.close()
            assert shown.kind is Kind.PASSED
            assert "secret-4711" not in shown.stdout
            assert "SEEDCODER" not in shown.stdout
    finally:
        del os.environ["SEEDCODER_SECRET_FOR_TEST"]


@in_each_box
@pytest.mark.parametrize(
    "limits", [{"cpu_s": 1e-6}, {"wall_s": 1e-6}, {"cpu_s": 1e-6, "wall_s": 1e-6}]
)
def test_a_limit_over_before_the_program_starts_is_a_timeout(
    name: BoxName, limits: dict[str, float], box_of: Callable[[BoxName], LocalBox]
) -> None:
    box = box_of(name)
    endless = box.run(Program.python("while True: pass"), Limits(**{"wall_s": 20.0, **limits}))
    assert endless.kind is Kind.TIMEOUT
    assert box.run(Program.python("print(1)"), LIMITS).stdout == "1\n"


INHERITED_SIGNALS = """
import json, signal, sys
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
from sandbox import Limits, Program
from sandbox.box import LocalBox
box = LocalBox(sys.argv[1])
source = '''
import signal
for number in sorted(signal.valid_signals()):
    if signal.getsignal(number) is signal.SIG_IGN:
        print("ignored", signal.Signals(number).name)
print("blocked", sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))), flush=True)
signal.raise_signal(signal.SIGHUP)
'''
outcome = box.run(Program.python(source), Limits(cpu_s=2, wall_s=10, memory_mb=256))
box.close()
print(json.dumps([outcome.kind, outcome.stdout]))
"""


@pytest.mark.slow
@in_each_box
def test_what_the_judging_process_ignores_no_program_ignores(
    name: BoxName, box_of: Callable[[BoxName], LocalBox]
) -> None:
    box_of(name)  # skips where there is none
    command = [sys.executable, "-c", INHERITED_SIGNALS, name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    kind, said = json.loads(done.stdout)
    assert said.split() == ["ignored", "SIGPIPE", "ignored", "SIGXFSZ", "blocked", "[]"]
    assert kind == Kind.CRASHED, "a hang-up did not end it"
