"""The access log: one line a request, without a word of its prompt or answer.

Prompts are written only where the recipe says `logs_prompts`, at most `_PROMPT_MOST_CHARACTERS` of
each, in a line of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from serve.gateway.call import Tally

log = logging.getLogger("serve.access")
_PROMPT_MOST_CHARACTERS = 4096
_PROMPTS = ("messages", "prompt", "suffix", "input", "input_prefix", "input_suffix")


def write_line(
    *, id: str, client: str, key: str, method: str, route: str, status: int, s: float,
    waited_s: float, tally: Tally,
) -> None:  # fmt: skip
    """Write a request's line. s, waited_s: seconds it took, and spent in queues."""
    first = "-" if tally.first_s is None else f"{1000 * tally.first_s:.1f}"
    log.info(
        "request id=%s client=%s key=%s method=%s route=%s model=%s status=%d ms=%.1f first_ms=%s"
        " wait_ms=%.1f prompt_tokens=%d completion_tokens=%d in=%d out=%d note=%s",
        id, client, key or "-", method, route, tally.model or "-", status, 1000 * s, first,
        1000 * waited_s, tally.prompt_tokens, tally.completion_tokens, tally.read_bytes,
        tally.sent_bytes, tally.note or "-",
    )  # fmt: skip


def write_prompt(id: str, body: Mapping[str, Any]) -> None:
    """Write what was asked."""
    said = {name: body[name] for name in _PROMPTS if name in body}
    if said:
        text = orjson.dumps(said).decode()
        log.info("prompt id=%s said=%s", id, text[:_PROMPT_MOST_CHARACTERS])
