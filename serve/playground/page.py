"""The page: five tabs over one gateway and one sandbox.

    page = build("http://127.0.0.1:8000", key=None, runs_dir=Path("runs"), sandbox=SandboxTable())

Nothing of it is fetched from elsewhere, nothing is told to anyone, and there is no share link.
Guards: who may run code and see runs (`rights`). Does not guard: who may open the page; what is
typed there is seen by this process, keys too, and kept nowhere.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serve.config import SandboxTable
from serve.playground.asking import Gateway, Offered, Refused
from serve.playground.chat_tab import chat_tab, compare_tab
from serve.playground.components import Served, editor
from serve.playground.rights import EVERYONE, Rights
from serve.playground.running import Runner
from serve.playground.runs_tab import runs_tab
from serve.playground.tests_tab import tests_tab

if TYPE_CHECKING:
    import gradio as gr
    import httpx

_SAMPLE = '''def median(values):
    """Return the middle of a list of numbers."""
    ordered = sorted(values)
    half = len(ordered) // 2
    %s

print(median([3, 1, 2]))
'''
_MIDDLE_TOKENS_MOST = 4096  # ours


def build(
    base_url: str,
    *,
    key: str | None = None,
    runs_dir: Path | None = None,
    sandbox: SandboxTable,
    transport: httpx.AsyncBaseTransport | None = None,
    rights: Rights | None = None,
) -> gr.Blocks:
    """Return the page, not yet served (see `mount`; its look is `look.look`).

    base_url, transport: of the gateway. key: sent with every request.
    rights: of visitors with keys; the page then has a field for one. None lets everyone do all.
    runs_dir: the folder that `seedcoder eval` writes its runs to.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    import gradio as gr

    gateway = Gateway(base_url, key=key, transport=transport)
    runner = Runner(sandbox)
    allowed = rights or EVERYONE
    served = [_serve_runs(runner, allowed), _serve_middles(gateway)]
    page: gr.Blocks
    with gr.Blocks(title="Seed-Coder playground", analytics_enabled=False) as page:
        with gr.Row(elem_classes="pg-masthead"):
            gr.HTML("<h1>Seed-Coder playground</h1>", apply_default_css=False)
            secret = gr.Textbox(
                label="API key",
                type="password",
                visible=rights is not None,
                scale=0,
                min_width=220,
                elem_id="pg-key",
                html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
            )
        state = gr.HTML("", elem_id="pg-state", apply_default_css=False)
        with gr.Tabs(elem_id="pg-tabs", overflow_behavior="wrap"):
            with gr.Tab("Chat", id="chat"):
                chats = chat_tab(gateway, served[:1], secret)
            with gr.Tab("Complete", id="complete"):
                code = editor(value=_first_code(), served=served, elem_id="pg-editor")
            with gr.Tab("Tests", id="tests"):
                tests_tab(runner, allowed, secret)
            with gr.Tab("Compare", id="compare"):
                compared = compare_tab(gateway, served[:1], secret)
            with gr.Tab("Runs", id="runs"):
                runs_tab(runs_dir, page, allowed, secret)
        choices = [*chats, *compared]

        async def listed(secret_text: str) -> list[Any]:
            return await _listed(gateway, secret_text or "", len(choices))

        outputs = [state, code, *choices]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        page.load(listed, [secret], outputs, **quiet)
        secret.blur(listed, [secret], outputs, **quiet)
        secret.submit(listed, [secret], outputs, **quiet)
    page.queue(default_concurrency_limit=None, api_open=False)
    return page


async def _listed(gateway: Gateway, key: str, choices: int) -> list[Any]:
    """Return the updates of the state line, the editor and the choices of models."""
    import gradio as gr

    try:
        models = await gateway.models(key=key)
    except Refused as error:
        from seedcoder.report.markup import esc

        state = f'<p class="pg-error" role="alert">{esc(str(error))}</p>'
        return [state, gr.skip(), *(gr.skip() for _ in range(choices))]
    chats = [model.name for model in models if model.role not in ("base", "embedding")]
    middles = _middles(models)
    code = {**_first_code(), "models": middles, "model": middles[0] if middles else ""}
    updates = [
        # Where there are two, the sides of the comparison begin with different ones.
        gr.update(choices=chats, value=chats[max(0, at - 1) % len(chats)] if chats else None)
        for at in range(choices)
    ]
    return ["", code, *updates]


def _middles(models: tuple[Offered, ...]) -> list[str]:
    """Return the models that fill in the middle; those of which it is not told stand last."""
    known = [model.name for model in models if model.has_middle]
    unknown = [
        model.name for model in models if model.has_middle is None and model.role != "embedding"
    ]
    return [*known, *unknown]


def _first_code() -> dict[str, Any]:
    before, after = _SAMPLE.split("%s")
    return {"models": [], "model": "", "code": before + after, "caret": len(before)}


def _serve_runs(runner: Runner, rights: Rights) -> Served:
    async def run_block(asked: Any) -> dict[str, Any]:
        try:
            source, language, stdin, key = _texts(asked, "source", "language", "stdin", "key")
            await rights.check_run(key)
            return await runner.run(source, language=language, stdin=stdin)
        except Refused as error:
            return {"error": str(error)}

    return run_block


def _serve_middles(gateway: Gateway) -> Served:
    async def complete(asked: Any) -> dict[str, Any]:
        try:
            model, prefix, suffix, key = _texts(asked, "model", "prefix", "suffix", "key")
            most, heat = asked.get("max_tokens", 128), asked.get("temperature", 0)
            if not (isinstance(most, int | float) and 1 <= most <= _MIDDLE_TOKENS_MOST):
                raise Refused(f"most tokens must be from 1 to {_MIDDLE_TOKENS_MOST}")
            if not (isinstance(heat, int | float) and 0 <= heat <= 2):
                raise Refused("temperature must be from 0 to 2")
            text = await gateway.middle(
                model=model,
                prefix=prefix,
                suffix=suffix,
                max_tokens=int(most),
                temperature=float(heat),
                key=key,
            )
        except Refused as error:
            return {"error": str(error)}
        return {"text": text}

    return complete


def _texts(asked: Any, *names: str) -> list[str]:
    """Return strings out of what a script sent: anyone can send anything there."""
    if not isinstance(asked, dict):
        raise Refused("the request is no object")
    for name in names:
        if not isinstance(asked.get(name, ""), str):
            raise Refused(f"{name} must be a string")
    return [asked.get(name, "") for name in names]
