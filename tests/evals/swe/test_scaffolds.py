"""Scaffolds: a model that knows what to do resolves an issue through them, another does not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from evals.bench import Style, Work, open_bench
from evals.recipe import EvalRecipe
from evals.result import FAILED
from evals.runner import evaluate
from evals.swe.episodes import Episodes
from seedcoder.completion import Completion, Model, Request, Sampling

MakeRecipe = Callable[..., EvalRecipe]
ONE, TWO = "tiny__tiny-1", "tiny__tiny-2"


def bash(command: str) -> str:
    return f"I do this.\n\n```bash\n{command}\n```\n"


MENDS = {
    f"{ONE}#0/0": bash("grep -rn 'a - b' tiny; git log --oneline"),
    f"{ONE}#0/2": bash("sed -i 's/a - b/a + b/' tiny/sums.py"),
    f"{ONE}#0/4": bash("python -m pytest -q tests/test_sums.py && git diff --stat"),
    f"{ONE}#0/6": bash("submit"),
    f"{TWO}#0/0": bash("sed -i 's/lower/casefold/' tiny/words.py && echo x > note.txt"),
    f"{TWO}#0/2": bash("submit"),
}
EDIT = "It subtracts.\n\n### {path}\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"
REPAIRS = {
    f"{ONE}#0/0": "```\ntiny/sums.py\n```",
    f"{ONE}#0/1": "```\ntiny/sums.py: add\n```",
    f"{ONE}#0/2": EDIT.format(path="tiny/sums.py", old="    return a - b", new="    return a + b"),
    f"{ONE}#0/3": EDIT.format(path="tiny/sums.py", old="    return a - b", new="    return b"),
    f"{TWO}#0/0": "tiny/words.py",
    f"{TWO}#0/1": "tiny/words.py: shout",
    f"{TWO}#0/2": EDIT.format(path="tiny/words.py", old="    no such line", new="    pass"),
    f"{TWO}#0/3": "I do not know.",
}


class Played:
    """A model that answers by a function; what it was asked is kept."""

    def __init__(self, answer: Callable[[Request], Completion]) -> None:
        self.answer = answer
        self.asked: list[Request] = []

    name = "played"

    def generate(
        self, requests: Iterable[Request], sampling: Sampling, n: int = 1
    ) -> Iterator[Completion]:
        for request in requests:
            self.asked.append(request)
            for _ in range(n):
                yield self.answer(request)

    def close(self) -> None:
        pass


def _episodes(
    tiny: Any, model: Model, kept: list[Mapping[str, Any]], scaffold: str = "mini", **options: Any
) -> Episodes:
    bench = open_bench("swe-mini", {"path": tiny.path, "scaffold": scaffold, **options})
    work = Work(
        style=Style(protocol="chat"),
        sampling=Sampling(),
        box="auto",
        limits=lambda limits: limits,
        keep=kept.append,
        rows=lambda kind: [row for row in kept if row["kind"] == kind],
    )
    made = bench.solver(model, work)
    assert isinstance(made, Episodes)
    return made


def _first(tiny: Any) -> list[Request]:
    bench = open_bench("swe-mini", {"path": tiny.path})
    return [bench.request(bench.problems()[0], Style(protocol="chat"))]


def _said(request: Request, text: str, **more: Any) -> Completion:
    told = {"finish": "stop", "tokens": 3, "prompt_tokens": 11, **more}
    return Completion(key=request.key, text=text, **told)


@pytest.mark.slow
def test_mini_resolves_an_issue_and_a_wrong_change_does_not(
    swe_recipe: MakeRecipe, tmp_path: Path
) -> None:
    result = evaluate(swe_recipe("mini", MENDS, check_gold=False), name="x", root=tmp_path)
    one, two = result.tally.answers
    assert one.verdict and one.verdict.ok and "+    return a + b" in one.program
    assert two.verdict and not two.verdict.ok and two.values["patch applied"] == 1.0
    assert "note.txt" in two.program
    assert one.sample and one.sample.tokens == 4 * 7


@pytest.mark.slow
def test_agentless_resolves_an_issue_and_edits_that_do_not_apply_are_no_patch(
    swe_recipe: MakeRecipe, tmp_path: Path
) -> None:
    result = evaluate(swe_recipe("agentless", REPAIRS, check_gold=False), name="x", root=tmp_path)
    one, two = result.tally.answers
    # Three of four samples give b: the one that breaks no test is elected, not the most frequent.
    assert one.verdict and one.verdict.ok and "+    return a + b" in one.program
    assert two.verdict and not two.verdict.ok and two.program == ""
    assert one.sample and one.sample.tokens == 3 * 7 + 3 * 7


def test_nothing_that_judges_is_shown_to_a_model_or_lies_in_its_shell(tiny: Any) -> None:
    def answer(request: Request) -> Completion:
        look = "grep -rn secretly . ; env; ls -a .. ; git log --all --oneline"
        step = len(request.prompt)
        return _said(request, bash(look if step == 2 else "submit"))

    model = Played(answer)
    list(_episodes(tiny, model, []).generate(_first(tiny), Sampling()))
    shown = "".join(str(request.prompt) for request in model.asked)
    assert "exit code 0" in shown and "base" in shown
    assert "secretly" not in shown.replace("grep -rn secretly", "")
    model = Played(lambda request: _said(request, "tiny/sums.py: add"))
    list(_episodes(tiny, model, [], "agentless").generate(_first(tiny), Sampling()))
    shown = "".join(str(request.prompt) for request in model.asked)
    assert "return a - b" in shown
    assert "secretly" not in shown and "a + b" not in shown


def test_malformed_replies_are_told_so_and_do_not_go_on_for_ever(tiny: Any) -> None:
    model = Played(lambda request: _said(request, "I would run ls."))
    (done,) = _episodes(tiny, model, []).generate(_first(tiny), Sampling())
    assert (done.finish, done.text, len(model.asked)) == ("stop", "", 5)
    assert "exactly one is needed" in str(model.asked[1].prompt)
    two = "```bash\nls\n```\n```bash\nls\n```"
    model = Played(lambda request: _said(request, two if len(request.prompt) == 2 else "```bash"))
    list(_episodes(tiny, model, []).generate(_first(tiny), Sampling()))
    assert "had 2 bash blocks" in str(model.asked[1].prompt)


@pytest.mark.slow
def test_an_endless_agent_ends_with_its_steps_and_what_it_changed_counts(tiny: Any) -> None:
    model = Played(lambda request: _said(request, bash("echo x >> README; sleep 0")))
    (done,) = _episodes(tiny, model, [], steps=3).generate(_first(tiny), Sampling())
    assert (done.finish, len(model.asked), done.tokens, done.prompt_tokens) == ("length", 3, 9, 33)
    assert done.text.count("\n+x") == 3


def test_samples_of_an_instance_are_episodes_of_their_own(tiny: Any) -> None:
    kept: list[Mapping[str, Any]] = []
    model = Played(lambda request: _said(request, bash("submit")))
    done = list(_episodes(tiny, model, kept).generate(_first(tiny), Sampling(), 2))
    assert sorted(completion.n for completion in done) == [0, 1]
    assert sorted(str(row["key"]) for row in kept) == [f"{ONE}#0/0", f"{ONE}#1/0"]


def test_a_context_that_is_full_ends_an_episode_with_what_was_changed(tiny: Any) -> None:
    def answer(request: Request) -> Completion:
        if len(request.prompt) > 3:
            return Completion(key=request.key, text="", finish="overflow")
        return _said(request, bash("echo x >> README"))

    (done,) = _episodes(tiny, Played(answer), []).generate(_first(tiny), Sampling())
    assert done.finish == "overflow" and "+x" in done.text
    full = Played(lambda request: Completion(key=request.key, text="", finish="overflow"))
    for scaffold in ("mini", "agentless"):
        (done,) = _episodes(tiny, full, [], scaffold).generate(_first(tiny), Sampling())
        assert (done.finish, done.text) == ("overflow", "")


@pytest.mark.slow
def test_a_server_that_dies_is_an_error_and_no_empty_patch(
    swe_recipe: MakeRecipe, serve: Any, tmp_path: Path
) -> None:
    for scaffold, reply in (("mini", bash("echo x > note.txt")), ("agentless", "tiny/sums.py")):
        told = [reply]
        server = serve(lambda messages, told=told: told.pop() if told else (400, "gone for good"))
        recipe = swe_recipe(scaffold, model=server.url, limit=1, check_gold=False)
        result = evaluate(recipe, name=scaffold, root=tmp_path)
        assert result.status == FAILED and result.tally.judged == 0
        assert "gone for good" in result.tally.errors[0].error


def test_a_thought_is_no_command_and_is_not_sent_again(tiny: Any) -> None:
    text = f"<think>{bash('echo thought >> README')}</think>{bash('submit')}"
    (done,) = _episodes(tiny, Played(lambda r: _said(r, text)), []).generate(
        _first(tiny), Sampling()
    )
    assert (done.finish, done.text) == ("stop", "")


@pytest.mark.slow
def test_what_was_kept_is_played_again_without_model_and_sandbox(tiny: Any) -> None:
    kept: list[Mapping[str, Any]] = []

    def answer(request: Request) -> Completion:
        return _said(request, bash("echo x >> README" if len(request.prompt) < 6 else "submit"))

    (whole,) = _episodes(tiny, Played(answer), kept).generate(_first(tiny), Sampling())
    for had in range(len(kept) + 1):
        model = Played(answer)
        (again,) = _episodes(tiny, model, kept[:had]).generate(_first(tiny), Sampling())
        assert again == whole
        assert len(model.asked) == 3 - (had + 1) // 2
    other = Played(lambda request: _said(request, bash("submit")))
    stale = [{**kept[0], "asked": "another question"}, *kept[1:]]
    (fresh,) = _episodes(tiny, other, stale).generate(_first(tiny), Sampling())
    assert fresh.text == "" and len(other.asked) == 1


@pytest.mark.slow
def test_a_run_that_is_killed_amid_an_episode_goes_on_in_it(
    tiny: Any, serve: Any, tmp_path: Path
) -> None:
    hangs = True

    def answer(messages: list[dict[str, str]]) -> Any:
        if len(messages) == 2:
            return bash("sed -i 's/a - b/a + b/' tiny/sums.py")
        return None if hangs else bash("submit")

    server = serve(answer)
    recipe = tmp_path / "agent.toml"
    recipe.write_text(
        f'bench = "swe-mini"\nmodel = "{server.url}"\nprotocol = "chat"\nlimit = 1\n'
        f'check_gold = false\n[options]\nscaffold = "mini"\npath = "{tiny.path}"\n'
    )
    runs = tmp_path / "runs"
    command = [
        sys.executable,
        "-m",
        "seedcoder",
        "eval",
        str(recipe),
        "--runs",
        str(runs),
        "--json",
    ]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while len(server.asked) < 2 and time.monotonic() < deadline and first.poll() is None:
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert len(server.asked) == 2
    hangs = False
    second = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert second.returncode == 0, second.stderr
    scores = json.loads(second.stdout)["scores"]
    assert (scores[0]["metric"], scores[0]["value"]) == ("resolved", 1.0)
    assert [len(messages) for messages in server.asked] == [2, 4, 4]


SORTS, PARSES = "mahmoud__boltons-f9c4f305", "martinblech__xmltodict-f0322e57"
REAL = {
    "mini": {
        f"{SORTS}#0/0": bash("grep -n 'tmp_sorted' boltons/listutils.py"),
        f"{SORTS}#0/2": bash(
            "sed -i 's/self.lists\\[0\\] = tmp_sorted/self.lists.append(tmp_sorted)/' "
            "boltons/listutils.py && python -m pytest -q tests/test_listutils.py"
        ),
        f"{SORTS}#0/4": bash("submit"),
        f"{PARSES}#0/0": bash("echo '# looked at' >> xmltodict.py"),
        f"{PARSES}#0/2": bash("submit"),
    },
    "agentless": {
        f"{SORTS}#0/0": "```\nboltons/listutils.py\n```",
        f"{SORTS}#0/1": "```\nboltons/listutils.py: BarrelList.sort\n```",
        f"{SORTS}#0/2": EDIT.format(
            path="boltons/listutils.py",
            old="            self.lists[0] = tmp_sorted",
            new="            self.lists.append(tmp_sorted)",
        ),
        f"{SORTS}#0/3": "I cannot say.",
        f"{PARSES}#0/0": "xmltodict.py",
        f"{PARSES}#0/1": "xmltodict.py: parse",
        f"{PARSES}#0/2": EDIT.format(path="xmltodict.py", old="", new="# looked at"),
        f"{PARSES}#0/3": "I cannot say.",
    },
}


@pytest.mark.slow
@pytest.mark.net
@pytest.mark.parametrize("scaffold", ["mini", "agentless"])
def test_a_real_instance_is_resolved_through_a_scaffold_and_a_wrong_patch_is_not(
    scaffold: str, data_dir: Path, tmp_path: Path
) -> None:
    path = data_dir / "swe-mini" / "instances.jsonl"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    replies = tmp_path / "replies.jsonl"
    rows = [json.dumps({"key": key, "text": text}) for key, text in REAL[scaffold].items()]
    replies.write_text("\n".join(rows))
    said = {
        "bench": "swe-mini",
        "model": f"scripted:{replies}",
        "protocol": "chat",
        "keys": [SORTS, PARSES],
        "options": {"scaffold": scaffold, "path": str(path)},
        "check_gold": False,
    }
    result = evaluate(EvalRecipe.model_validate(said), name="x", root=tmp_path)
    resolved = {answer.problem: answer.verdict for answer in result.tally.answers}
    sorts, parses = resolved[SORTS], resolved[PARSES]
    assert sorts and sorts.ok and parses and not parses.ok
    assert all(answer.values["patch applied"] == 1.0 for answer in result.tally.answers)
