"""POST /v1/fim/completions, POST /infill, and /v1/completions where it has a `suffix`.

The engine goes on with a prompt that is made here (`serve.fim.prompt`); what it writes is cut at
the stop strings and at the end of the middle (`serve.fim.ending`), and the engine is cancelled
there. Answers are the same whether streamed or whole.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from serve.card import ModelCard
from serve.fault import Fault
from serve.fim import answers
from serve.fim.asked import Middle, of_infill, of_mistral, of_openai
from serve.fim.cutters import Chain, IndentEnd, TimeEnd
from serve.fim.ending import Mode, ending
from serve.fim.grammar import guess
from serve.fim.languages import BY_NAME, Language, by_path
from serve.fim.prompt import REPLY_TOKENS, Prompt, format_of, prompt_of, words_of
from serve.gateway import asked as fields
from serve.gateway.call import Call, Raw, Reply, Stream, Whole
from serve.gateway.collect import collect, shows_usage
from serve.stops import Cutter, Stops, cut_at
from serve.thinking.running import running_events

if TYPE_CHECKING:
    from serve.upstream import Upstream

PATH: Final = "/v1/completions"
_ENGINE_STOPS: Final = fields.STOPS_OF_ENGINES


async def complete_suffix(call: Call) -> Reply:
    """Answer POST /v1/completions with a `suffix`."""
    card, upstream = call.house.upstream(call.body.get("model"))
    return await complete_middle(call, card, upstream, of_openai(call.body))


async def complete_mistral(call: Call) -> Reply:
    """Answer POST /v1/fim/completions."""
    card, upstream = call.house.upstream(call.body.get("model"))
    return await complete_middle(call, card, upstream, of_mistral(call.body))


async def complete_infill(call: Call) -> Reply:
    """Answer POST /infill. llama.cpp serves one model, so that requests need not name it."""
    name = call.body.get("model") or None
    if name is None:
        able = [served.card.name for served in call.house.served.values() if served.card.fim]
        name = able[0] if len(able) == 1 else None
    card, upstream = call.house.upstream(name)
    return await complete_middle(call, card, upstream, of_infill(call.body))


async def complete_middle(call: Call, card: ModelCard, upstream: Upstream, asked: Middle) -> Reply:
    """Answer a request for a middle. Raises Fault for what makes no sense, and the engine's."""
    call.tally.model = card.name
    fields.check_writes(card)
    fields.check(asked.body)
    language = await asyncio.to_thread(_language, asked)
    prompt = prompt_of(card, asked, language)
    body = _body(call, card, asked, prompt)
    stops = _stops(card, asked)
    if len(stops) <= _ENGINE_STOPS:
        body["stop"] = list(stops)
    mode = _mode(card, asked)

    def cutter() -> Cutter:
        inner: list[Cutter] = [Stops(stops)]
        if asked.indent:
            inner.append(IndentEnd(asked.indent))
        if asked.predict_s is not None:
            inner.append(TimeEnd(asked.predict_s))
        return Chain([*inner, ending(mode, prompt.before, prompt.after, language)])

    # Reading a long file's brackets takes milliseconds that other streams should not wait.
    ready = [await asyncio.to_thread(cutter)]

    async def count(texts: list[str]) -> dict[str, Any]:
        return await _counted(upstream, prompt.text, texts)

    events = cut_at(
        running_events(upstream, PATH, body),
        lambda: ready.pop() if ready else cutter(),
        kind="text",
        choices=body.get("n") or 1,
        count=count,
    )
    return await _reply(call, card, asked, prompt, events)


async def _reply(
    call: Call,
    card: ModelCard,
    asked: Middle,
    prompt: Prompt,
    events: AsyncIterator[dict[str, Any]],
) -> Reply:
    is_stream = bool(call.body.get("stream"))
    if asked.shape == "infill":
        infill = answers.Infill(asked, prompt, card.name, call.tally)
        if is_stream:
            return Stream(events=infill.chunks(events), done=False)
        made = await infill.whole(events)
        if len(made) == 1:
            return Whole(body=made[0])
        return Raw(media_type="application/json", chunks=json.dumps(made).encode())
    if asked.shape == "mistral":
        if is_stream:
            return Stream(events=answers.mistral_chunks(events))
        return Whole(body=answers.mistral_whole(await collect(events, kind="text")))
    if is_stream:
        return Stream(events=events, shows_usage=shows_usage(call.body))
    return Whole(body=await collect(events, kind="text"))


def _language(asked: Middle) -> Language:
    if asked.language:
        return BY_NAME[asked.language]
    return (by_path(asked.path) if asked.path else None) or guess(asked.before, asked.after or "")


def _mode(card: ModelCard, asked: Middle) -> Mode:
    if asked.end is not None:
        return asked.end
    return "none" if asked.after is None else words_of(card).end


def _stops(card: ModelCard, asked: Middle) -> tuple[str, ...]:
    own = format_of(words_of(card)).stop if asked.after is not None else ()
    return tuple(dict.fromkeys((*fields.stops_of(asked.body), *own, *card.stop)))


def _body(call: Call, card: ModelCard, asked: Middle, prompt: Prompt) -> dict[str, Any]:
    body = fields.with_defaults(card, asked.body)
    for name in ("stop", "stream", "stream_options"):
        body.pop(name, None)
    body["prompt"] = prompt.text
    # Else OpenAI's default counts: 16 tokens, made for other uses.
    if body.get("max_tokens") is None and asked.after is not None:
        body["max_tokens"] = REPLY_TOKENS
    features = call.house.find(card.name).kept.engine.features
    if "tokenize" in features:
        # Else the tokens that end a middle would be left out of the text they should end.
        body.setdefault("skip_special_tokens", False)
    return body


async def _counted(upstream: Upstream, prompt: str, texts: list[str]) -> dict[str, Any]:
    """Return the usage of an answer that was cut, from an engine that tells none on the way."""
    try:
        counts = [
            (await upstream.answer("/tokenize", {"prompt": prompt})).get("count", 0),
            *[
                (
                    await upstream.answer(
                        "/tokenize", {"prompt": text, "add_special_tokens": False}
                    )
                ).get("count", 0)
                for text in texts
                if text
            ],
        ]
    except Fault:
        # A server of somebody else's that cannot say: the middle was had, and is not lost for it.
        counts = [-(-len(one) // 4) for one in (prompt, *texts)]
    return {
        "prompt_tokens": counts[0],
        "completion_tokens": sum(counts[1:]),
        "total_tokens": sum(counts),
    }
