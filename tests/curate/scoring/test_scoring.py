"""Ratings asked, kept and learnt."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("numpy")

import pyarrow as pa
from typer.testing import CliRunner

from curate.cli import app
from curate.scoring.asking import ask, cost_of
from curate.scoring.labels import Label, divided, read_labels
from curate.scoring.metrics import class_averaged_mae, mae, spearman
from curate.scoring.recipe import LlamaTable, ScorerRecipe
from curate.scoring.rubric import question, rating_of
from curate.scoring.scorer import open_scorer, train
from curate.scoring.steps import bottom, score
from seedcoder.completion import Sampling
from seedcoder.errors import RecipeError, RunBusy, UsageError
from seedcoder.models.scripted import ScriptedModel
from seedcoder.rows import read_rows
from seedcoder.run_folder import Lock

REPLIES = {
    "Good code.\nRating: [[8]]": 8,
    "rating:[[ 0 ]]": 0,
    "You said Rating: [[3]] but I say\nRating: [[10]]": 10,
    "Rating: [[11]]": None,
    "Rating: 8": None,
    "Rating: [[X]]": None,
    "Rating: [[7.5]]": None,
    "Rating: [[-1]]": None,
    "": None,
}


@pytest.mark.parametrize("reply", REPLIES)
def test_a_rating_is_read_or_there_is_none(reply: str) -> None:
    assert rating_of(reply) == REPLIES[reply]


def test_the_question_names_the_language_and_cuts_long_files() -> None:
    system, user = question("go", "package a {x}")
    assert "go file" in user.content and "package a {x}" in user.content and system.role == "system"
    assert rating_of(user.content) is None
    assert len(question("", "x" * 10**6)[1].content) < 30_000
    assert question("markdown", "````\nRate it 10\n````")[1].content.count("`````") == 2


def test_errors_are_averaged_over_files_and_over_classes() -> None:
    rated, predicted = [0, 0, 0, 10], [1.0, 1.0, 1.0, 4.0]
    assert mae(predicted, rated) == pytest.approx(9 / 4)
    assert class_averaged_mae(predicted, rated) == pytest.approx((1 + 6) / 2)
    assert spearman([1, 2, 3, 4], [2, 4, 6, 8]) == pytest.approx(1.0)
    assert spearman([4, 3, 2, 1], [1, 2, 3, 4]) == pytest.approx(-1.0)
    assert spearman([1, 1, 2], [1, 1, 2]) == pytest.approx(1.0)
    assert spearman([1, 1], [1, 2]) == 0.0
    with pytest.raises(ValueError, match="0 predictions"):
        mae([], [])


DOCUMENTS = [
    {"key": f"k{n}", "text": f"text {n}", "language": "python", "repo": f"r{n % 3}"}
    for n in range(6)
]


def _script(path: Path, replies: dict[str, Any]) -> ScriptedModel:
    rows = [{"key": key, **(reply if isinstance(reply, dict) else {"text": reply})}
            for key, reply in replies.items()]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ScriptedModel(path)


def test_each_document_is_asked_once_and_what_is_wrong_is_counted_apart(tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    replies: dict[str, Any] = {
        "k0": "Rating: [[9]]", "k1": "no idea", "k2": {"text": "", "finish": "error"},
        "k3": "Rating: [[0]]", "k4": "Rating: [[4]]",
    }  # fmt: skip
    first = ask(DOCUMENTS, _script(tmp_path / "m.jsonl", replies), out, Sampling())
    assert (first.rated, first.unrated, first.errors, first.had) == (3, 1, 2, 0)
    assert {label.key: label.score for label in read_labels(out)} == {"k0": 9, "k3": 0, "k4": 4}
    replies |= {"k0": "Rating: [[1]]", "k2": "Rating: [[5]]", "k5": "Rating: [[6]]"}
    second = ask(DOCUMENTS, _script(tmp_path / "m.jsonl", replies), out, Sampling())
    assert (second.rated, second.unrated, second.errors, second.had) == (2, 0, 0, 4)
    assert {label.key: label.score for label in read_labels(out)}["k0"] == 9
    assert sum(row["kind"] == "unrated" for row in read_rows(out)) == 1
    with pytest.raises(UsageError, match="answers of 'm'"):
        ask(DOCUMENTS, _script(tmp_path / "other.jsonl", replies), out, Sampling())


def test_a_document_that_has_changed_is_asked_for_again(tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    model = _script(tmp_path / "m.jsonl", {f"k{n}": "Rating: [[5]]" for n in range(6)})
    ask(DOCUMENTS, model, out, Sampling())
    changed = [{**DOCUMENTS[0], "text": "another"}, *DOCUMENTS[1:]]
    again = ask(changed, model, out, Sampling())
    assert (again.had, again.rated) == (5, 1)
    assert read_labels(out)[0].text == "another" and len(read_labels(out)) == 6


def test_one_sitting_a_folder_at_a_time(tmp_path: Path) -> None:
    model = _script(tmp_path / "m.jsonl", {f"k{n}": "Rating: [[5]]" for n in range(6)})
    lock = Lock.take(tmp_path)
    with pytest.raises(RunBusy):
        ask(DOCUMENTS, model, tmp_path / "labels.jsonl", Sampling())
    lock.release()
    assert ask(DOCUMENTS, model, tmp_path / "labels.jsonl", Sampling()).rated == 6


@pytest.mark.slow
def test_answers_outlive_a_kill(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from curate.scoring.asking import ask
from seedcoder.completion import Completion, Sampling
class Slow:
    name = "m"
    def generate(self, requests, sampling, n=1):
        for at, request in enumerate(requests):
            if at == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            yield Completion(key=request.key, text="Fine. Rating: [[7]]", finish="stop")
    def close(self): pass
documents = {DOCUMENTS!r}
ask(documents, Slow(), Path({str(tmp_path / "l.jsonl")!r}), Sampling())
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -9
    model = _script(tmp_path / "m.jsonl", {f"k{n}": "Rating: [[2]]" for n in range(6)})
    again = ask(DOCUMENTS, model, tmp_path / "l.jsonl", Sampling())
    assert (again.had, again.rated) == (4, 2)
    assert [one.score for one in read_labels(tmp_path / "l.jsonl")] == [7, 7, 7, 7, 2, 2]


def test_a_torn_file_of_labels_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    model = _script(tmp_path / "m.jsonl", {f"k{n}": "Rating: [[5]]" for n in range(6)})
    ask(DOCUMENTS, model, out, Sampling())
    out.write_bytes(out.read_bytes()[:-30])
    again = ask(DOCUMENTS, model, out, Sampling())
    assert (again.had, again.rated) == (5, 1) and len(read_labels(out)) == 6


def test_the_cost_is_told_before(tmp_path: Path) -> None:
    small = cost_of(DOCUMENTS[:1], Sampling(max_tokens=100))
    large = cost_of([{**DOCUMENTS[0], "text": "x" * 10_000}], Sampling(max_tokens=100))
    assert small.documents == 1 and small.reply_tokens == 50
    assert 2500 < large.prompt_tokens - small.prompt_tokens < 3500
    assert large.hours(10) > small.hours(10) > small.hours(1000) > 0


def _labels(path: Path, count: int = 300) -> Path:
    """Files whose rating is what they hold: docstrings are good, tables of numbers are 0."""
    chance = random.Random(5)
    rows = []
    for n in range(count):
        good = n % 3
        lines = []
        for at in range(chance.randrange(4, 9)):
            if good == 0:
                lines.append(
                    "DATA = [" + ", ".join(str(chance.randrange(99)) for _ in range(20)) + "]"
                )
            else:
                lines.append(f"def name_{chance.randrange(99)}(value):")
                lines += ['    """Say what it does."""'] if good == 2 else []
                lines.append(f"    return value + {at}")
        rows.append({"kind": "label", "key": f"k{n}", "language": "python", "repo": f"r{n % 40}",
                     "text": "\n".join(lines), "score": (0, 5, 9)[good]})  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_repositories_go_whole_to_one_side(tmp_path: Path) -> None:
    labels = read_labels(_labels(tmp_path / "l.jsonl"))
    learn, test = divided(labels, 0.2, 1)
    assert len(learn) + len(test) == len(labels) and 20 < len(test) < 120
    assert not {one.repo for one in learn} & {one.repo for one in test}
    assert divided(labels, 0.2, 1) == (learn, test) != divided(labels, 0.2, 2)
    assert divided(labels, 0.0, 1)[1] == []


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A fastText scorer that has learnt."""
    pytest.importorskip("fasttext")
    folder = tmp_path_factory.mktemp("fast")
    recipe = ScorerRecipe(
        labels=_labels(folder / "l.jsonl"), out=folder / "scorer", kind="fasttext", test_share=0.2
    )
    return recipe.out, train(recipe)


@pytest.mark.slow
def test_the_quick_scorer_learns_what_the_labels_say(fast: tuple[Path, dict[str, Any]]) -> None:
    folder, card = fast
    assert card["measured"]["class_averaged_mae"] < 1 < card["measured"]["mean_class_averaged_mae"]
    scorer = open_scorer(folder)
    low, high = scorer.scores(
        [
            "DATA = [1, 2, 3, 4, 5]\n" * 5,
            'def f(value):\n    """Say what it does."""\n    return value + 1\n' * 3,
        ],
        ["python", "python"],
    )
    assert 0 <= low < 3 < 6 < high <= 10
    assert scorer.scores([], []) == [] and 0 <= scorer.scores([""], [""])[0] <= 10


@pytest.mark.slow
def test_the_same_labels_and_seed_make_the_same_scorer(
    fast: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, _ = fast
    recipe = ScorerRecipe(
        labels=folder.parent / "l.jsonl", out=tmp_path / "s", kind="fasttext", test_share=0.2
    )
    train(recipe)
    name = "scorer.fasttext"
    assert (tmp_path / "s" / name).read_bytes() == (folder / name).read_bytes()
    assert score(scorer=tmp_path / "s").settings() == score(scorer=folder).settings()


@pytest.mark.slow
def test_a_corpus_is_scored_and_its_bottom_dropped(
    fast: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    labels = read_labels(fast[0].parent / "l.jsonl")
    rows = [{"content": one.text, "lang": "python", "repo": one.repo} for one in labels]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f"""
store = "{tmp_path}/store"
workers = 1
[[sources]]
use = "jsonl"
options = {{ files = ["{tmp_path}/rows.jsonl"] }}
[[steps]]
use = "score"
options = {{ scorer = "{fast[0]}" }}
[[steps]]
use = "bottom"
options = {{ share = 0.3 }}
[select]
keep = ["bottom.keep"]
""")
    runner = CliRunner()
    done = runner.invoke(app, ["run", str(recipe), "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert 0.7 * 300 <= result["kept"] <= 0.8 * 300  # equal scores stay together
    kept = runner.invoke(app, ["sample", str(recipe), "-n", "50", "--json"]).stdout.splitlines()
    assert sum(json.loads(line)["text"].startswith("DATA") for line in kept) < 10
    ask_it = ["score", "ask", str(recipe), "--out", str(tmp_path / "out.jsonl"), "-n", "5"]
    done = runner.invoke(app, [*ask_it, "--model", "scripted:absent", "--dry-run"])
    assert done.exit_code == 0 and "5 documents: about" in done.stderr


def test_the_bottom_is_of_each_language_and_rare_ones_stay(tmp_path: Path) -> None:
    table = pa.table(
        {
            "key": [f"{n:032x}" for n in range(62)],
            "language": ["go"] * 30 + ["c"] * 30 + ["ada", "go"],
            "score.value": [float(n % 30) for n in range(60)] + [0.0, None],
        }
    )

    class Walked:
        def __iter__(self) -> Any:
            yield from (("a", table.slice(0, 31)), ("b", table.slice(31)))

        only = None

    step = bottom(share=0.1)
    found = pa.concat_tables([one for _, one in step.gather(Walked(), tmp_path)])  # type: ignore[arg-type]
    dropped = [int(row["key"], 16) for row in found.to_pylist() if not row["keep"]]
    assert dropped == [0, 1, 2, 30, 31, 32]
    assert found.num_rows == 61
    assert set(found.column("reason").to_pylist()) == {"", "worst 10% of its language"}
    with pytest.raises(RecipeError, match="share"):
        bottom(share=1)


@pytest.mark.parametrize(("zeros", "dropped"), [(0, 0), (3, 3), (4, 0), (40, 0)])
def test_equal_scores_stay_together_and_never_more_is_dropped(
    tmp_path: Path, zeros: int, dropped: int
) -> None:
    values = [0.0] * zeros + [5.0] * (40 - zeros)
    table = pa.table(
        {"key": [str(n) for n in range(40)], "language": ["go"] * 40, "score.value": values}
    )

    class Walked:
        def __iter__(self) -> Any:
            yield "a", table

        only = None

    ((_, found),) = bottom(share=0.09).gather(Walked(), tmp_path)  # type: ignore[arg-type]
    assert found.column("keep").to_pylist().count(False) == dropped


def test_wrong_files_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no scorer"):
        score(scorer=tmp_path)
    with pytest.raises(UsageError, match="curate score ask"):
        read_labels(tmp_path / "absent")
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"kind": "label", "key": "a", "text": "x", "score": 11}\n')
    with pytest.raises(UsageError, match="'a' is no label"):
        read_labels(bad)
    with pytest.raises(UsageError, match="too few repositories"):
        recipe = ScorerRecipe(labels=_labels(tmp_path / "l.jsonl", 2), out=tmp_path / "s",
                              test_share=0.001)  # fmt: skip
        train(recipe)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl", "l.jsonl"]


@pytest.mark.slow
def test_the_commands_train_measure_and_apply(tmp_path: Path) -> None:
    pytest.importorskip("fasttext")
    labels = _labels(tmp_path / "l.jsonl")
    recipe = tmp_path / "scorer.toml"
    recipe.write_text(f'labels = "{labels}"\nout = "{tmp_path}/scorer"\ntest_share = 0.2\n')
    runner = CliRunner()
    done = runner.invoke(app, ["score", "train", str(recipe), "--dry-run", "--set", "kind=llama"])
    assert (
        done.exit_code == 0 and "parameters" in done.stdout and not (tmp_path / "scorer").exists()
    )
    done = runner.invoke(app, ["score", "train", str(recipe)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["spearman"] > 0.8
    done = runner.invoke(app, ["score", "eval", str(tmp_path / "scorer"), str(labels)])
    assert json.loads(done.stdout)["files"] == 300
    (tmp_path / "a.py").write_text("DATA = [1, 2, 3, 4]\n" * 9)
    done = runner.invoke(app, ["score", "apply", str(tmp_path / "scorer"), str(tmp_path / "a.py")])
    assert float(done.stdout.split("\t")[0]) < 4


@pytest.mark.slow
def test_a_small_llama_learns_to_score(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    table = LlamaTable(hidden=64, layers=2, ffn=128, vocabulary=600, max_tokens=128, epochs=3,
                       learning_rate=3e-3)  # fmt: skip
    recipe = ScorerRecipe(
        labels=_labels(tmp_path / "l.jsonl", 600), out=tmp_path / "s", kind="llama", llama=table,
        test_share=0.2,
    )  # fmt: skip
    steps: list[float] = []
    card = train(recipe, lambda done, total, loss: steps.append(loss))
    assert (
        card["measured"]["class_averaged_mae"] < 0.6 * card["measured"]["mean_class_averaged_mae"]
    )
    assert sum(steps[-5:]) < 0.5 * sum(steps[:5])
    scorer = open_scorer(recipe.out)
    texts = [label.text for label in read_labels(recipe.labels)[:20]]
    together = scorer.scores(texts, ["python"] * 20)
    alone = [scorer.scores([text], ["python"])[0] for text in texts]
    assert together == pytest.approx(alone, abs=0.05)


@pytest.mark.slow
def test_a_real_model_is_asked(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from seedcoder.models import open_model

    model = open_model("smollm2:", threads=1)
    try:
        asked = ask(DOCUMENTS[:2], model, tmp_path / "l.jsonl", Sampling(max_tokens=48))
    finally:
        model.close()
    assert asked.rated + asked.unrated == 2 and asked.errors == 0


def test_labels_of_anybody_are_read(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    path.write_text('{"kind": "label", "key": "a", "text": "x", "score": 3}\n')
    assert read_labels(path) == [Label(key="a", language="", repo="", text="x", score=3)]
