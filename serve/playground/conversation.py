"""A chat as data: its turns, how the next one comes, and what the page shows of it.

A turn is plain data, because Gradio keeps it between events:
    {"role": "user" | "assistant" | "refusal", "text", "thought", "thought_s", "note", "is_live"}
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from serve.playground.asking import Ask, Gateway, Refused
from serve.playground.reply_parts import parts

Turn = dict[str, Any]

_SHOW_EVERY_S: Final = 0.08  # ours: more often than that nobody reads
_FINISHES: Final = {
    "length": "cut at the most tokens allowed",
    "content_filter": "cut by the server",
}


def user_turn(text: str) -> Turn:
    """Return what the visitor said."""
    return {"role": "user", "text": text}


def messages(turns: Sequence[Turn], system: str) -> list[dict[str, str]]:
    """Return the turns as a request has them: no thoughts, no refusals; `system` before them.

    An empty `system` is left out, and the model's template puts its own.
    """
    said = [
        {"role": turn["role"], "content": turn["text"]}
        for turn in turns
        if turn["role"] in ("user", "assistant") and (turn["text"] or turn["role"] == "user")
    ]
    return [{"role": "system", "content": system}, *said] if system.strip() else said


async def answer(gateway: Gateway, ask: Ask, *, key: str) -> AsyncIterator[Turn]:
    """Yield the next turn as it grows, a few times a second; the last one is whole.

    A refusal is a turn too. Closing the iterator cancels the request.
    """
    begun_s = time.monotonic()
    turn: Turn = {"role": "assistant", "text": "", "thought": "", "is_live": True, "note": ""}
    first_s: float | None = None
    shown_s = 0.0
    tokens, finish = None, ""
    yield dict(turn)
    try:
        async for piece in gateway.chat(ask, key=key):
            now_s = time.monotonic()
            if first_s is None and (piece.text or piece.thought):
                first_s = now_s - begun_s
            turn["thought"] += piece.thought
            turn["text"] += piece.text
            if piece.thought:
                turn["thought_s"] = now_s - begun_s
            tokens = piece.tokens if piece.tokens is not None else tokens
            finish = piece.finish or finish
            if now_s - shown_s >= _SHOW_EVERY_S:
                shown_s = now_s
                yield dict(turn)
    except Refused as error:
        if turn["text"] or turn["thought"]:
            yield {**turn, "is_live": False, "note": f"broken off: {error}"}
        else:
            yield {"role": "refusal", "text": str(error)}
        return
    turn["is_live"] = False
    turn["note"] = _note(tokens, first_s, time.monotonic() - begun_s, finish)
    yield dict(turn)


def stopped(turns: Sequence[Turn]) -> list[Turn]:
    """Return the turns after the visitor has stopped the last one."""
    return [
        {**turn, "is_live": False, "note": "stopped"} if turn.get("is_live") else turn
        for turn in turns
    ]


def view(turns: Sequence[Turn], *, label: str) -> dict[str, Any]:
    """Return what the page's log shows."""
    return {"label": label, "turns": [_shown(turn) for turn in turns]}


def _shown(turn: Turn) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "role": turn["role"],
        "text": turn["text"],
        "live": bool(turn.get("is_live")),
        "note": turn.get("note", ""),
        "parts": parts(turn["text"]) if turn["role"] == "assistant" else [],
    }
    if turn.get("thought"):
        seconds = turn.get("thought_s", 0.0)
        # As long as nothing else has come, it is still at it.
        thinks = shown["live"] and not turn["text"]
        words = "Thinking…" if thinks else f"Thought for {seconds:.1f} s"
        shown["thought"] = {"summary": words, "text": turn["thought"].strip()}
    return shown


def _note(tokens: int | None, first_s: float | None, whole_s: float, finish: str) -> str:
    said = []
    if tokens is not None:
        said.append(f"{tokens} token{'' if tokens == 1 else 's'}")
        writing_s = whole_s - (first_s or 0.0)
        if tokens > 1 and writing_s > 0:
            said.append(f"{(tokens - 1) / writing_s:.1f} tokens/s")
    if first_s is not None:
        said.append(f"first after {first_s:.2f} s")
    if finish in _FINISHES:
        said.append(_FINISHES[finish])
    return " · ".join(said)
