"""The command line: what --help costs, how words reach the rooms, and what each end exits with."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys

import pytest

HEAVY = ("torch", "vllm", "gradio", "trl", "transformers", "openai", "numpy")
VERBS = ("sandbox", "eval", "curate", "train", "serve", "doctor")

# A room that stands in front of the real one; what the hall hands over is seen from inside.
ROOM = r"""
import sys
import time
import typer

app = typer.Typer()

@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def act(ctx: typer.Context, how: str = "say"):
    if how == "say":
        typer.echo(repr(ctx.args))
    elif how == "lack":
        from seedcoder.errors import MachineLacks
        raise MachineLacks("no such\n device \x1b[31m")
    elif how == "recipe":
        from seedcoder.errors import RecipeError
        raise RecipeError("x.toml: no key 'a'")
    elif how == "missed":
        raise typer.Exit(1)
    elif how == "broken":
        from sandbox.errors import SandboxUnavailable
        raise SandboxUnavailable("no box here")
    elif how == "wait":
        typer.echo("waiting")
        sys.stdout.flush()
        time.sleep(60)
    elif how == "odd":
        print("\ud800 ✓")
    elif how == "bug":
        raise RuntimeError("a bug")
"""


def seedcoder(*words, path=None):
    env = {**os.environ, "COLUMNS": "100", "TERM": "dumb"}
    if path is not None:
        env["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, "-m", "seedcoder", *words],
        capture_output=True,
        text=True,
        env=env,
        timeout=60,
        check=False,
        cwd=path,  # -m looks there first, before PYTHONPATH
    )


@pytest.fixture
def room(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "__init__.py").write_text("")
    (tmp_path / "train" / "cli.py").write_text(ROOM)
    return tmp_path


def test_help_lists_every_verb_with_a_line():
    done = seedcoder("--help")
    assert done.returncode == 0
    for verb in VERBS:
        assert re.search(rf"\b{verb} +[A-Z][^.]+\.", done.stdout), verb


def test_help_imports_nothing_heavy_and_no_room():
    script = (
        "import sys\n"
        "from seedcoder.cli import main\n"
        "sys.argv = ['seedcoder', '--help']\n"
        "try:\n    main()\n"
        "finally:\n    print(*sorted({name.partition('.')[0] for name in sys.modules}),"
        " file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    imported = done.stderr.split()
    assert "seedcoder" in imported  # the control: the list is really that of this process
    assert not {*HEAVY, "sandbox", "evals", "curate", "train", "serve"} & set(imported)


def test_help_takes_well_under_a_second_of_cpu_time():
    def used_s():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before_s = used_s()
    assert seedcoder("--help").returncode == 0
    assert used_s() - before_s < 1.0


def test_version_is_on_stdout():
    done = seedcoder("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"seedcoder \d+\.\d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize("words", [["nosuch"], ["--nosuch"], ["doctor", "--nosuch"], []])
def test_bad_usage_exits_2(words):
    done = seedcoder(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_mistyped_verb_gets_a_suggestion():
    assert "eval" in seedcoder("evl").stderr


@pytest.mark.parametrize(
    "words",
    [
        ["recipes/x.toml"],
        ["recipes/x.toml", "--set", "limits.wall_s=5", "--json"],
        ["--set", "a=1", "x.toml", "-v"],
        ["regrade", "runs/x", "a b", ""],
        ["x.toml", "-abc", "--no-such=1", "ü"],
    ],
)
def test_words_reach_the_room_as_they_stand(room, words):
    done = seedcoder("train", *words, path=room)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{words!r}\n"


def test_the_real_rooms_open_behind_the_door():
    done = seedcoder("eval", "--help")
    assert done.returncode == 0
    assert "regrade" in done.stdout


def test_help_of_a_room_is_the_rooms_own(room):
    done = seedcoder("train", "--help", path=room)
    assert done.returncode == 0
    assert "--how" in done.stdout
    assert "seedcoder train" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("say", 0, ""),
        ("missed", 1, ""),
        ("recipe", 2, "RecipeError: x.toml: no key 'a'\n"),
        ("lack", 3, "MachineLacks: no such device \\x1b[31m\n"),
        ("broken", 3, "SandboxUnavailable: no box here\n"),
    ],
)
def test_every_way_to_end_has_its_exit_code_and_at_most_one_line(room, how, code, said):
    done = seedcoder("train", "--how", how, path=room)
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.slow
def test_text_that_the_terminal_cannot_write_is_escaped(room, monkeypatch):
    assert seedcoder("train", "--how", "odd", path=room).stdout == "\\ud800 ✓\n"
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    assert seedcoder("train", "--how", "odd", path=room).stdout == "\\ud800 \\u2713\n"
    assert seedcoder("--help").returncode == 0


def test_a_bug_keeps_its_traceback(room):
    done = seedcoder("train", "--how", "bug", path=room)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "RuntimeError: a bug" in done.stderr


def test_an_interrupt_exits_130(room):
    child = subprocess.Popen(
        [sys.executable, "-m", "seedcoder", "train", "--how", "wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(room)},
        cwd=room,
    )
    assert child.stdout.readline() == "waiting\n"
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Traceback" not in said


def test_a_reader_that_leaves_early_is_no_traceback():
    child = subprocess.Popen(
        [sys.executable, "-m", "seedcoder", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    child.stdout.close()
    said = child.stderr.read()
    child.stderr.close()
    child.wait()
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_room_that_is_not_built_says_so_in_one_line(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "__init__.py").write_text("")
    for words in (["train"], ["train", "--help"], ["train", "x.toml", "--set", "a=1"]):
        done = seedcoder(*words, path=tmp_path)
        assert done.returncode == 3
        assert done.stdout == ""
        assert re.fullmatch(
            r"MachineLacks: seedcoder train is not part of this version yet \(\S+\)\n", done.stderr
        )


def test_a_room_whose_extra_is_missing_says_how_to_get_it(room):
    (room / "train" / "cli.py").write_text("import a_package_nobody_has\n")
    done = seedcoder("train", "x.toml", path=room)
    assert done.returncode == 3
    assert done.stderr == (
        "MachineLacks: seedcoder train needs the 'train' extra: pip install -e '.[train]' "
        "(no module 'a_package_nobody_has')\n"
    )


@pytest.mark.slow
def test_logs_go_to_stderr_at_the_level_that_was_asked_for(room):
    (room / "train" / "cli.py").write_text(
        "import logging, typer\n"
        "app = typer.Typer()\n"
        "log = logging.getLogger(__name__)\n"
        "@app.command()\n"
        "def act():\n"
        "    log.debug('fine'); log.info('usual'); log.warning('odd')\n"
        "    logging.getLogger('elsewhere').info('noise')\n"
        "    print('result')\n"
    )
    for flags, said in (
        ([], "WARNING train.cli: odd\n"),
        (["-v"], "INFO train.cli: usual\nWARNING train.cli: odd\n"),
        (["-vv"], "DEBUG train.cli: fine\nINFO train.cli: usual\nWARNING train.cli: odd\n"),
    ):
        done = seedcoder(*flags, "train", path=room)
        assert (done.stdout, done.stderr) == ("result\n", said)
