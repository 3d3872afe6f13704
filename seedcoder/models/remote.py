"""A model behind an HTTP server that speaks the OpenAI protocol.

A reply counts only when the server has said why it ended: a connection that drops in the middle
is tried again and in the end is an error, never a short answer. What this does not guard against
is a server that ends a reply early and says "stop".
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import threading
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import openai

from seedcoder.completion import Completion, Message, Request, Sampling
from seedcoder.errors import UsageError
from seedcoder.models.ending import FenceWatch, ReplyEnd, after_opening
from seedcoder.models.overflow import room
from seedcoder.models.thought import Thought

log = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_STOPS = 4  # servers refuse more over HTTP; the rest is cut here
_LONGEST_PAUSE_S = 60.0  # ours: a Retry-After beyond this is not waited out in full


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How failures are borne.

    tries: requests made at most for one reply. first_pause_s doubles with each further try; a
    server's Retry-After wins. timeout_s: without a byte from the server.
    """

    tries: int = 6
    first_pause_s: float = 0.5
    timeout_s: float = 300.0

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise ValueError(f"tries must be 1 or more, got {self.tries}")


class _BadReply(Exception):
    """The server's answer is not one: worth another try."""


class RemoteModel:
    """A client of one model of one server, with many requests under way at once.

    Prefill in a chat is sent as the beginning of the assistant's message, with the two request
    fields by which vLLM continues it (llama.cpp's server does so unasked). A server that refuses
    them (400 or 422) is asked without the prefill, and what it says up to its own opening fence
    is left out, so that prefill + text still reads as one reply.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        concurrency: int = 16,
        patience: Patience | None = None,
    ) -> None:
        """Make the client; nothing is sent yet. The key is read from OPENAI_API_KEY."""
        self._model = model
        self._where = base_url
        self._concurrency = concurrency
        self._patience = patience or Patience()
        self._continues: bool | None = None  # unknown until a prefilled chat was answered
        self._has_answered = False
        self._closed = False
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=os.environ.get("OPENAI_API_KEY") or "none",
            max_retries=0,  # ours is below: it also covers what breaks inside a stream
            timeout=openai.Timeout(self._patience.timeout_s, connect=10.0),
        )
        self._loop = asyncio.new_event_loop()
        self._room = asyncio.Semaphore(concurrency)
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="seedcoder-remote", daemon=True
        )
        self._thread.start()

    @classmethod
    def from_url(
        cls, url: str, *, concurrency: int = 16, patience: Patience | None = None
    ) -> RemoteModel:
        """Open "http://host:port/v1#name". Raises UsageError for any other shape."""
        parts = urlsplit(url)
        base_url, _, model = url.partition("#")
        try:
            port_is_right = parts.port is None or parts.port > 0
        except ValueError:
            port_is_right = False
        if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_right:
            raise UsageError(
                f"openai:{url}: not a server's address; say openai:http://HOST:PORT/v1#NAME"
            )
        if not model:
            raise UsageError(f"openai:{url}: name the model, as in openai:{base_url}#NAME")
        return cls(base_url, model, concurrency=concurrency, patience=patience)

    @property
    def name(self) -> str:
        """The model's name, as the server knows it."""
        return self._model

    def generate(
        self, requests: Iterable[Request], sampling: Sampling, n: int = 1
    ) -> Iterator[Completion]:
        """Yield replies as they finish; requests are drawn as there is room.

        Each sample is a request of its own with its own seed. Raises UsageError when the server
        turns the very first requests away for a reason that will not pass (wrong key, no such
        model). Closing the iterator hangs up on what is under way.
        """
        under_way: set[Future[Completion]] = set()
        try:
            for request in requests:
                for sample in range(n):
                    under_way.add(self._start(self._answer(request, sampling, sample)))
                    # Twice the room: replies wait here for a slow reader while others go on.
                    if len(under_way) >= 2 * self._concurrency:
                        done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                        yield from _in_order(done)
            while under_way:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                yield from _in_order(done)
        finally:
            for future in under_way:
                future.cancel()

    def close(self) -> None:
        """Hang up. Can be called again."""
        if self._closed:
            return
        self._closed = True
        self._start(self._hang_up()).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def _start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _hang_up(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.close()

    async def _answer(self, request: Request, sampling: Sampling, n: int) -> Completion:
        """One reply, tried as often as patience allows."""
        pauses = random.Random(f"{request.key} {n}")
        why = ""
        tries = 0
        async with self._room:
            continues = _is_prefilled_chat(request) and self._continues is not False
            while tries < self._patience.tries:
                try:
                    completion = await self._ask(request, sampling, n, continues=continues)
                except openai.APIStatusError as error:
                    why = f"{error.status_code}: {_one_line(error.message)}"
                    if continues and not self._continues and error.status_code in (400, 422):
                        continues = False
                        continue
                    if (
                        error.status_code in (400, 413)
                        and (left := room(error.message)) is not None
                    ):
                        self._has_answered = True
                        if not 0 < left < sampling.max_tokens:
                            return _overflow(request, n, why)
                        sampling = replace(sampling, max_tokens=left)  # the refusal is the last
                        continue
                    if not _may_pass(error):
                        self._give_up_early(why, error, error.status_code in (401, 403, 404))
                        break
                    pause_s = _retry_after_s(error)
                except openai.APIConnectionError as error:
                    why, pause_s = _story(error), None
                    if tries == self._patience.tries - 1:
                        self._give_up_early(why, error, _never_connected(error))
                except (openai.APIError, json.JSONDecodeError, _BadReply) as error:
                    why, pause_s = _story(error), None
                else:
                    self._learn(request, continues=continues)
                    return completion
                tries += 1
                if tries < self._patience.tries:
                    if pause_s is None:
                        pause_s = self._patience.first_pause_s * 2 ** (tries - 1)
                        pause_s *= pauses.uniform(0.75, 1.25)
                    pause_s = min(pause_s, _LONGEST_PAUSE_S)
                    log.info(
                        "asking again key=%s n=%d pause_s=%.1f: %s", request.key, n, pause_s, why
                    )
                    await asyncio.sleep(pause_s)
        log.warning("no reply key=%s n=%d: %s", request.key, n, why)
        return Completion(key=request.key, n=n, text="", finish="error", error=why)

    def _learn(self, request: Request, *, continues: bool) -> None:
        """Note what an answer shows: that the server is there, and whether it takes a prefill."""
        self._has_answered = True
        if self._continues is None and _is_prefilled_chat(request):
            self._continues = continues
            if not continues:
                log.warning(
                    "%s does not continue a reply; it is asked without prefill", self._where
                )

    def _give_up_early(self, why: str, error: openai.APIError, is_for_good: bool) -> None:
        """Raise when nothing has ever been answered and nothing will be."""
        if is_for_good and not self._has_answered:
            raise UsageError(f"openai:{self._where}#{self._model}: {why}") from error

    async def _ask(
        self, request: Request, sampling: Sampling, n: int, *, continues: bool
    ) -> Completion:
        prefilled = bool(request.prefill) and (continues or isinstance(request.prompt, str))
        end = ReplyEnd(
            stop=sampling.stop,
            after_fence=sampling.stop_after_fence,
            prefill=request.prefill if prefilled else "",
        )
        # A stream can be hung up on when the reply ends here and not at the server.
        streams = sampling.stop_after_fence or len(sampling.stop) > _MOST_STOPS
        fields = _sampling_fields(sampling, n)
        if streams:
            fields["stream"] = True
            fields["stream_options"] = {"include_usage": True}
        if isinstance(request.prompt, str):
            answer: Any = await self._client.completions.create(
                model=self._model, prompt=request.prompt + request.prefill, **fields
            )
        else:
            prefill = request.prefill if prefilled else ""
            answer = await self._client.chat.completions.create(
                model=self._model, **_chat_fields(request.prompt, prefill, fields)
            )
        read = _read_stream if streams else _read_whole
        thought = Thought()
        finish, tokens, prompt_tokens = await read(answer, end, thought)
        text = end.text
        if request.prefill and FenceWatch(request.prefill).is_open:
            text = after_opening(text, anywhere=not prefilled)
        return Completion(
            key=request.key,
            n=n,
            text=thought.before(text),
            finish="length" if finish == "length" else "stop",
            tokens=tokens,
            prompt_tokens=prompt_tokens,
        )


def _sampling_fields(sampling: Sampling, n: int) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed + n,
    }
    if sampling.stop:
        fields["stop"] = list(sampling.stop[:_MOST_STOPS])
    return fields


def _chat_fields(turns: Sequence[Message], prefill: str, fields: dict[str, Any]) -> dict[str, Any]:
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    if not prefill:
        return {"messages": messages, **fields}
    messages.append({"role": "assistant", "content": prefill})
    return {
        "messages": messages,
        "extra_body": {"continue_final_message": True, "add_generation_prompt": False},
        **fields,
    }


async def _read_stream(answer: Any, end: ReplyEnd, thought: Thought) -> tuple[str, int, int]:
    """Read chunks until the reply ends. Return (finish reason, tokens, prompt tokens)."""
    finish: str | None = None
    usage: Any = None
    try:
        async for chunk in answer:
            usage = getattr(chunk, "usage", None) or usage
            # The chunk that carries the usage has no choices.
            for choice in getattr(chunk, "choices", None) or ():
                thought.take(getattr(choice, "delta", None))
                if end.feed(_piece(choice, "delta")):
                    return "stop", 0, 0
                finish = choice.finish_reason or finish
    finally:
        await answer.close()
    if finish is None:
        raise _BadReply("the stream ended without saying why: the connection was lost")
    return _known(finish), *_counts(usage)


async def _read_whole(answer: Any, end: ReplyEnd, thought: Thought) -> tuple[str, int, int]:
    """Take a reply that came in one piece. Return (finish reason, tokens, prompt tokens)."""
    choices = getattr(answer, "choices", None)
    if not isinstance(choices, list) or not choices:
        raise _BadReply("the server's answer holds no choices")
    finish = getattr(choices[0], "finish_reason", None)
    if finish is None:
        raise _BadReply("the server's answer does not say why the reply ended")
    thought.take(getattr(choices[0], "message", None))
    cut = end.feed(_piece(choices[0], "message"))
    return "stop" if cut else _known(finish), *_counts(getattr(answer, "usage", None))


def _piece(choice: Any, part: str) -> str:
    """The text of a choice: of a chat, in `part`, or of a plain completion."""
    holder = getattr(choice, part, None)
    piece = getattr(choice, "text", None) if holder is None else holder.content
    if piece is not None and not isinstance(piece, str):
        raise _BadReply("the server's answer holds a text that is no string")
    return piece or ""


def _known(finish: str) -> str:
    if finish == "content_filter":
        raise _BadReply("the server's filter held the reply back")
    return finish


def _counts(usage: Any) -> tuple[int, int]:
    tokens = getattr(usage, "completion_tokens", None)
    prompt_tokens = getattr(usage, "prompt_tokens", None)
    return tokens or 0, prompt_tokens or 0


def _overflow(request: Request, n: int, why: str) -> Completion:
    log.warning("the prompt does not fit the context key=%s: %s", request.key, why)
    return Completion(key=request.key, n=n, text="", finish="overflow", error=why)


def _in_order(done: Iterable[Future[Completion]]) -> Iterator[Completion]:
    return iter(sorted((future.result() for future in done), key=lambda c: (c.key, c.n)))


def _is_prefilled_chat(request: Request) -> bool:
    return bool(request.prefill) and not isinstance(request.prompt, str)


def _may_pass(error: openai.APIStatusError) -> bool:
    if error.code == "insufficient_quota":
        return False
    return error.status_code in (408, 409, 425, 429) or error.status_code >= 500


def _retry_after_s(error: openai.APIStatusError) -> float | None:
    """The pause that the server asks for, where it says one in seconds (a date is not read)."""
    try:
        asked_s = float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return asked_s if asked_s >= 0 else None


def _never_connected(error: openai.APIConnectionError) -> bool:
    return type(error.__cause__).__name__ in ("ConnectError", "ConnectTimeout")


def _story(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"the server's answer is not JSON ({_one_line(str(error))})"
    cause = error.__cause__
    detail = f" ({type(cause).__name__}: {cause})" if cause is not None else ""
    return _one_line(f"{error}{detail}")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
