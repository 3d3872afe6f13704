"""The page of a run: by its text, and in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.humaneval import HumanEval
from evals.recipe import EvalRecipe
from evals.result import Result
from evals.runner import evaluate

pytestmark = pytest.mark.slow


def test_the_page_says_score_interval_kinds_and_what_was_judged(smoke: Result) -> None:
    page = smoke.report.read_text(encoding="utf-8")
    assert "41.7%" in page
    assert "95% interval 19.3% to 68.0% (Wilson)" in page
    for word in ("time-out", "does not compile", "no code", "crashed", "wrong"):
        assert word in page
    assert "NameError: name &#x27;mean&#x27; is not defined" in page
    assert "below_zero([1, 2, -4, 5, 6]) -&gt; False" in page


def test_what_a_model_wrote_is_text_and_never_markup(
    tmp_path: Path,
    humaneval: HumanEval,
    write_answers: Callable[..., Path],
    make_recipe: Callable[..., EvalRecipe],
) -> None:
    evil = "</code><script>document.title='taken'</script><img src=http://127.0.0.1:9/x>"
    replies = {
        p.key: f'{evil}\n```python\nprint("{evil}")\nraise SystemExit("{evil}")\n```'
        for p in humaneval.problems()[:2]
    }
    recipe = make_recipe(write_answers("evil", replies), limit=2)
    page = evaluate(recipe, name="evil", root=tmp_path).report.read_text(encoding="utf-8")
    assert "document.title" in page
    assert not re.search(r"<script>document|<img", page)


def test_the_page_works_in_a_browser_and_asks_for_nothing_but_itself(
    smoke: Result, browser: Any
) -> None:
    address = smoke.report.as_uri()
    for scheme in ("light", "dark"):
        page = browser.new_context(color_scheme=scheme).new_page()
        asked: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("pageerror", lambda error, said=complaints: said.append(str(error)))
        page.on("console", lambda line, said=complaints: said.append(line.text))
        page.goto(address)

        assert page.title() == "humaneval-smoke on humaneval"
        assert page.locator("tr.row").count() == 12
        row = page.locator("tr.row", has_text="below_zero")
        detail = page.locator("tr.detail", has_text="below_zero([1, 2, -4, 5, 6])")
        assert not detail.is_visible()
        row.locator("button").first.click()
        assert detail.is_visible()
        text = detail.inner_text()
        for said in ("First failing test", "Expected", "Got", "Prompt", "Reply", "Program"):
            assert said.lower() in text.lower()
        assert "The balance has to be checked after every operation" in text
        assert "return sum(operations) < 0" in text

        page.get_by_role("button", name=re.compile("^no code")).click()
        assert page.locator("tr.row:visible").count() == 1
        assert "filter_by_substring" in page.locator("tr.row:visible").inner_text()

        page.goto(address)
        page.locator("ol.bars a", has_text="HumanEval/5").click()
        slow = page.locator("tr.detail", has_text="result = [delimeter, *numbers]")
        assert slow.is_visible()

        assert set(asked) == {address}
        assert complaints == []


def test_the_page_fits_a_narrow_window(smoke: Result, browser: Any) -> None:
    page = browser.new_context(viewport={"width": 400, "height": 800}).new_page()
    page.goto(smoke.report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
