"""Speaks with a checkpoint: requests become prompts, prompts replies, replies rounds."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from seedcoder.errors import MachineLacks, UsageError
from seedcoder.models.checkpoint import Checkpoint, load_checkpoint
from seedcoder.models.draw import stream
from seedcoder.models.slots import Slots
from serve.engines.own.bodies import Asking, ChatBody, EmbeddingBody, TextBody, TokenizeBody
from serve.engines.own.prompting import Prompts
from serve.engines.own.rounds import Reply, Rounds
from serve.engines.own.sampler import Past, Row, Wishes
from serve.engines.own.telling import Telling
from serve.fault import Fault
from serve.stops import Stops

log = logging.getLogger(__name__)

_WAITING_MOST = 4096  # ours: replies; the gateway has its own, tighter bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Which checkpoint, and how it is run.

    source: a folder, a hub id, or "smollm2:". template: a file; None is the checkpoint's own.
    context_tokens: prompt and reply together; None is what the checkpoint was made for.
    batch: replies under way at once. cache_gb: memory for their keys and values.
    """

    source: str
    revision: str | None = None
    template: Path | None = None
    context_tokens: int | None = None
    dtype: str | None = None
    threads: int | None = None
    batch: int = 16
    cache_gb: float = 4.0

    def checkpoint(self) -> Checkpoint:
        """Load it. Raises UsageError, MachineLacks."""
        source = self.source
        if source == "smollm2:":
            from seedcoder.models.smollm2 import checkpoint

            source = str(checkpoint())
        return load_checkpoint(
            source, threads=self.threads, dtype=self.dtype, revision=self.revision
        )


class CheckpointSpeaker:
    """Speaks with one checkpoint, loaded before anybody is let in."""

    def __init__(self, setup: Setup) -> None:
        held = setup.checkpoint()
        own = held.context_tokens
        self._context_tokens = setup.context_tokens or own
        if self._context_tokens > own:
            raise UsageError(
                f"context_tokens is {self._context_tokens}; {setup.source} was made for {own}"
            )
        template = setup.template.read_text(encoding="utf-8") if setup.template else None
        self._held = held
        self._prompts = Prompts(held, template=template, context_tokens=self._context_tokens)
        batch = self._batch(setup)
        self._rounds = Rounds(
            lambda count: Slots(held.model, count), self._prompts, batch=batch, broke=self._break
        )
        # Tokenizers are quick, and not so quick that a long prompt may hold up the streams.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="prompts")
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[Telling] = set()

    @property
    def context_tokens(self) -> int:
        """Prompt and reply together."""
        return self._context_tokens

    @property
    def load(self) -> tuple[int, int]:
        """Replies (under way, waiting)."""
        return self._rounds.load

    def begin(self, body: ChatBody | TextBody, telling: Telling) -> Callable[[], None]:
        """Begin an answer; return what breaks it off. Raises Fault."""
        if isinstance(body, ChatBody) and body.tools:
            raise Fault(400, "this engine has no tool calls of its own", param="tools")
        if isinstance(body, TextBody) and body.echo and body.logprobs is not None:
            raise Fault(400, "logprobs of a prompt are not told: leave out echo", param="echo")
        if self._rounds.load[1] >= _WAITING_MOST:
            raise Fault(
                429, f"{_WAITING_MOST} replies wait already", kind="rate_limit_error",
                retry_after_s=1,
            )  # fmt: skip
        replies: list[Reply] = []
        task = asyncio.get_running_loop().create_task(self._answer(body, telling, replies))
        self._tasks.add(task)
        self._open.add(telling)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._open = {one for one in self._open if not one.is_over}
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("a request failed here", exc_info=error)
                telling.fail(Fault(500, "the engine failed at this", kind="server_error"))

        def cancel() -> None:
            task.cancel()
            for reply in replies:
                reply.is_unwanted = True

        task.add_done_callback(done)
        return cancel

    def embed(self, body: EmbeddingBody) -> NoReturn:
        """Refuse: it is no embedding model."""
        raise Fault(404, "this engine makes no embeddings", code="model_not_found", param="model")

    def tokenize(self, body: TokenizeBody) -> list[int]:
        """Return the ids of a text."""
        return self._prompts.tokens(body.prompt, add_special=body.add_special_tokens)

    async def _answer(
        self, body: ChatBody | TextBody, telling: Telling, replies: list[Reply]
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            prompts = await loop.run_in_executor(self._pool, self._encode, body)
            replies += self._replies(body, telling, prompts)
        except Fault as fault:
            telling.fail(fault)
            return
        telling.open(prompt_tokens=sum(map(len, prompts)), choices=len(replies))
        if isinstance(body, TextBody) and body.echo:
            for reply in replies:
                asked = body.prompts[reply.at // body.n]
                telling.say(reply.at, self._shown(asked), tokens=0)
        self._rounds.add(replies)

    def _encode(self, body: ChatBody | TextBody) -> list[list[int]]:
        if isinstance(body, ChatBody):
            return [self._prompts.chat(body)]
        special = body.add_special_tokens
        return [self._prompts.text(prompt, add_special=special) for prompt in body.prompts]

    def _shown(self, prompt: str | Sequence[int]) -> str:
        if isinstance(prompt, str):
            return prompt
        return self._prompts.decode(prompt, skip_special=False)

    def _replies(
        self, body: ChatBody | TextBody, telling: Telling, prompts: Sequence[list[int]]
    ) -> list[Reply]:
        wishes = self._wishes(body)
        seed = body.seed if body.seed is not None else secrets.randbits(62)
        ends, strings = self._ends(body)
        replies = []
        for at, prompt in enumerate(prompts):
            room = self._context_tokens - len(prompt)
            for n in range(body.n):
                past = None
                if wishes.is_penalised:
                    past = Past(prompt, self._prompts.vocabulary, self._held.model.device)
                reply = Reply(
                    telling=telling,
                    at=at * body.n + n,
                    prompt=prompt,
                    most_tokens=min(body.most_tokens or room, room),
                    row=Row(wishes=wishes, stream=stream(seed + n, ""), past=past),
                    text=self._prompts.growing(prompt, skip_special=body.skip_special_tokens),
                    stops=Stops(strings),
                    ends=ends,
                    least_tokens=body.min_tokens,
                    keeps_stop=body.include_stop_str_in_output,
                )
                replies.append(reply)
        return replies

    def _ends(self, body: Asking) -> tuple[dict[int, int | str | None], list[str]]:
        """Return the tokens that end a reply, with the reason to tell, and the strings that do.

        Special tokens never stand in a text that leaves them out: there they end it as tokens.
        """
        ends: dict[int, int | str | None] = {}
        strings = []
        if not body.ignore_eos:
            ends.update(dict.fromkeys(self._held.ends))
        for number in body.stop_token_ids or ():
            ends[number] = number
        for stop in body.stops:
            special = self._prompts.special_id(stop) if body.skip_special_tokens else None
            if special is None:
                strings.append(stop)
            else:
                ends[special] = stop
        return ends, strings

    def _wishes(self, body: ChatBody | TextBody) -> Wishes:
        return Wishes(
            temperature=1.0 if body.temperature is None else body.temperature,
            top_p=1.0 if body.top_p is None else body.top_p,
            top_k=max(0, body.top_k or 0),
            min_p=body.min_p or 0.0,
            repetition=body.repetition_penalty or 1.0,
            presence=body.presence_penalty,
            frequency=body.frequency_penalty,
            bias=self._bias(body),
            top=body.top_logprobs_asked,
        )

    def _bias(self, body: Asking) -> dict[int, float]:
        bias = {}
        for name, weight in (body.logit_bias or {}).items():
            if not name.isascii() or not name.isdigit() or int(name) >= self._prompts.vocabulary:
                raise Fault(
                    400, f"logit_bias: {name[:40]!r} is no token of this model", param="logit_bias"
                )
            bias[int(name)] = weight
        return bias

    def _batch(self, setup: Setup) -> int:
        """Return how many whole replies the cache has room for, at most those asked for."""
        config = self._held.model.config
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = self._held.model.dtype.itemsize
        token_bytes = 2 * config.num_hidden_layers * heads * head * width
        fit = int(setup.cache_gb * 1e9 / (token_bytes * self._context_tokens))
        if fit < 1:
            need = token_bytes * self._context_tokens / 1e9
            raise MachineLacks(
                f"a cache of {setup.cache_gb:g} GB holds no reply of {self._context_tokens} tokens,"
                f" which takes {need:.1f}: give more, or take a shorter context"
            )
        batch = min(setup.batch, fit)
        if batch < setup.batch:
            log.warning(
                "fewer replies at once than asked: the cache is full batch=%d asked=%d cache_gb=%g"
                " context_tokens=%d", batch, setup.batch, setup.cache_gb, self._context_tokens,
            )  # fmt: skip
        return batch

    def _break(self) -> None:
        """End the process: what is half computed cannot be gone on with, and it is started anew."""
        log.critical("the model's thread ended: this engine ends too")
        for telling in self._open:
            telling.fail(Fault(500, "the engine failed at this", kind="server_error"))
        # A moment, so that these words reach the clients.
        asyncio.get_running_loop().call_later(0.2, os._exit, 1)
