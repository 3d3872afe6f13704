"""A scorer behind a server: what is sent, what is read, and a server that is not there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

from curate.scoring import served
from curate.scoring.recipe import LlamaTable
from curate.scoring.scorer import open_scorer
from curate.scoring.steps import score
from curate.task import Task, compute
from seedcoder.errors import MachineLacks, RecipeError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scorer's folder without weights, which a client needs not."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({one: at for at, one in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    place = tmp_path / "scorer"
    (place / "llama").mkdir(parents=True)
    made.save(str(place / "llama" / "tokenizer.json"))
    settings = LlamaTable(max_tokens=32).model_dump()
    (place / "scorer.json").write_text(json.dumps({"kind": "llama", "llama": settings}))
    return place


@pytest.fixture
def server() -> Iterator[tuple[str, list[Any]]]:
    """A server that scores a text by its number of tokens, and what it was sent."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, body))
            rows = [{"index": at, "label": None, "num_classes": 1, "probs": [len(one) / 100]}
                    for at, one in enumerate(body["input"])]  # fmt: skip
            if body["model"] == "two":
                rows = [{**row, "probs": [0.5, 0.5]} for row in rows]
            data = json.dumps({"data": rows[::-1]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}", asked
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.mark.slow
def test_a_server_is_sent_tokens_and_gives_scores(
    folder: Path, server: tuple[str, list[Any]]
) -> None:
    address, asked = server
    scorer = open_scorer(folder, f"{address}/v1#one")
    found = scorer.scores(["x" * n for n in range(40)], ["c"] * 40)
    # "c", a new line, the text: at most 32 tokens; a token is 1/100 of 10.
    assert found == pytest.approx([min(32, n + 2) / 10 for n in range(40)])
    assert {path for path, _ in asked} == {"/classify"} and len(asked) == 3
    assert scorer.scores([], []) == []
    with pytest.raises(MachineLacks, match="not one number"):
        open_scorer(folder, f"{address}#two").scores(["x"], ["c"])


def test_a_server_that_is_not_there_stops_the_run_and_is_no_document_s_fault(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "_TRIES", 0)
    step = score(scorer=folder, address="http://127.0.0.1:9#one")
    file = tmp_path / "p.parquet"
    pq.write_table(pa.table({"key": ["a"], "text": ["x"], "language": ["c"]}), file)
    with pytest.raises(MachineLacks, match=r"no scores from http://127.0.0.1:9"):
        compute(Task(step=step, part="p", file=file, group=0, at=(0,)))


def test_where_it_is_computed_is_no_part_of_what_is_computed(folder: Path) -> None:
    assert score(scorer=folder).settings() == score(scorer=folder, address="http://h#n").settings()


@pytest.mark.parametrize("address", ["h", "http://h", "ftp://h#n", "http://#n", "#n"])
def test_a_wrong_address_is_told(folder: Path, address: str) -> None:
    with pytest.raises(UsageError, match="no scorer's address"):
        score(scorer=folder, address=address)


def test_only_llamas_are_served(folder: Path) -> None:
    (folder / "scorer.json").write_text('{"kind": "linear"}')
    with pytest.raises(RecipeError, match="linear one"):
        score(scorer=folder, address="http://h#n")
