"""Where a benchmark's data is looked for, and what is said where it is nowhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from evals import data
from evals.data import DataFile, Hub, Source, only_here
from seedcoder.errors import MachineLacks

SOURCE = Source(
    bench="made",
    folder="made",
    file="made.jsonl",
    get="fetch it",
    hub=Hub(repo="nobody/made", split="test"),
)


class Refuses(BaseHTTPRequestHandler):
    """A server that has nothing."""

    def do_HEAD(self) -> None:
        """Say so."""
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def refusing() -> Iterator[str]:
    """Return the address of a server that answers 404."""
    with HTTPServer(("127.0.0.1", 0), Refuses) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_a_hub_that_answers_with_an_error_is_there(refusing: str) -> None:
    assert data._answers(refusing)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://nowhere.invalid", "words"])
def test_a_hub_that_cannot_be_reached_is_told_apart_at_once(endpoint: str) -> None:
    assert not data._answers(endpoint)


def test_data_that_is_only_on_a_hub_out_of_reach_is_said_to_be_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets")
    from huggingface_hub import constants

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(data.ENV, raising=False)
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(MachineLacks, match="made needs made"):
        _ = DataFile(SOURCE).path
    assert time.monotonic() - began < 30  # `datasets` alone takes minutes


def test_the_first_of_the_places_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv(data.ENV, str(tmp_path / "shared"))
    with only_here():
        for folder in (cache / "seedcoder" / "data", tmp_path / "shared"):
            path = folder / "made" / "made.jsonl"
            path.parent.mkdir(parents=True)
            path.write_text('{"n": 1}\n')
            assert DataFile(SOURCE).path == path
        own = tmp_path / "own.jsonl"
        own.write_text('[{"n": 2}]')
        assert list(DataFile(SOURCE, own).rows()) == [{"n": 2}]
