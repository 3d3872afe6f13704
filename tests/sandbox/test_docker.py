"""The docker box against a real engine: its containers, their limits and their ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import (
    AssertTests,
    CallTests,
    Kind,
    Limits,
    Pool,
    Program,
    ProjectTests,
    SandboxBroken,
    SandboxUnavailable,
    StdioTests,
    open_box,
)
from sandbox.containers import DockerBox, engine, seccomp
from sandbox.inside import syscall_filter
from sandbox.project.snapshot import Snapshot

pytestmark = pytest.mark.docker
CHECKOUT = Path(__file__).resolve().parents[2]
IMAGE = "seedcoder-sandbox:minimal"
LIMITS = Limits(cpu_s=2, wall_s=10, memory_mb=128)
ADDING = "def f(x): return x + 1"


@pytest.fixture(scope="module")
def exec_box(docker_engine: Any) -> Iterator[DockerBox]:
    """A box whose runs each have a container of their own."""
    made = DockerBox(IMAGE, transport="exec")
    yield made
    made.close()


def _judges(box: Any) -> None:
    """Right passes and wrong fails, in every way of judging."""
    for source, ok in ((ADDING, True), ("def f(x): return x", False)):
        program = Program.python(source)
        assert box.judge(program, CallTests.of("f", ([1], 2), ([5], 6)), LIMITS).ok is ok
        asserting = AssertTests(test="assert candidate(1) == 2", entry_point="f")
        verdict = box.judge(program, asserting, LIMITS)
        assert (verdict.ok, verdict.mode) == (ok, "proxy")
        shared = AssertTests(
            test="assert candidate(lambda: 1) == 2", entry_point="f", mode="shared"
        )
        called = Program.python(source.replace("return x", "return x()"))
        assert box.judge(called, shared, LIMITS).ok is ok
    for expected, ok in (("abc\n", True), ("abd\n", False)):
        tests = StdioTests.of(("abc\n", expected))
        assert box.judge(Program.python("print(input())"), tests, LIMITS).ok is ok


@pytest.mark.slow
def test_a_box_is_opened_by_name_and_judges_in_every_way(docker_engine: Any) -> None:
    with_name: Any = open_box(f"docker:{IMAGE}", require="docker")
    try:
        assert (with_name.name, with_name.kind) == (f"docker:{IMAGE}", "docker")
        _judges(with_name)
    finally:
        ids = {slot.container_id for slot in with_name.slots}
        with_name.close()
    assert len(ids) == 2, "programs and tests do not share a container"
    assert ids.isdisjoint(docker_engine.running(os.getpid()))


def test_an_image_that_is_not_there_is_said_in_one_line(docker_engine: Any) -> None:
    with pytest.raises(SandboxUnavailable, match="no image 'absent' here"):
        open_box("docker:absent")


@pytest.mark.slow
def test_no_engine_is_said_in_one_line(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "seedcoder", "sandbox", "run", "--box", "docker", "-"],
        input="print(1)",
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        env={**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/none"},
    )
    assert said.returncode == 3
    assert len(said.stderr.splitlines()) == 1
    assert "no container engine answers" in said.stderr


MISBEHAVING: list[tuple[str, Kind]] = [
    ("print(1)", Kind.PASSED),
    ("while True: pass", Kind.TIMEOUT),
    ("import time; time.sleep(60)", Kind.TIMEOUT),
    ("x = bytearray(10**9)", Kind.MEMORY),
    ("import sys\nwhile True: sys.stdout.write('y' * 10**6)", Kind.OUTPUT),
    ("import os; os.abort()", Kind.CRASHED),
    ("import ctypes; ctypes.CDLL(None).mount(b'a', b'/tmp', b'tmpfs', 0, 0)", Kind.FORBIDDEN),
    (  # each smaller than the zygote, which the kernel would rather kill
        "import os, time\nkept = []\n"
        "for _ in range(28):\n    if os.fork() == 0:\n"
        "        kept = bytearray(os.urandom(1 << 20)) * 7\n        time.sleep(60)\n"
        "time.sleep(60)",
        Kind.MEMORY,
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("source", "kind"), MISBEHAVING)
@pytest.mark.parametrize("transport", ["zygote", pytest.param("exec", marks=pytest.mark.slow)])
def test_each_way_to_misbehave_has_its_own_verdict(
    source: str, kind: Kind, transport: str, docker_box: DockerBox, exec_box: DockerBox
) -> None:
    box = docker_box if transport == "zygote" else exec_box
    limits = Limits(cpu_s=1, wall_s=4, memory_mb=96, output_kb=64)
    assert box.run(Program.python(source), limits).kind is kind
    assert box.run(Program.python("print(2 + 3)"), limits).stdout == "5\n"


def test_nothing_is_left_between_runs(docker_box: DockerBox) -> None:
    leaving = """
import os, socket
for folder in ("/tmp", "/dev/shm"):
    os.makedirs(f"{folder}/a/b")
    open(f"{folder}/a/c", "w").write("x")
    os.chmod(f"{folder}/a", 0)
    for change in (lambda: os.chmod(folder, 0o700), lambda: os.utime(folder, (1, 1)),
                   lambda: os.setxattr(folder, "user.word", b"x")):
        try:
            change()
            print("changed", folder)
        except OSError:
            pass
if os.fork() == 0:
    os.setsid()
    link = socket.socket(socket.AF_UNIX)
    link.bind("\\0left")
    import time
    time.sleep(60)
"""
    looking = """
import os, socket
print([os.listdir(folder) for folder in ("/tmp", "/dev/shm")])
try:
    socket.socket(socket.AF_UNIX).connect("\\0left")
    print("connected")
except OSError:
    pass
print(len([name for name in os.listdir("/proc") if name.isdigit()]))
"""
    for _ in range(2):
        assert docker_box.run(Program.python(leaving), LIMITS).stdout == ""
        seen = docker_box.run(Program.python(looking), LIMITS).stdout
        assert seen == "[['main.py'], []]\n3\n"  # keeper, zygote, and the program itself


@pytest.mark.slow
def test_a_killed_container_costs_its_run_and_is_replaced(docker_box: DockerBox) -> None:
    slot: Any = docker_box.slot("candidate")
    assert docker_box.run(Program.python("print(1)"), LIMITS).kind is Kind.PASSED
    container = slot.container_id
    client = engine.connect()
    timer = threading.Timer(1.0, lambda: client.containers.get(container).kill())
    timer.start()
    with pytest.raises(SandboxBroken):
        docker_box.run(Program.python("import time; time.sleep(8)"), LIMITS)
    timer.join()
    client.close()
    assert docker_box.run(Program.python("print(1)"), LIMITS).kind is Kind.PASSED
    assert slot.container_id not in ("", container)


@pytest.mark.slow
def test_a_killed_container_of_one_run_is_no_verdict(exec_box: DockerBox) -> None:
    killed: list[str] = []

    def kill() -> None:
        client = engine.connect()
        deadline = time.monotonic() + 8
        while not killed and time.monotonic() < deadline:
            with contextlib.suppress(*engine.failures()):  # others come and go meanwhile
                for one in client.api.containers(filters={"label": engine.LABEL}):
                    if "sleep" in str(client.api.top(one["Id"], "-eo pid,comm")["Processes"]):
                        client.api.kill(one["Id"])
                        killed.append(one["Id"])
            time.sleep(0.1)
        client.close()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(SandboxBroken):
        exec_box.execute(("sleep", "9"), LIMITS)
    killer.join()
    assert killed
    assert exec_box.execute(("sh", "-c", "exit 3"), LIMITS).exit_code == 3


@pytest.mark.slow
def test_two_boxes_at_once_do_not_see_each_other(docker_box: DockerBox, docker_engine: Any) -> None:
    other = DockerBox(IMAGE)
    found: list[str] = []
    source = """
import os, time
open(f"/tmp/mine-{os.getpid()}", "w").close()
time.sleep(1.0)
print(len(os.listdir("/tmp")), len([x for x in os.listdir("/proc") if x.isdigit()]))
"""

    def run(box: DockerBox) -> None:
        found.append(box.run(Program.python(source), LIMITS).stdout)

    threads = [threading.Thread(target=run, args=(box,)) for box in (docker_box, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert found == ["2 3\n", "2 3\n"]


@pytest.mark.slow
def test_a_pool_opens_a_box_a_worker(docker_engine: Any) -> None:
    with Pool(2, box=f"docker:{IMAGE}", confirm_timeouts=False) as pool:
        assert pool.box_name == f"docker:{IMAGE}"
        outcomes = [pool.submit(Program.python(f"print({n})")) for n in range(20)]
        assert [getattr(one.result(), "stdout", "") for one in outcomes] == [
            f"{n}\n" for n in range(20)
        ]
    assert pool.box_name


JUDGING = """
import sys
from sandbox import Limits, Program
from sandbox.containers import DockerBox
box = DockerBox(sys.argv[1], transport=sys.argv[2])
print("started", flush=True)
busy = "import os, time\\nif os.fork() == 0: os.setsid()\\nwhile True: time.sleep(1)"
box.run(Program.python(busy), Limits(cpu_s=60, wall_s=120))
"""


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["zygote", "exec"])
def test_no_container_is_left_when_the_judging_process_is_killed(
    transport: str, docker_engine: Any
) -> None:
    judging = subprocess.Popen(
        [sys.executable, "-c", JUDGING, IMAGE, transport],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    assert judging.stdout is not None
    assert judging.stdout.readline() == "started\n"
    time.sleep(1.5)
    assert docker_engine.running(judging.pid)
    judging.send_signal(signal.SIGKILL)
    judging.wait(20)
    deadline = time.monotonic() + 20
    while (left := docker_engine.running(judging.pid)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


def test_containers_of_dead_supervisors_are_removed_and_others_kept(docker_engine: Any) -> None:
    client = engine.connect()
    mine = engine.labels()
    dead = {**mine, "seedcoder.owner": re.sub(r" \S+ \S+$", " 999999 1", mine["seedcoder.owner"])}
    made = {
        name: client.containers.create(IMAGE, "sleep 60", labels=labels, network_mode="none")
        for name, labels in (("dead", dead), ("mine", mine))
    }
    try:
        engine.remove_orphans(client)
        left = {one.id for one in client.containers.list(all=True)}
        assert made["dead"].id not in left
        assert made["mine"].id in left
    finally:
        for one in made.values():
            engine.remove(one)
        client.close()


@pytest.mark.slow
def test_a_command_gets_files_and_stdin_and_leaves_regular_files_only(exec_box: DockerBox) -> None:
    script = (
        "cat a/b.txt -; echo out > kept; ln -s /etc/passwd link; ln kept hard; mkfifo fifo;"
        " mkdir d; id -u; touch /etc/x"
    )
    outcome = exec_box.execute(
        ("sh", "-c", script),
        Limits(cpu_s=2, wall_s=10, memory_mb=128, disk_mb=2, output_kb=512),
        files={"a/b.txt": b"file "},
        stdin=b"s" * 200_000,
        environment={"WORD": "w"},
        collect=(
            "kept",
            "hard",
            "link",
            "fifo",
            "d",
            "absent",
            "../etc/passwd",
            "a/b.txt",
        ),
    )
    assert outcome.stdout.startswith("file sssss")
    assert outcome.stdout.count("s") > 200_000 - 1
    assert outcome.files == {"kept": b"out\n", "hard": b"out\n", "a/b.txt": b"file "}
    assert "Read-only" in outcome.stderr


@pytest.mark.slow
def test_a_folder_of_the_image_can_be_written_in_that_container_only(exec_box: DockerBox) -> None:
    argv = ("sh", "-c", "pwd; cat added; ls; echo changed > /usr/share/mark; cat /usr/share/mark")
    for _ in range(2):
        outcome = exec_box.execute(
            argv, LIMITS, files={"added": b"text\n"}, workdir="/usr/share/doc", collect=("added",)
        )
        assert outcome.stdout.startswith("/usr/share/doc\ntext\n")
        assert outcome.stdout.endswith("changed\n")
        assert outcome.files == {"added": b"text\n"}
    assert exec_box.execute(("cat", "/usr/share/mark"), LIMITS).exit_code == 1


@pytest.mark.slow
def test_without_a_zygote_scripts_are_judged_and_calls_refused(exec_box: DockerBox) -> None:
    tests = StdioTests.of(("abc\n", "abc\n"))
    assert exec_box.judge(Program.python("print(input())"), tests, LIMITS).ok
    assert exec_box.judge(Program.python("print(1)"), tests, LIMITS).kind is Kind.WRONG
    with pytest.raises(SandboxUnavailable, match=r"Python 3\.11"):
        exec_box.judge(Program.python(ADDING), CallTests.of("f", ([1], 2)), LIMITS)


@pytest.mark.slow
def test_a_patch_is_judged_in_a_container(docker_box: DockerBox, tmp_path: Path) -> None:
    (tmp_path / "adder.py").write_text("def add(a, b):\n    return a - b\n")
    (tmp_path / "check.py").write_text(
        "import sys\nfrom adder import add\nbad = add(2, 3) != 5\n"
        "fail = '<failure message=\"no\"/>' if bad else ''\n"
        "open(sys.argv[1], 'w').write('<testsuite name=\"s\" tests=\"1\"><testcase '"
        ' f\'classname="check" name="test_add">{fail}</testcase></testsuite>\')\n'
        "sys.exit(bad)\n"
    )
    tests = ProjectTests(
        snapshot=Snapshot.folder(tmp_path),
        fail_to_pass=("check.py::test_add",),
        command=("/usr/bin/python3", "check.py", "{junit}"),
        canaries=False,
    )
    patch = (
        "--- a/adder.py\n+++ b/adder.py\n@@ -1,2 +1,2 @@\n def add(a, b):\n"
        "-    return a - b\n+    return a + b\n"
    )
    limits = Limits(cpu_s=10, wall_s=60, memory_mb=256)
    right = docker_box.judge(Program(language="diff", source=patch), tests, limits)
    assert right.ok, right.first_failure
    wrong = docker_box.judge(Program(language="diff", source=""), tests, limits)
    assert not wrong.ok
    assert wrong.total == 1


def test_the_image_is_listed(docker_engine: Any) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "seedcoder", "sandbox", "image", "list"],
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
    )
    assert said.returncode == 0
    assert re.search(rf"^{IMAGE} .* ours$", said.stdout, re.MULTILINE)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_profile_lets_nothing_through_that_our_filter_refuses(machine: str) -> None:
    rules = seccomp.profile(machine)["syscalls"]
    allowed = {
        name
        for rule in rules
        if rule["action"] == "SCMP_ACT_ALLOW" and not rule["args"]
        for name in rule["names"]
    }
    lists = (
        syscall_filter.KILLED, syscall_filter.REFUSED, syscall_filter.ABSENT,
        syscall_filter.OF_ITSELF, syscall_filter.ZYGOTE_KILLED, syscall_filter.ZYGOTE_REFUSED,
    )  # fmt: skip
    for calls in lists:
        assert allowed.isdisjoint(calls)
    assert allowed.isdisjoint(("socket", "socketpair", "clone", "ioctl", "setpriority"))
    assert {"read", "execve", "futex", "seccomp"} <= allowed


@pytest.mark.parametrize("run", [seccomp.profile])
def test_a_processor_without_numbers_has_no_profile(run: Callable[[str], Any]) -> None:
    with pytest.raises(ValueError, match="riscv64"):
        run("riscv64")
