"""The page's own components: a log of a chat, an editor that completes. Gradio's HTML with scripts.

Their scripts are files beside this one, sent with the page; nothing is fetched from elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from sandbox.languages import LANGUAGES
from seedcoder.report.markup import attribute, esc

if TYPE_CHECKING:
    import gradio as gr

# A function of ours that a component's script calls: plain data in, plain data out.
Served = Callable[[Any], Awaitable[dict[str, Any]]]

_LOG = """<div class="pg-empty">%s</div>
<div class="pg-log" role="log" tabindex="0" hidden></div>"""

_EDITOR = """<div class="pg-row">
<label class="pg-field pg-grow">Model <select class="pg-model"></select></label>
<label class="pg-field">Language <select class="pg-lang">%s</select></label>
<label class="pg-field pg-short">Most tokens <input class="pg-most" type="number" min="1"
 max="4096" value="128"></label>
<label class="pg-field pg-short">Temperature <input class="pg-heat" type="number" min="0" max="2"
 step="0.1" value="0"></label>
<label class="pg-check"><input class="pg-auto" type="checkbox"> as I type</label>
</div>
<div class="pg-sheet"><pre class="pg-mirror" aria-hidden="true"><code></code></pre>
<textarea class="pg-input" aria-label="Code; the middle is asked for at the cursor"
 spellcheck="false" autocapitalize="off" autocomplete="off" wrap="off"></textarea></div>
<div class="pg-row"><div class="pg-tools"></div>
<div class="pg-status" role="status"></div></div>
<div class="pg-below pg-code-less"></div>"""


def log(*, empty: str, served: Sequence[Served], elem_id: str) -> gr.HTML:
    """Return the log of a chat; its value is what `conversation.view` gives."""
    import gradio as gr

    return gr.HTML(
        value={"turns": []},
        html_template=_LOG % esc(empty),
        js_on_load=_script("code_panel.js") + _script("log.js"),
        server_functions=list(served),
        apply_default_css=False,
        elem_id=elem_id,
    )


def editor(*, value: Mapping[str, Any], served: Sequence[Served], elem_id: str) -> gr.HTML:
    """Return the editor; its value has `models`, `model`, and at first `code` and `caret`."""
    import gradio as gr

    options = "".join(
        f'<option value="{attribute(name)}">{esc(language.title)}</option>'
        for name, language in LANGUAGES.items()
    )
    return gr.HTML(
        value=dict(value),
        html_template=_EDITOR % options,
        js_on_load=_script("code_panel.js") + _script("editor.js"),
        server_functions=list(served),
        apply_default_css=False,
        elem_id=elem_id,
    )


@cache
def style() -> str:
    """Return the style of the page."""
    return resources.files(__package__).joinpath("playground.css").read_text(encoding="utf-8")


@cache
def _script(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
