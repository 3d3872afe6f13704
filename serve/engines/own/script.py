"""What the scripted engine says: answers of a file, an echo, or filler of a set length.

A request is answered by the row whose key is its last message (or its prompt); without one, by the
row with the longest key that stands in it; without one, by the row "*". "n" is the choice's number.
The rows are those of `seedcoder.models.scripted`, so that one file serves both.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from seedcoder.models.scripted import read_answers
from serve.engines.own.bodies import Asking, ChatBody, EmbeddingBody, TextBody, TokenizeBody
from serve.engines.own.pace import Line, Pacer
from serve.engines.own.telling import Finish, Telling
from serve.fault import Fault

Mode = Literal["lorem", "echo"]

_LONGEST_CHARS = 8
# A word with the space before it, at most 8 characters of it; any other character by itself.
_PIECE: Final = re.compile(r" ?\w{1,7}|\W", re.ASCII)
_LOREM: Final = (
    " lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut"
    " labore et dolore magna aliqua"
)
_TOKENS = 64  # ours: of filler, where nobody says how long
_ANY = "*"
_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How the engine answers.

    file: JSON lines; without it `mode` decides. tokens: of filler; None is what the request allows.
    piece_chars: cut answers into pieces of so many characters instead of words.
    """

    file: Path | None = None
    mode: Mode = "lorem"
    tokens: int | None = None
    piece_chars: int | None = None
    context_tokens: int = 32_768
    dimensions: int = 64


class ScriptedSpeaker:
    """Speaks by a script. Raises UsageError for a file that cannot be used."""

    def __init__(self, script: Script, pacer: Pacer) -> None:
        self._script = script
        self._pacer = pacer
        self._answers = read_answers(script.file) if script.file is not None else {}
        self._keys = sorted({key for key, _ in self._answers} - {_ANY}, key=len, reverse=True)

    @property
    def context_tokens(self) -> int:
        """Prompt and reply together."""
        return self._script.context_tokens

    @property
    def load(self) -> tuple[int, int]:
        """Replies (under way, waiting)."""
        return self._pacer.load

    def begin(self, body: ChatBody | TextBody, telling: Telling) -> Callable[[], None]:
        """Answer at the script's pace. Raises Fault."""
        if isinstance(body, ChatBody):
            turns = [str(turn["content"]) for turn in body.turns()]
            prompts, asked = ["\n".join(turns)], [turns[-1]]
        else:
            prompts = asked = [_as_text(prompt) for prompt in body.prompts]
        counts = [self._count(prompt) for prompt in prompts]
        room = [self.context_tokens - count for count in counts]
        lines = []
        for at, (one, left) in enumerate(zip(asked, room, strict=True)):
            for n in range(body.n):
                lines.append(self._line(telling, at * body.n + n, one, body, left, n))
        telling.open(prompt_tokens=sum(counts), choices=len(lines))
        for line in lines:
            if isinstance(body, TextBody) and body.echo:
                telling.say(line.at, prompts[line.at // body.n], tokens=0)
            self._pacer.add(line)
        return lambda: self._pacer.drop(lines)

    def embed(self, body: EmbeddingBody) -> tuple[list[list[float]], int]:
        """Return vectors of length 1 that depend on the text alone."""
        texts = [_as_text(one) for one in body.inputs]
        size = body.dimensions or self._script.dimensions
        return [_vector(text, size) for text in texts], sum(self._count(text) for text in texts)

    def tokenize(self, body: TokenizeBody) -> list[int]:
        """Return a number for each piece."""
        self._count(body.prompt)
        return [_number(piece) for piece in _PIECE.findall(body.prompt)]

    def _count(self, prompt: str) -> int:
        most = self.context_tokens
        # No need to cut a prompt that is too long however it is cut.
        count = -(-len(prompt) // _LONGEST_CHARS)
        if count < most:
            count = sum(1 for _ in _PIECE.finditer(prompt))
        if count >= most:
            raise too_long(most, count)
        return count

    def _line(
        self, telling: Telling, at: int, asked: str, body: ChatBody | TextBody, room: int, n: int
    ) -> Line:
        most = min(body.most_tokens or room, room)
        text, finish = self._answer(asked, body, most, n)
        text, reason = _cut(text, body)
        calls: list[dict[str, object]] = []
        if isinstance(body, ChatBody) and body.tools and body.tool_choice != "none":
            text, calls = _calls(text)
        pieces = self._pieces(text)
        if len(pieces) > most:
            pieces, finish, reason, calls = pieces[:most], "length", None, []
        elif reason is not None:
            finish = "stop"
        return Line(
            telling=telling,
            at=at,
            pieces=pieces,
            finish="tool_calls" if calls else finish,
            reason=reason,
            calls=calls,
            is_weighed=body.top_logprobs_asked is not None,
        )

    def _answer(self, asked: str, body: Asking, most: int, n: int) -> tuple[str, Finish]:
        if self._script.file is not None:
            return self._row(asked, n)
        if self._script.mode == "echo":
            return asked, "stop"
        count = self._script.tokens or (most if _is_bounded(body) else min(_TOKENS, most))
        words = _PIECE.findall(_LOREM)
        start = ((body.seed or 0) + n) % len(words)
        text = "".join(itertools.islice(itertools.cycle(words), start, start + count))
        return text, "length" if count >= most else "stop"

    def _row(self, asked: str, n: int) -> tuple[str, Finish]:
        for key in (asked, *(key for key in self._keys if key in asked), _ANY):
            row = self._answers.get((key, n)) or self._answers.get((key, None))
            if row is None:
                continue
            if row.finish == "error":
                raise Fault(500, "the script says so", kind="server_error")
            return row.text, row.finish
        raise Fault(400, "the script has no answer to this, and no row '*'", code="no_answer")

    def _pieces(self, text: str) -> list[str]:
        size = self._script.piece_chars
        if size is None:
            return _PIECE.findall(text)
        return [text[at : at + size] for at in range(0, len(text), size)]


def too_long(context_tokens: int, count: int, param: str = "prompt") -> Fault:
    """Return the refusal of a prompt that leaves no room for a reply, in OpenAI's words."""
    return Fault(
        400,
        f"This model's maximum context length is {context_tokens} tokens. However, your prompt"
        f" contains at least {count} tokens. Please reduce the length of the prompt.",
        code="context_length_exceeded",
        param=param,
    )


def _is_bounded(body: Asking) -> bool:
    return body.max_tokens is not None or getattr(body, "most_tokens", None) is not None


def _cut(text: str, body: Asking) -> tuple[str, str | None]:
    """Cut a text at the first stop string; return that too."""
    found = [(text.find(stop), stop) for stop in body.stops if stop in text]
    if not found:
        return text, None
    at, stop = min(found)
    return text[: at + len(stop) if body.include_stop_str_in_output else at], stop


def _calls(text: str) -> tuple[str, list[dict[str, object]]]:
    """Take calls in Hermes's words, `<tool_call>{"name", "arguments"}</tool_call>`, out of a text.

    What stands there and is no such call stays text.
    """
    calls: list[dict[str, object]] = []

    def take(match: re.Match[str]) -> str:
        try:
            said = json.loads(match[1])
            function = {"name": said["name"], "arguments": said["arguments"]}
        except (ValueError, KeyError, TypeError):
            return match[0]
        if not isinstance(function["arguments"], str):
            function["arguments"] = json.dumps(function["arguments"])
        calls.append(
            {"id": f"call_{secrets.token_hex(8)}", "type": "function", "function": function}
        )
        return ""

    return _CALL.sub(take, text).strip("\n") if _CALL.search(text) else text, calls


def _as_text(prompt: str | Sequence[int]) -> str:
    if isinstance(prompt, str):
        return prompt
    return "".join(f" {number}" for number in prompt)


def _number(piece: str) -> int:
    return int.from_bytes(hashlib.sha256(piece.encode()).digest()[:2], "big")


def _vector(text: str, size: int) -> list[float]:
    """Return numbers of a text's digest, stretched as far as is needed, as a vector of length 1."""
    blocks = (
        hashlib.sha256(f"{block} {text}".encode("utf-8", "surrogatepass")).digest()
        for block in range(-(-size // 32))
    )
    raw = [byte - 127.5 for block in blocks for byte in block][:size]
    length = math.sqrt(sum(x * x for x in raw))
    return [x / length for x in raw]
