"""The tests tab: a program, pasted tests, and what became of each check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sandbox import Kind
from seedcoder.report.markup import Html, esc
from serve.playground.asking import Refused
from serve.playground.asserts import Judged, judge_checks, read_checks
from serve.playground.rights import Rights
from serve.playground.running import Runner, verdict_words

if TYPE_CHECKING:
    import gradio as gr

_PROGRAM = """def fizz(n):
    if n % 15 == 0:
        return "FizzBuzz"
    if n % 3 == 0:
        return "Fizz"
    return str(n)
"""
_TESTS = """assert fizz(3) == "Fizz"
assert fizz(15) == "FizzBuzz"
assert fizz(5) == "Buzz"
>>> fizz(7)
'7'
"""


def tests_tab(runner: Runner, rights: Rights, key: gr.Textbox) -> None:
    """Lay the tab out."""
    import gradio as gr

    with gr.Row(elem_classes="pg-sides"):
        program = gr.Code(
            value=_PROGRAM,
            language="python",
            label="Program",
            lines=14,
            max_lines=24,
            buttons=["copy"],
            elem_id="pg-program",
        )
        tests = gr.Code(
            value=_TESTS,
            language="python",
            label="Tests",
            lines=14,
            max_lines=24,
            buttons=["copy"],
            elem_id="pg-tests",
        )
    with gr.Row(elem_classes="pg-top"):
        judge = gr.Button("Judge", variant="primary", scale=0, min_width=140, elem_id="pg-judge")
        words = f"Asserts, or >>> lines with their values; each a run of its own: {runner.words()}."
        gr.HTML(f'<p class="pg-soft">{esc(words)}</p>', min_width=240, elem_classes="pg-said")
    shown = gr.HTML("", elem_id="pg-judged", apply_default_css=False)

    async def judged(source: str, pasted: str, secret: str) -> str:
        try:
            await rights.check_run(secret or "")
            checks = read_checks(source or "", pasted or "")
            return _page(await judge_checks(runner, source or "", checks), len(checks))
        except Refused as error:
            return f'<p class="pg-error" role="alert">{esc(str(error))}</p>'

    judge.click(
        judged,
        [program, tests, key],
        [shown],
        show_progress="minimal",
        api_visibility="private",
        concurrency_limit=None,
    )


def _page(judged: Sequence[Judged], checks: int) -> Html:
    passed = sum(one.kind is Kind.PASSED for one in judged)
    tone = "good" if passed == checks else "bad"
    words = f"{passed} of {checks} passed"
    rows = "".join(_row(one) for one in judged)
    left = checks - len(judged)
    note = f'<p class="pg-soft">{left} more were not tried.</p>' if left else ""
    return Html(
        f'<div class="pg-verdict" role="status">'
        f'<span class="pg-chip pg-{tone}">{words}</span></div>'
        f'<ol class="pg-checks">{rows}</ol>{note}'
    )


def _row(one: Judged) -> str:
    word, tone = verdict_words(one.kind) if one.kind else ("test is broken", "warn")
    said: list[tuple[str, Any]] = [
        ("expected", one.expected),
        ("got", one.got),
        ("why", one.reason),
    ]
    facts = "".join(
        f"<dt>{name}</dt><dd>{esc(value)}</dd>" for name, value in said if value and one.kind
    )
    if not one.kind:
        facts = f"<dt>why</dt><dd>{esc(one.reason)}</dd>"
    figures = [f"line {one.check.line}", f"{1000 * one.cpu_s:.1f} ms CPU"]
    if one.mode == "shared":
        figures.append("beside the program")
    return (
        f'<li data-kind="{one.kind or "broken"}"><div class="pg-verdict">'
        f'<span class="pg-chip pg-{tone}">{word}</span>'
        f"<code>{esc(one.check.text)}</code>"
        f'<span class="pg-figures">{" · ".join(figures)}</span>'
        f"</div>{f'<dl>{facts}</dl>' if facts else ''}</li>"
    )
