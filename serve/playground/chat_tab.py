"""The chat tab, and the tab that asks two models the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serve.playground.asking import Ask, Gateway, Refused
from serve.playground.components import Served, log
from serve.playground.conversation import Turn, answer, messages, stopped, user_turn, view

if TYPE_CHECKING:
    import gradio as gr

_EMPTY = "Ask for code. Each code block of the answer gets a Run button."


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The parts of the page that say how a model is asked."""

    system: gr.Textbox
    temperature: gr.Textbox
    max_tokens: gr.Textbox
    thinking_tokens: gr.Textbox

    def inputs(self) -> list[Any]:
        """Return them as a handler takes them, behind the model."""
        return [self.system, self.temperature, self.max_tokens, self.thinking_tokens]


def chat_tab(gateway: Gateway, served: Sequence[Served], key: gr.Textbox) -> list[gr.Dropdown]:
    """Lay out the chat; return the choice of the model, to be filled when the page loads."""
    import gradio as gr

    with gr.Row(elem_classes="pg-top"):
        model = _model_choice("Model")
        fresh = gr.Button("New chat", scale=0, min_width=110, elem_id="pg-new")
        again = gr.Button("Ask again", scale=0, min_width=110, elem_id="pg-again")
    settings = _settings()
    shown = log(empty=_EMPTY, served=served, elem_id="pg-chat")
    turns = gr.State([])
    box = _box("pg-message", "Message; Shift+Enter: a new line")
    handler = _Handler(gateway, "Chat")
    inputs = [box, turns, model, *settings.inputs(), key]
    outputs = [box, turns, shown]
    sent = box.submit(handler.send, inputs, outputs, **_QUIET)
    asked = again.click(handler.again, inputs, outputs, **_QUIET)
    # Two steps: what a cancelled answer still sends would else come after what is said of its end.
    halted = box.stop(None, cancels=[sent, asked])
    halted.then(handler.stop, [turns], outputs, **_QUIET)
    fresh.click(handler.clear, None, outputs, cancels=[sent, asked], **_QUIET)
    return [model]


def compare_tab(gateway: Gateway, served: Sequence[Served], key: gr.Textbox) -> list[gr.Dropdown]:
    """Lay out two chats with one message box; return the choices of their models."""
    import gradio as gr

    settings = _settings()
    sides = []
    with gr.Row(elem_classes="pg-sides"):
        for side in ("left", "right"):
            with gr.Column(min_width=280):
                model = _model_choice(f"Model, {side}")
                shown = log(
                    empty="The same message goes to both models.",
                    served=served,
                    elem_id=f"pg-{side}",
                )
                sides.append((model, shown, gr.State([]), _Handler(gateway, f"Chat, {side}")))
    box = _box("pg-both", "Ask both models")
    kept = gr.State("")
    # The box is emptied first; both sides then read what it held.
    taken = box.submit(_take, [box], [box, kept], **_QUIET)
    asked = [
        taken.then(
            handler.side,
            [kept, turns, model, *settings.inputs(), key],
            [turns, shown],
            **_QUIET,
        )
        for model, shown, turns, handler in sides
    ]
    with gr.Row(elem_classes="pg-top"):
        fresh = gr.Button("New comparison", scale=0, min_width=150, elem_id="pg-both-new")
    ready = {"fn": _ready, "inputs": None, "outputs": [box], **_QUIET}
    for after in asked:
        after.then(**ready)
    halted = box.stop(None, cancels=asked)
    halted.then(**ready)
    for _, shown, turns, handler in sides:
        halted.then(handler.stop_side, [turns], [turns, shown], **_QUIET)
        fresh.click(handler.clear_side, None, [turns, shown], cancels=asked, **_QUIET)
    return [model for model, *_ in sides]


# No spinner over what is being read; nothing of it for the outside (the gateway's API is that).
_QUIET: dict[str, Any] = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "concurrency_limit": None,
}


class _Handler:
    """What happens on a click: asks, and yields what the page shows."""

    def __init__(self, gateway: Gateway, label: str) -> None:
        self._gateway = gateway
        self._label = label

    async def send(self, message: str, turns: list[Turn], *rest: Any) -> AsyncIterator[Any]:
        if not message.strip():
            yield _idle(), turns, self._view(turns)
            return
        asked = [*turns, user_turn(message)]
        async for now in self._grow(asked, rest):
            yield _busy(), now, self._view(now)
        yield _idle(), now, self._view(now)

    async def again(self, message: str, turns: list[Turn], *rest: Any) -> AsyncIterator[Any]:
        asked = list(turns)
        while asked and asked[-1]["role"] != "user":
            asked.pop()
        if not asked:
            yield _same(), turns, self._view(turns)
            return
        async for now in self._grow(asked, rest):
            yield _busy(keep=True), now, self._view(now)
        yield _idle(keep=True), now, self._view(now)

    async def side(self, message: str, turns: list[Turn], *rest: Any) -> AsyncIterator[Any]:
        if not message.strip():
            yield turns, self._view(turns)
            return
        async for now in self._grow([*turns, user_turn(message)], rest):
            yield now, self._view(now)

    def stop(self, turns: list[Turn]) -> tuple[Any, ...]:
        ended = stopped(turns)
        return _idle(keep=True), ended, self._view(ended)

    def stop_side(self, turns: list[Turn]) -> tuple[Any, ...]:
        return self.stop(turns)[1:]

    def clear(self) -> tuple[Any, ...]:
        return _idle(keep=True), [], self._view([])

    def clear_side(self) -> tuple[Any, ...]:
        return [], self._view([])

    async def _grow(self, asked: list[Turn], rest: Sequence[Any]) -> AsyncIterator[list[Turn]]:
        model, system, temperature, max_tokens, thinking_tokens, key = rest
        if not model:
            yield [*asked, {"role": "refusal", "text": "there is no model to ask"}]
            return
        try:
            ask = Ask(
                model=model,
                messages=messages(asked, system or ""),
                temperature=read_temperature(temperature),
                max_tokens=read_tokens(max_tokens, "most tokens", least=1),
                thinking_tokens=read_tokens(thinking_tokens, "most tokens of thought", least=0),
            )
        except Refused as error:
            yield [*asked, {"role": "refusal", "text": str(error)}]
            return
        async for turn in answer(self._gateway, ask, key=key or ""):
            yield [*asked, turn]

    def _view(self, turns: list[Turn]) -> dict[str, Any]:
        return view(turns, label=self._label)


def _settings() -> Settings:
    import gradio as gr

    with gr.Accordion("System prompt and sampling", open=False, elem_classes="pg-settings"):
        system = gr.Textbox(
            label="System prompt",
            placeholder="Empty: the model's own",
            lines=2,
            max_lines=10,
            elem_classes="pg-system",
        )
        with gr.Row():
            # Text, because Gradio shows an empty number as 0, which is another wish.
            numbers = [
                gr.Textbox(
                    label=label,
                    placeholder="model's own",
                    min_width=130,
                    html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
                )
                for label in ("Temperature", "Most tokens", "Most tokens of thought")
            ]
    temperature, max_tokens, thinking_tokens = numbers
    return Settings(
        system=system,
        temperature=temperature,
        max_tokens=max_tokens,
        thinking_tokens=thinking_tokens,
    )


def _model_choice(label: str) -> gr.Dropdown:
    import gradio as gr

    return gr.Dropdown(choices=[], label=label, min_width=320, scale=1, elem_classes="pg-choice")


def _box(elem_id: str, placeholder: str) -> gr.Textbox:
    import gradio as gr

    return gr.Textbox(
        show_label=False,
        label="Message",
        placeholder=placeholder,
        lines=1,
        max_lines=12,
        submit_btn=True,
        elem_id=elem_id,
        container=False,
        autofocus=elem_id == "pg-message",
    )


def _take(message: str) -> tuple[Any, str]:
    return _busy(), message


def _ready() -> Any:
    return _idle(keep=True)


def _busy(*, keep: bool = False) -> Any:
    import gradio as gr

    if keep:
        return gr.update(submit_btn=False, stop_btn=True)
    return gr.update(value="", submit_btn=False, stop_btn=True)


def _idle(*, keep: bool = False) -> Any:
    import gradio as gr

    return gr.update(submit_btn=True, stop_btn=False)


def _same() -> Any:
    import gradio as gr

    return gr.update()


def read_temperature(text: str | None) -> float | None:
    """Return what was typed; None for nothing. Raises Refused."""
    said = (text or "").strip()
    if not said:
        return None
    try:
        value = float(said)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 2:  # NaN is not, either
        raise Refused(f"temperature must be a number from 0 to 2, got {said[:20]!r}")
    return value


def read_tokens(text: str | None, name: str, *, least: int) -> int | None:
    """Return what was typed; None for nothing. Raises Refused."""
    said = (text or "").strip()
    if not said:
        return None
    if not (said.isascii() and said.isdigit() and len(said) < 10 and int(said) >= least):
        raise Refused(f"{name} must be a whole number from {least} on, got {said[:20]!r}")
    return int(said)
