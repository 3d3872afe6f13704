"""Run folders: who may write, what is resumed, and what a kill, a full disk or a thief leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from seedcoder.errors import RunBusy, UsageError
from seedcoder.run import Run

RECIPE = {"bench": "humaneval", "samples": 1, "limits": {"cpu_s": 3.0}}
DATA = {"HumanEval.jsonl.gz": "0" * 64}
FACTS = {"machine": {"cpu": "one"}, "box": "namespace"}


def open_run(root, recipe=RECIPE, data=DATA, facts=FACTS, name="demo"):
    return Run.open(root, verb="eval", name=name, recipe=recipe, data_sha256=data, facts=facts)


def row(key, **more):
    return {"kind": "sample", "key": key, **more}


def test_the_same_recipe_goes_on_where_it_stopped(tmp_path):
    with open_run(tmp_path) as run:
        run.append(row("a", text="1"))
        first = run.folder
    with open_run(tmp_path) as run:
        assert run.folder == first
        assert run.rows() == [row("a", text="1")]
        run.append(row("b"))
        assert [r["key"] for r in run.rows()] == ["a", "b"]
        assert len(run.manifest["sittings"]) == 2
    assert first.parent == tmp_path
    verb, name, digits = first.name.split("-")
    assert (verb, name, len(digits)) == ("eval", "demo", 12)


def test_another_recipe_or_other_data_is_another_folder(tmp_path):
    folders = set()
    for recipe, data in (
        (RECIPE, DATA),
        ({**RECIPE, "samples": 2}, DATA),
        (RECIPE, {"HumanEval.jsonl.gz": "1" * 64}),
    ):
        with open_run(tmp_path, recipe, data) as run:
            folders.add(run.folder)
    assert len(folders) == 3


def test_machine_and_time_are_in_the_manifest_and_not_in_the_digest(tmp_path):
    with open_run(tmp_path, facts={"machine": {"cpu": "one"}}) as run:
        one = run.folder
    with open_run(tmp_path, facts={"machine": {"cpu": "two"}}) as run:
        assert run.folder == one
    manifest = json.loads((one / "manifest.json").read_text())
    assert manifest["recipe"] == RECIPE
    assert manifest["data_sha256"] == DATA
    assert manifest["machine"] == {"cpu": "two"}
    assert [sitting["machine"]["cpu"] for sitting in manifest["sittings"]] == ["one", "two"]
    assert all(sitting["begun"] <= sitting["ended"] for sitting in manifest["sittings"])


def test_notes_go_into_the_manifest_but_cannot_rename_the_run(tmp_path):
    with open_run(tmp_path) as run:
        run.note(box="restricted", seed=7)
        assert run.manifest["seed"] == 7
        with pytest.raises(ValueError, match="recipe"):
            run.note(recipe={})
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert (manifest["box"], manifest["seed"]) == ("restricted", 7)


def test_summary_and_report_are_written_whole(tmp_path):
    with open_run(tmp_path) as run:
        run.write_summary({"pass@1": 0.5})
        run.write_report("<html>\ud800</html>")
        run.write_report("<html>new</html>")
    assert json.loads((run.folder / "summary.json").read_text()) == {"pass@1": 0.5}
    assert (run.folder / "report.html").read_text() == "<html>new</html>"
    assert sorted(p.name for p in run.folder.iterdir()) == [
        ".lock",
        "manifest.json",
        "report.html",
        "rows.jsonl",
        "summary.json",
    ]


def test_a_run_is_read_back_for_more_rows_by_its_folder_alone(tmp_path):
    with open_run(tmp_path) as run:
        run.append(row("a"))
    with Run.read(run.folder) as again:
        assert again.manifest["recipe"] == RECIPE
        again.append({"kind": "verdict", "key": "a", "verdict": "WRONG"})
        assert len(again.rows()) == 2


def test_there_is_no_run_to_read_where_none_is(tmp_path):
    with pytest.raises(UsageError, match="no run folder"):
        Run.read(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"no manifest\.json"):
        Run.read(tmp_path)
    with open_run(tmp_path) as run:
        pass
    assert Run.read(run.folder).close() is None


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "a b", "x" * 200, "ü"])
def test_a_name_that_cannot_be_a_folders_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="name of a run"):
        open_run(tmp_path, name=name)
    assert list(tmp_path.iterdir()) == []


def change_manifest(folder: Path, change) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m["recipe"].update(samples=9), "recipe.samples is '9' there and '1' here"),
        (lambda m: m["recipe"]["limits"].update(cpu_s=3), "recipe.limits.cpu_s is '3' there"),
        (lambda m: m["recipe"].update(extra=1), "recipe.extra is '1' there and 'nothing' here"),
        (lambda m: m["data_sha256"].update({"HumanEval.jsonl.gz": "f" * 64}), "data_sha256"),
        (lambda m: m.update(digest="0" * 64), "does not match the folder's name"),
        (lambda m: m.update(name="other"), "does not match the folder's name"),
        (lambda m: m.pop("recipe"), "lacks 'recipe'"),
        (lambda m: m.update(format=99), "format 99"),
        (lambda m: m["recipe"].update(samples=float("nan")), "NaN"),
    ],
)
def test_a_manifest_that_does_not_belong_is_refused_and_its_rows_are_not_read(
    tmp_path, change, said
):
    with open_run(tmp_path) as run:
        run.append(row("stale"))
    change_manifest(run.folder, change)
    before = (run.folder / "rows.jsonl").read_bytes()
    with pytest.raises(UsageError) as caught:
        open_run(tmp_path)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError):
        Run.read(run.folder)
    assert (run.folder / "rows.jsonl").read_bytes() == before


def test_a_folder_under_another_name_is_refused(tmp_path):
    with open_run(tmp_path) as run:
        pass
    with open_run(tmp_path, {**RECIPE, "samples": 2}) as other:
        pass
    shutil.rmtree(other.folder)
    shutil.copytree(run.folder, other.folder)
    with pytest.raises(UsageError, match=r"another run: recipe\.samples"):
        open_run(tmp_path, {**RECIPE, "samples": 2})
    with pytest.raises(UsageError, match="does not match"):
        Run.read(other.folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00", "[" * 100_000])
def test_a_manifest_that_cannot_be_read_is_refused(tmp_path, content):
    with open_run(tmp_path) as run:
        run.append(row("a"))
    (run.folder / "manifest.json").write_text(content)
    with pytest.raises(UsageError, match=r"manifest\.json"):
        open_run(tmp_path)


def test_rows_without_a_manifest_are_refused(tmp_path):
    with open_run(tmp_path) as run:
        run.append(row("a"))
    (run.folder / "manifest.json").unlink()
    with pytest.raises(UsageError, match="rows but no manifest"):
        open_run(tmp_path)


def test_a_start_that_was_killed_before_the_manifest_is_begun_anew(tmp_path):
    with open_run(tmp_path) as run:
        pass
    for name in ("manifest.json", "rows.jsonl"):
        (run.folder / name).unlink()
    (run.folder / ".manifest.json.undone").write_text("{")
    with open_run(tmp_path) as run:
        assert run.rows() == []
    assert not (run.folder / ".manifest.json.undone").exists()


def test_a_second_writer_in_the_same_process_is_refused_and_the_first_unharmed(tmp_path):
    with open_run(tmp_path) as run:
        run.append(row("a"))
        with pytest.raises(RunBusy, match=f"process {os.getpid()}") as caught:
            open_run(tmp_path)
        assert caught.value.exit_code == 2
        run.append(row("b"))
        assert len(run.rows()) == 2
    with open_run(tmp_path) as run:
        assert len(run.rows()) == 2


HOLDER = """
import os, sys, time
from pathlib import Path
from seedcoder.run import Run

run = Run.open(Path(sys.argv[1]), verb="eval", name="demo", recipe={recipe!r},
               data_sha256={data!r}, facts={{}})
run.append({{"kind": "sample", "key": "held"}})
print("ready", flush=True)
if "fork" in sys.argv and os.fork() == 0:
    print(os.getpid(), flush=True)
time.sleep(60)
"""


def hold(root, *more):
    script = HOLDER.format(recipe=RECIPE, data=DATA)
    return subprocess.Popen(
        [sys.executable, "-c", script, str(root), *more], stdout=subprocess.PIPE, text=True
    )


def test_a_second_process_is_told_who_writes_and_the_lock_dies_with_the_first(tmp_path):
    holder = hold(tmp_path)
    assert holder.stdout.readline() == "ready\n"
    try:
        with pytest.raises(RunBusy, match=f"process {holder.pid}"):
            open_run(tmp_path)
        assert holder.poll() is None
    finally:
        holder.kill()
        holder.communicate()
    with open_run(tmp_path) as run:
        assert run.rows() == [row("held")]


def test_a_child_that_outlives_its_parent_does_not_keep_the_lock(tmp_path):
    holder = hold(tmp_path, "fork")
    assert holder.stdout.readline() == "ready\n"
    child = int(holder.stdout.readline())
    try:
        holder.kill()
        holder.wait()
        os.kill(child, 0)
        with open_run(tmp_path) as run:
            assert run.rows() == [row("held")]
    finally:
        os.kill(child, signal.SIGKILL)
        holder.stdout.close()


def in_own_mounts(tmp_path: Path, setup: str, script: str) -> dict:
    """Run a script in a mount namespace of its own after `setup`; what it prints is JSON."""
    mount = tmp_path / "mount"
    mount.mkdir()
    flags = ["--mount"] if os.geteuid() == 0 else ["--mount", "--map-root-user"]
    file = tmp_path / "script.py"
    file.write_text(textwrap.dedent(script))
    command = f"{setup} && exec {sys.executable} {file} {mount}"
    done = subprocess.run(
        ["unshare", *flags, "sh", "-c", f"cd {mount} && {command}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        check=False,
    )
    if done.returncode and ("unshare:" in done.stderr or "mount:" in done.stderr):
        pytest.skip(f"needs a mount namespace: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


OPEN = """
import json, os, sys
from pathlib import Path
from seedcoder.errors import SeedcoderError
from seedcoder.run import Run

root = Path(sys.argv[1])

def start():
    return Run.open(root, verb="eval", name="demo", recipe={"a": 1}, data_sha256={}, facts={})
"""


def test_a_full_disk_is_one_line_and_costs_no_earlier_row(tmp_path):
    got = in_own_mounts(
        tmp_path,
        f"mount -t tmpfs -o size=128k none {tmp_path}/mount",
        OPEN
        + """
run = start()
kept = 0
try:
    while True:
        run.append({"kind": "sample", "key": str(kept), "text": "x" * 3000})
        kept += 1
except SeedcoderError as error:
    said, code = str(error), error.exit_code
try:
    run.write_report("x" * 200_000)
except SeedcoderError as error:
    report_code = error.exit_code
last_byte = (run.folder / "rows.jsonl").read_bytes()[-1:].decode()
rows_before = len(run.rows())
# Room again, in the same process, while the run is open.
os.truncate(run.folder / "report.html", 0) if (run.folder / "report.html").exists() else None
assert os.system(f"mount -o remount,size=256k none {root}") == 0
run.append({"kind": "sample", "key": "after"})
run.close()
again = start()
rows = again.rows()
again.close()
print(json.dumps(dict(said=said, code=code, report_code=report_code, kept=kept,
    last_byte=last_byte, rows_before=rows_before, rows=len(rows), last=rows[-1]["key"],
    files=sorted(p.name for p in run.folder.iterdir()))))
""",
    )
    assert got["code"] == 3
    assert got["report_code"] == 3
    assert "No space left on device" in got["said"]
    assert "run the same command again" in got["said"]
    assert got["kept"] > 10
    assert got["last_byte"] == "\n"
    assert got["rows_before"] == got["kept"]
    assert got["rows"] == got["kept"] + 1
    assert got["last"] == "after"
    assert got["files"] == [".lock", "manifest.json", "rows.jsonl"]


def test_a_disk_that_is_full_at_the_start_is_one_line(tmp_path):
    got = in_own_mounts(
        tmp_path,
        f"mount -t tmpfs -o size=16k none {tmp_path}/mount && "
        f"(head -c 100000 /dev/zero > {tmp_path}/mount/fill 2>/dev/null || true)",
        OPEN
        + """
try:
    start()
except SeedcoderError as error:
    print(json.dumps(dict(said=str(error), code=error.exit_code)))
""",
    )
    assert got["code"] == 3
    assert "no room to write" in got["said"]


def test_a_read_only_run_folder_is_one_line(tmp_path):
    got = in_own_mounts(
        tmp_path,
        f"mount -t tmpfs none {tmp_path}/mount",
        OPEN
        + """
got = {}
run = start()
run.append({"kind": "sample", "key": "a"})
run.close()
assert os.system(f"mount -o remount,ro none {root}") == 0
for name, what in (
    ("again", start),
    ("read", lambda: Run.read(run.folder)),
    ("new", lambda: Run.open(root, verb="eval", name="new", recipe={}, data_sha256={}, facts={})),
):
    try:
        what()
    except SeedcoderError as error:
        got[name] = [str(error), error.exit_code]
got["rows"] = (run.folder / "rows.jsonl").read_text().count("\\n")
print(json.dumps(got))
""",
    )
    for name in ("again", "read", "new"):
        said, code = got[name]
        assert code == 3
        assert said.startswith("cannot write in ")
        assert "Read-only file system" in said
    assert got["rows"] == 1


def test_a_file_where_the_folder_should_be_is_one_line(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(UsageError, match="cannot be a run folder"):
        open_run(tmp_path / "runs")


def test_a_process_killed_while_it_appends_resumes_with_every_row_it_was_promised(tmp_path):
    script = OPEN + textwrap.dedent("""
        with start() as run:
            for at in range(10**6):
                run.append({"kind": "sample", "key": str(at), "text": "x" * 50_000})
                print(at, flush=True)
        """)
    said_path = tmp_path / "said"
    root = tmp_path / "runs"
    with said_path.open("wb") as said:
        child = subprocess.Popen([sys.executable, "-c", script, str(root)], stdout=said)
        while child.poll() is None and said_path.stat().st_size < 200:
            time.sleep(0.005)
        child.kill()
        assert child.wait() == -signal.SIGKILL
    told = {line.decode() for line in said_path.read_bytes().split(b"\n")[:-1]}
    with Run.open(root, verb="eval", name="demo", recipe={"a": 1}, data_sha256={}, facts={}) as run:
        keys = {r["key"] for r in run.rows()}
        assert told <= keys
        assert len(keys) <= len(told) + 1
        run.append(row("after the kill"))
        assert len(run.rows()) == len(keys) + 1
        # The sitting that was killed has no end; this one will.
        assert "ended" not in run.manifest["sittings"][0]
