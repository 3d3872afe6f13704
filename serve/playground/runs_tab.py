"""The tab that browses runs of `seedcoder eval`: problem, reply, verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from seedcoder.errors import UsageError
from seedcoder.report.markup import Html, esc
from serve.playground.asking import Refused
from serve.playground.reply_parts import coloured
from serve.playground.rights import Rights
from serve.playground.stored_runs import Attempt, RunLine, WholeRun, find_runs, read_run

if TYPE_CHECKING:
    import gradio as gr

_ALL: Final = "all verdicts"
_SHOWN_MOST: Final = 500  # ours: attempts in the list; the filters reach the rest
_TONES: Final[Mapping[str, str]] = {
    "passed": "good",
    "wrong": "bad",
    "crashed": "bad",
    "compile_error": "bad",
    "forbidden": "bad",
    "no_code": "bad",
    "timeout": "warn",
    "memory": "warn",
    "output": "warn",
}


def runs_tab(runs_dir: Path | None, page: gr.Blocks, rights: Rights, key: gr.Textbox) -> None:
    """Lay the tab out; the list of runs is read when the page loads and by its button."""
    import gradio as gr

    if runs_dir is None:
        gr.HTML('<p class="pg-soft">This page was started without a folder of runs.</p>')
        return
    with gr.Row(elem_classes="pg-top"):
        run = gr.Dropdown(choices=[], label="Run", scale=4, min_width=260, elem_id="pg-run")
        kind = gr.Dropdown(
            choices=[_ALL], value=_ALL, label="Verdict", scale=1, min_width=150, elem_id="pg-kind"
        )
        words = gr.Textbox(
            label="Problem or text", placeholder="HumanEval/3", scale=1, min_width=150
        )
        again = gr.Button("Look again", scale=0, min_width=110)
    summary = gr.HTML("", apply_default_css=False)
    with gr.Row(elem_classes="pg-sides pg-browse"):
        with gr.Column(scale=1, min_width=260):
            attempts = gr.Radio(
                choices=[], show_label=False, label="Attempts", elem_id="pg-attempts"
            )
        with gr.Column(scale=3, min_width=280):
            shown = gr.HTML("", elem_id="pg-attempt", apply_default_css=False)
    shelf = _Shelf(runs_dir, rights)
    quiet: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": None,
    }
    opened = [kind, summary, attempts, shown]
    for event in (page.load, again.click):
        event(shelf.runs, [run, key], [run, summary], **quiet)
    run.change(shelf.open, [run, key], opened, **quiet)
    for changed in (kind, words):
        changed.change(shelf.filter, [run, kind, words, key], [attempts, shown], **quiet)
    attempts.change(shelf.show, [run, attempts, key], [shown], **quiet)


class _Shelf:
    """The handlers of the tab. Reading is left to a thread: a report may be large."""

    def __init__(self, root: Path, rights: Rights) -> None:
        self._root = root
        self._rights = rights

    async def runs(self, chosen: str | None, key: str) -> tuple[Any, ...]:
        import gradio as gr

        try:
            await self._rights.check_look(key or "")
        except Refused as error:
            return gr.update(choices=[], value=None), _wrong(error)
        lines = await asyncio.to_thread(find_runs, self._root)
        names = [line.folder_name for line in lines]
        value = chosen if chosen in names else (names[0] if names else None)
        choices = [(_named(line), line.folder_name) for line in lines]
        nothing = "" if names else '<p class="pg-soft">There are no runs of eval yet.</p>'
        return gr.update(choices=choices, value=value), gr.skip() if names else nothing

    async def open(self, name: str | None, key: str) -> tuple[Any, ...]:
        import gradio as gr

        all_kinds = gr.update(choices=[_ALL], value=_ALL)
        try:
            run = await self._read(name, key)
        except Refused as error:
            return all_kinds, _wrong(error), gr.update(choices=[]), ""
        if run is None:
            return all_kinds, gr.skip(), gr.update(choices=[]), ""
        kinds = gr.update(choices=[_ALL, *sorted(run.kinds())], value=_ALL)
        listed, first = _listed(run, _ALL, "")
        return kinds, _summary(run), listed, _attempt(run, first)

    async def filter(self, name: str | None, kind: str, words: str, key: str) -> tuple[Any, ...]:
        import gradio as gr

        try:
            run = await self._read(name, key)
        except Refused as error:
            return gr.update(choices=[]), _wrong(error)
        if run is None:
            return gr.update(choices=[]), ""
        listed, first = _listed(run, kind, words or "")
        return listed, _attempt(run, first)

    async def show(self, name: str | None, chosen: str | None, key: str) -> str:
        try:
            run = await self._read(name, key)
        except Refused as error:
            return _wrong(error)
        if run is None or not chosen:
            return ""
        return _attempt(run, next((one for one in run.attempts if one.key == chosen), None))

    async def _read(self, name: str | None, key: str) -> WholeRun | None:
        await self._rights.check_look(key or "")
        if not name:
            return None
        try:
            return await asyncio.to_thread(read_run, self._root, name)
        except (UsageError, OSError) as error:
            raise Refused(str(error)) from error


def _wrong(error: Refused) -> Html:
    return Html(f'<p class="pg-error" role="alert">{esc(str(error))}</p>')


def _named(line: RunLine) -> str:
    # The digits of its recipe tell runs of one name apart.
    digits = line.folder_name.rpartition("-")[2][:6]
    return f"{line.bench} · {line.model} · {line.score} · {digits}"


def _open(root: Path, name: str | None) -> tuple[Any, ...]:
    import gradio as gr

    if not name:
        nothing = '<p class="pg-soft">No run of eval lies in the folder of runs.</p>'
        return gr.update(choices=[_ALL], value=_ALL), nothing, gr.update(choices=[]), ""
    try:
        run = read_run(root, name)
    except (UsageError, OSError) as error:
        wrong = f'<p class="pg-error">{esc(str(error))}</p>'
        return gr.update(choices=[_ALL], value=_ALL), wrong, gr.update(choices=[]), ""
    kinds = [_ALL, *sorted(run.kinds())]
    listed, first = _listed(run, _ALL, "")
    return gr.update(choices=kinds, value=_ALL), _summary(run), listed, _attempt(run, first)


def _filter(root: Path, name: str | None, kind: str, words: str) -> tuple[Any, ...]:
    import gradio as gr

    if not name:
        return gr.update(choices=[]), ""
    try:
        run = read_run(root, name)
    except (UsageError, OSError) as error:
        return gr.update(choices=[]), f'<p class="pg-error">{esc(str(error))}</p>'
    listed, first = _listed(run, kind, words or "")
    return listed, _attempt(run, first)


def _show(root: Path, name: str | None, key: str | None) -> str:
    if not name or not key:
        return ""
    try:
        run = read_run(root, name)
    except (UsageError, OSError) as error:
        return f'<p class="pg-error">{esc(str(error))}</p>'
    return _attempt(run, next((one for one in run.attempts if one.key == key), None))


def _listed(run: WholeRun, kind: str, words: str) -> tuple[Any, Attempt | None]:
    """Return the update of the list, and the attempt that is chosen in it."""
    import gradio as gr

    found = [
        one
        for one in run.attempts
        if kind in (_ALL, one.kind) and _has(one, run.prompts.get(one.problem, ""), words)
    ]
    choices = [(f"{one.key.removesuffix('#0')} · {_word(one.kind)}", one.key) for one in found]
    first = found[0] if found else None
    update = gr.update(choices=choices[:_SHOWN_MOST], value=first.key if first else None)
    return update, first


def _has(one: Attempt, prompt: str, words: str) -> bool:
    wanted = words.strip().lower()
    if not wanted:
        return True
    return any(wanted in text.lower() for text in (one.key, prompt, one.reply))


def _summary(run: WholeRun) -> Html:
    kinds = "".join(
        f'<span class="pg-chip pg-{_TONES.get(kind, "muted")}">{count} {_word(kind)}</span>'
        for kind, count in run.kinds().most_common()
    )
    line = run.line
    where = "" if run.report else " The report is not written yet, so problems have no text here."
    return Html(
        f'<div class="pg-verdict"><strong>{esc(line.score)}</strong>{kinds}</div>'
        f'<p class="pg-soft">{esc(line.bench)}, {esc(line.model)}, {esc(line.folder_name)}; '
        f"last worked on {esc(line.worked_on or 'at no known time')}.{where}</p>"
    )


def _attempt(run: WholeRun, one: Attempt | None) -> Html:
    if one is None:
        return Html('<p class="pg-soft">Nothing fits.</p>')
    tone = _TONES.get(one.kind, "muted")
    tokens = f"{one.tokens} tokens" if one.tokens is not None else ""
    cut = "cut at the most tokens" if one.finish == "length" else ""
    figures = " · ".join(filter(None, (tokens, cut, *_figures(one))))
    failure = one.verdict.get("first_failure") or {}
    said = {"lost because": one.error} if one.error else {}
    said |= {
        "first failing test": failure.get("test", ""),
        "expected": failure.get("expected", ""),
        "got": failure.get("got", ""),
        # A bare assert has no words of its own.
        "why": failure.get("reason", "").removeprefix("AssertionError").removeprefix(": "),
    }
    facts = "".join(f"<dt>{name}</dt><dd>{esc(text)}</dd>" for name, text in said.items() if text)
    blocks = [
        _code("Problem", run.prompts.get(one.problem, ""), "python"),
        _code("Reply", one.reply, "markdown"),
        _code("Program, as it was judged", one.program, "python"),
    ]
    outcomes = one.verdict.get("outcomes") or [{}]
    blocks += [_code(name, str(outcomes[0].get(name, "")), "") for name in ("stderr", "stdout")]
    return Html(
        f'<div class="pg-verdict"><strong>{esc(one.key)}</strong>'
        f'<span class="pg-chip pg-{tone}">{_word(one.kind)}</span>'
        f'<span class="pg-figures">{esc(figures)}</span></div>'
        f"{f'<dl>{facts}</dl>' if facts else ''}{''.join(blocks)}"
    )


def _figures(one: Attempt) -> tuple[str, ...]:
    outcomes = one.verdict.get("outcomes") or []
    if not outcomes:
        return ()
    first = outcomes[0]
    return (f"{1000 * first.get('cpu_s', 0):.1f} ms CPU", f"{first.get('peak_mb', 0):.1f} MiB")


def _code(name: str, text: str, language: str) -> str:
    if not text.strip():
        return ""
    # Prose is wrapped, code is not.
    kind = "pg-code" if language == "python" else "pg-code pg-wrapped"
    body = coloured(text.rstrip("\n"), language) if language else esc(text.rstrip("\n"))
    return (
        f'<figure class="{kind}"><figcaption><span class="pg-language">{name}</span></figcaption>'
        f'<pre tabindex="0" aria-label="{name}"><code>{body}</code></pre></figure>'
    )


def _word(kind: str) -> str:
    return kind.replace("_", " ")
