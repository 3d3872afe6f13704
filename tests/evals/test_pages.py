"""Every page in a real browser: by keyboard alone, in light and dark, in a narrow window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.board import make_board
from evals.board_page import render as render_board
from evals.compare import compare
from evals.compare_page import render as render_comparison
from evals.result import Result
from evals.stored import find_runs, read_run

Keep = Callable[..., Path]
WHOLE = {f"HumanEval/{n}": [n % 4 != 0] for n in range(164)}
OTHER = {f"HumanEval/{n}": [n % 5 != 0] for n in range(164)}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pages(
    write_run: Keep, smoke: Result, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A run's page, two runs compared, and a board, each a file."""
    root = tmp_path_factory.mktemp("runs")
    runs = [read_run(write_run(root, "one", WHOLE)), read_run(write_run(root, "two", OTHER))]
    write_run(root, "three", {"HumanEval/0": [True]}, limit=1, status="failed")
    found = {"report": smoke.report}
    for name, html in (
        ("compare", render_comparison(compare(runs))),
        ("board", render_board(make_board(*find_runs(root)))),
    ):
        found[name] = root / f"{name}.html"
        found[name].write_text(html, encoding="utf-8")
    return found


def opened(browser: Any, path: Path, *, scheme: str = "light", width: int = 1200) -> Any:
    """Return the page in a window of its own, with what it asked for and complained of."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda line: page.complaints.append(line.text))
    page.goto(path.as_uri())
    return page


def test_pages_fit_any_window_ask_for_nothing_and_complain_of_nothing(
    pages: dict[str, Path], browser: Any
) -> None:
    for name, path in pages.items():
        for scheme, width in (("light", 1200), ("dark", 400)):
            page = opened(browser, path, scheme=scheme, width=width)
            page.evaluate(
                "document.querySelectorAll('details').forEach((one) => (one.open = true))"
            )
            page.evaluate(
                "[...document.querySelectorAll('td.opener button')].slice(0, 5)"
                ".forEach((one) => one.click())"
            )
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            assert page.asked == [path.as_uri()]
            assert page.complaints == []
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert ground == {"light": "rgb(244, 246, 245)", "dark": "rgb(15, 21, 19)"}[scheme]
            page.close()


def focus(page: Any) -> str:
    """Return what has the focus, by its class and words."""
    return str(
        page.evaluate("`${document.activeElement.className}|${document.activeElement.textContent}`")
    )


def test_the_first_key_offers_to_skip_and_enter_does(pages: dict[str, Path], browser: Any) -> None:
    for path in pages.values():
        page = opened(browser, path)
        page.keyboard.press("Tab")
        assert focus(page).startswith("skip|")
        assert page.locator(".skip").bounding_box()["x"] >= 0
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


def test_rows_open_and_close_by_keys_and_arrows_go_from_row_to_row(
    pages: dict[str, Path], browser: Any
) -> None:
    for name in ("report", "compare"):
        page = opened(browser, pages[name])
        page.locator("input[type=search]").first.focus()
        for _ in range(40):  # buttons and headings stand before the first row
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('td.opener button')"):
                break
        first = page.locator("tr.row.opens").nth(0)
        assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "false"
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        detail = page.locator("tr.detail").nth(0)
        for key, seen in (("Enter", True), ("Space", False), ("ArrowRight", True)):
            page.keyboard.press(key)
            assert detail.is_visible() is seen, key
        page.keyboard.press("ArrowDown")
        second = page.locator("tr.row.opens").nth(1).get_attribute("id")
        here = "document.activeElement.closest('tr').id"
        assert page.evaluate(here) == second
        page.keyboard.press("ArrowUp")
        assert page.evaluate(here) == first.get_attribute("id")
        page.keyboard.press("ArrowLeft")
        assert not detail.is_visible()
        page.keyboard.press("End")
        assert page.evaluate(here) == page.locator("tr.row.opens").last.get_attribute("id")


def test_flips_are_filtered_by_a_key_and_show_both_programs(
    pages: dict[str, Path], browser: Any
) -> None:
    page = opened(browser, pages["compare"])
    rows = page.locator("section#Problems tr.row:visible")
    assert rows.count() == 164
    page.get_by_role("button", name="only B passes").focus()
    page.keyboard.press("Enter")
    wanted = sum(not WHOLE[key][0] and OTHER[key][0] for key in WHOLE)
    assert rows.count() == wanted
    assert page.get_by_role("button", name="only B passes").get_attribute("aria-pressed") == "true"
    rows.first.locator(".opener button").press("Enter")
    shown = page.locator("tr.detail.open").inner_text()
    for said in ("A's program", "B's reply", "one says <3>", "Prompt"):
        assert said in shown


def test_the_board_sorts_by_its_figures_highest_first_and_folds_open_by_keys(
    pages: dict[str, Path], browser: Any
) -> None:
    page = opened(browser, pages["board"])
    head = page.locator("section#Board th", has_text="humaneval").last
    models = page.locator("section#Board tr.row td:nth-child(2)")
    wide = next(
        one
        for one in page.locator("section#Board th").all()
        if "humaneval" in one.inner_text() and "first" not in one.inner_text()
    )
    wide.locator("button").press("Enter")
    assert wide.get_attribute("aria-sort") == "descending"
    assert "Qwen2.5-Coder-32B-Instruct" in models.first.inner_text()
    wide.locator("button").press("Space")
    assert wide.get_attribute("aria-sort") == "ascending"
    assert "StarCoder2-7B" in models.first.inner_text()
    assert head.count() == 1
    fold = page.locator("details.fold", has_text="Table 16")
    assert not fold.locator("table").is_visible()
    fold.locator("summary").press("Enter")
    assert fold.locator("table").is_visible()
    assert "failed" in page.locator("section#Runs").inner_text()
    page.get_by_role("button", name="published, instruct").press("Enter")
    assert page.locator("section#Board tr.row.ours:visible").count() == 0
