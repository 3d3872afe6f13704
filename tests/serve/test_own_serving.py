"""The process of an own engine: how it begins and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import httpx
import pytest

ROOT = Path(__file__).parents[2]


def said(*words: str) -> tuple[int, str]:
    """Return the exit code and the last line of an engine that does not come up."""
    done = subprocess.run(
        [sys.executable, "-m", "serve.engines.own", *words],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.mark.slow
def test_an_answer_under_way_is_finished_and_no_new_one_begun(own_kit: ModuleType) -> None:
    with own_kit.served("scripted", "--tokens-per-s", "100") as engine:
        events = engine.events("/v1/completions", prompt="x", max_tokens=100)
        got = [next(events)]
        with httpx.Client(base_url=engine.url) as other:
            assert other.get("/health").status_code == 200
            engine.process.send_signal(signal.SIGTERM)
            own_kit.until(lambda: any("draining" in line for line in engine.log))
            assert other.post("/v1/completions", json={"prompt": "x"}).status_code == 503
        got += events
        assert len(own_kit.pieces(got)) == 100
        assert engine.process.wait(30) == 0


@pytest.mark.slow
def test_a_drain_ends_when_its_time_is_over(own_kit: ModuleType) -> None:
    with own_kit.served("scripted", "--tokens-per-s", "1", "--drain-s", "0.2") as engine:
        events = engine.events("/v1/completions", prompt="x", max_tokens=10_000)
        next(events)
        assert engine.end() == 0
        with pytest.raises(httpx.RemoteProtocolError):
            list(events)


@pytest.mark.slow
def test_a_second_signal_ends_at_once(own_kit: ModuleType) -> None:
    with own_kit.served("scripted", "--tokens-per-s", "1") as engine:
        events = engine.events("/v1/completions", prompt="x", max_tokens=10_000)
        next(events)
        engine.process.send_signal(signal.SIGTERM)
        own_kit.until(lambda: any("draining" in line for line in engine.log))
        assert engine.end() == 128 + signal.SIGTERM
        events.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (("scripted", "--name", "m"), 2, "--socket PATH or --port"),
        (("scripted", "--name", "m", "--port", "0", "--file", "/nowhere.jsonl"), 2, "/nowhere"),
        (("scripted", "--name", "m", "--socket", "/nowhere/s.sock"), 2, "cannot listen"),
        (("scripted", "--name", "m", "--socket", f"/tmp/{'x' * 200}"), 2, "cannot listen"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(
    words: tuple[str, ...], code: int, line: str
) -> None:
    found, last = said(*words)
    assert found == code
    assert line in last


def test_a_file_that_is_no_socket_is_not_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("mine", encoding="utf-8")
    code, last = said("scripted", "--name", "m", "--socket", str(path))
    assert code == 2
    assert "cannot listen" in last
    assert path.read_text(encoding="utf-8") == "mine"


def test_help_loads_nothing_heavy() -> None:
    source = (
        "import sys, serve.engines.own.command;"
        "print([x for x in ('torch', 'transformers', 'uvloop') if x in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, cwd=ROOT, check=True,
        env=dict(os.environ),
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
