"""Many replies at once: a reply that is done leaves the batch and the next request takes its place.

No row waits for another: prompts are computed one by one as slots fall free (they are long enough
to keep the cores busy alone), and every step gives each row one token.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from seedcoder.completion import Completion, Finish, Request, Sampling
from seedcoder.models.draw import draw, stream
from seedcoder.models.ending import ReplyEnd
from seedcoder.models.slots import Slots

_WINDOW_BATCHES = 8  # ours: so many batches of requests are read ahead and sorted by length
_CONTEXT_TOKENS = 6  # of the prompt, decoded along: some tokenizers drop a leading space


class Tokens(Protocol):
    """The tokenizer's part: token ids of a request, and text of ids."""

    def encode(self, request: Request) -> list[int]:
        """The whole prompt as ids."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens."""
        ...


class GrowingText:
    """Turns tokens into text as they come, holding back what is not yet a whole character."""

    def __init__(self, decode: Callable[[Sequence[int]], str], context: Sequence[int]) -> None:
        self._decode = decode
        self._ids = list(context)
        self._from = 0  # decoding starts here ...
        self._said = len(self._ids)  # ... and what lies before this has been given out

    def push(self, token: int) -> str:
        """Return the text that `token` completes."""
        self._ids.append(token)
        return self._rest(even_if_torn=False)

    def flush(self) -> str:
        """Return what was held back, as it is."""
        return self._rest(even_if_torn=True)

    def _rest(self, *, even_if_torn: bool) -> str:
        before = self._decode(self._ids[self._from : self._said])
        after = self._decode(self._ids[self._from :])
        if len(after) <= len(before) or (after.endswith("\ufffd") and not even_if_torn):
            return ""
        # The last given-out tokens stay as context for the next.
        self._from, self._said = self._said, len(self._ids)
        return after[len(before) :]


@dataclass(slots=True, kw_only=True)
class _Row:
    """One reply in progress."""

    request: Request
    n: int
    prompt_tokens: int
    most_tokens: int
    next_token: int
    text: GrowingText
    end: ReplyEnd
    stream: random.Random
    tokens: int = 0

    def completion(self, finish: Finish, error: str | None = None) -> Completion:
        return Completion(
            key=self.request.key,
            n=self.n,
            text=self.end.text if error is None else "",
            finish=finish,
            tokens=self.tokens,
            prompt_tokens=self.prompt_tokens,
            error=error,
        )

    def take(self, token: int | None, ends: frozenset[int]) -> Completion | None:
        """Add a token; return the completion when the reply is done."""
        if token is None:
            return self.completion("error", "the model's logits are not finite")
        self.tokens += 1
        self.next_token = token
        if token in ends:
            self.end.feed(self.text.flush())
            return self.completion("stop")
        if self.end.feed(self.text.push(token)):
            return self.completion("stop")
        if self.tokens < self.most_tokens:
            return None
        ended = self.end.feed(self.text.flush())
        return self.completion("stop" if ended else "length")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batcher:
    """Generates with one model. batch: replies in progress at once.

    context_tokens: prompt and reply together can be no longer. ends: ids that end a reply.
    """

    make_slots: Callable[[int], Slots]
    tokens: Tokens
    ends: frozenset[int]
    context_tokens: int
    batch: int

    def generate(
        self, requests: Iterable[Request], sampling: Sampling, n: int
    ) -> Iterator[Completion]:
        """Yield completions as they finish. Requests are drawn a window at a time."""
        slots = self.make_slots(self.batch)
        waiting = self._jobs(iter(requests), sampling, n)
        rows: list[_Row] = []
        while True:
            while len(rows) < self.batch and (job := next(waiting, None)) is not None:
                if isinstance(job, Completion):
                    yield job
                    continue
                row, prompt = job
                slots.fill(len(rows), prompt[:-1])
                rows.append(row)
            if not rows:
                return
            logits = slots.step([row.next_token for row in rows])
            drawn = draw(
                logits,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                streams=[row.stream for row in rows],
            )
            done = [row.take(token, self.ends) for row, token in zip(rows, drawn, strict=True)]
            # From the back, so that the row that moves into the gap has been seen already.
            for slot in reversed(range(len(rows))):
                if done[slot] is not None:
                    last = len(rows) - 1
                    if slot != last:
                        slots.move(last, slot)
                        rows[slot] = rows[last]
                    rows.pop()
            yield from (completion for completion in done if completion is not None)

    def _jobs(
        self, requests: Iterator[Request], sampling: Sampling, n: int
    ) -> Iterator[tuple[_Row, list[int]] | Completion]:
        """Rows to start, longest prompts of a window first; or the error of one that cannot."""
        while window := list(itertools.islice(requests, self.batch * _WINDOW_BATCHES)):
            prompts = [(request, self.tokens.encode(request)) for request in window]
            prompts.sort(key=lambda pair: -len(pair[1]))
            for request, prompt in prompts:
                for sample in range(n):
                    yield self._start(request, prompt, sampling, sample)

    def _start(
        self, request: Request, prompt: list[int], sampling: Sampling, n: int
    ) -> tuple[_Row, list[int]] | Completion:
        room = self.context_tokens - len(prompt)
        if not prompt or room < 1:
            size = f"{len(prompt)} tokens; the model takes 1 to {self.context_tokens - 1}"
            error = f"the prompt has {size}"
            return Completion(
                key=request.key,
                n=n,
                text="",
                finish="overflow" if prompt else "error",
                prompt_tokens=len(prompt),
                error=error,
            )
        row = _Row(
            request=request,
            n=n,
            prompt_tokens=len(prompt),
            most_tokens=min(sampling.max_tokens, room),
            next_token=prompt[-1],
            text=GrowingText(self.tokens.decode, prompt[-_CONTEXT_TOKENS:]),
            end=ReplyEnd(
                stop=sampling.stop,
                after_fence=sampling.stop_after_fence,
                prefill=request.prefill,
            ),
            stream=stream(sampling.seed + n, request.key),
        )
        return row, prompt
