"""Many streams at once from one OpenAI-speaking server, told as JSON on stdout.

Each connection asks again as soon as its answer has ended, until the time or the number of
requests is over. Answers are of different lengths, so that requests come one by one, as from
people, and not all at the moment at which all answers end; the first come one after another, within
`--ramp` seconds, and what happens in these is not counted. Bytes are read as they come and hardly
looked at, so that this end costs little beside what is measured.

    python bench/serve_load.py ADDRESS [--streams 64] [--seconds 5] [--requests N] [--tokens 100]

ADDRESS is unix:/path or host:port.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

_REFUSED_PAUSE_S = 0.05  # before asking again what was refused

_FIRST_EVENTS = 2  # the first names the role, the second has the first token


@dataclass(slots=True)
class Score:
    """What all connections saw. firsts_s: seconds to each first token; gaps_s: between events."""

    firsts_s: list[float] = field(default_factory=list)
    wholes_s: list[float] = field(default_factory=list)
    events: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    torn: int = 0
    since_s: float = 0.0  # when counting begins
    until_s: float = 0.0  # and ends
    last_refusal: str = ""


class Stream(asyncio.Protocol):
    """One connection."""

    def __init__(self, score: Score) -> None:
        self._score = score
        self.transport: asyncio.WriteTransport
        self._reset()

    def _reset(self) -> None:
        self._head = b""
        self._tail = b""
        self._status = ""
        self._length: int | None = None
        self._done: asyncio.Future[bool] | None = None
        self._first_s = 0.0
        self._events = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    async def ask(self, request: bytes) -> bool:
        """Ask once; return whether the connection can be used again."""
        self._reset()
        self._done = asyncio.get_running_loop().create_future()
        self._began_s = time.perf_counter()
        self.transport.write(request)
        return await self._done

    def data_received(self, data: bytes) -> None:
        if not self._status:
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            self._take_head(head)
            if not data:
                return
        if self._length is not None:
            self._tail += data
            if len(self._tail) >= self._length:
                self._score.last_refusal = self._tail[:300].decode(errors="replace")
                self._end(True)
            return
        score, now_s = self._score, time.perf_counter()
        seen = self._tail + data
        count = seen.count(b"\n\n") - self._tail.count(b"\n\n")
        self._events += count
        if not self._first_s and self._events >= _FIRST_EVENTS:
            self._first_s = now_s
            if self._began_s >= score.since_s:
                score.firsts_s.append(self._first_s - self._began_s)
        if score.since_s <= now_s <= score.until_s:
            score.events += count
        self._tail = seen[-16:]
        if self._tail.endswith(b"0\r\n\r\n"):
            if b"[DONE]" in seen[-32:] and self._status == "200":
                self._score.wholes_s.append(time.perf_counter() - self._began_s)
            else:
                self._score.torn += 1
            self._end(True)

    def _take_head(self, head: bytes) -> None:
        self._status = head[9:12].decode()
        self._score.statuses[self._status] += 1
        for line in head.lower().split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name == b"content-length":
                self._length = int(value)

    def connection_lost(self, error: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._score.torn += 1
            self._end(False)

    def _end(self, is_usable: bool) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(is_usable)


def request_of(host: str, body: dict[str, object], key: str = "") -> bytes:
    """Return a request's bytes."""
    data = json.dumps(body).encode()
    guard = f"Authorization: Bearer {key}\r\n" if key else ""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"{guard}Content-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


async def load(
    address: str,
    kinds: Sequence[bytes],
    *,
    streams: int,
    seconds: float,
    requests: int,
    ramp_s: float,
) -> tuple[Score, float]:
    """Ask until the time is over, or so many requests were made; return the score and seconds."""
    score, loop, dice = Score(), asyncio.get_running_loop(), random.Random(1)
    begins_s = time.perf_counter()
    score.since_s = begins_s + (0.0 if requests else ramp_s)
    score.until_s = until_s = score.since_s + seconds
    left = requests or sys.maxsize

    async def connect() -> Stream:
        if address.startswith("unix:"):
            _, made = await loop.create_unix_connection(
                lambda: Stream(score), address.removeprefix("unix:")
            )
        else:
            host, _, port = address.rpartition(":")
            _, made = await loop.create_connection(lambda: Stream(score), host, int(port))
        return made

    async def one(number: int) -> None:
        nonlocal left
        await asyncio.sleep(ramp_s * number / streams)
        stream = await connect()
        while left > 0 and time.perf_counter() < until_s:
            left -= 1
            before = score.statuses["200"]
            if not await stream.ask(dice.choice(kinds)):
                stream = await connect()
            elif score.statuses["200"] == before:
                await asyncio.sleep(_REFUSED_PAUSE_S)
        stream.transport.close()

    await asyncio.gather(*(one(number) for number in range(streams)))
    ended_s = min(time.perf_counter(), until_s)
    return score, ended_s - score.since_s


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--model", default="scripted")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--requests", type=int, default=0)
    parser.add_argument("--ramp", type=float, default=1.0)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--prompt", default="Write a function.")
    parser.add_argument("--key", default="")
    args = parser.parse_args()
    body = {
        "model": args.model, "stream": True,
        "messages": [{"role": "user", "content": args.prompt}],
    }  # fmt: skip
    lengths = range(max(1, args.tokens // 2), args.tokens + args.tokens // 2 + 1)
    host = "localhost" if args.address.startswith("unix:") else args.address
    seconds = args.seconds if not args.requests else 3600.0
    score, took_s = asyncio.run(
        load(
            args.address,
            [request_of(host, {**body, "max_tokens": count}, args.key) for count in lengths],
            streams=args.streams, seconds=seconds, requests=args.requests, ramp_s=args.ramp,
        )
    )  # fmt: skip
    print(
        json.dumps(
            {
                "seconds": took_s,
                "events": score.events,
                "whole": len(score.wholes_s),
                "torn": score.torn,
                "statuses": score.statuses,
                "firsts_ms": [round(1000 * s, 3) for s in score.firsts_s],
                "last_refusal": score.last_refusal,
            }
        )
    )


if __name__ == "__main__":
    main()
