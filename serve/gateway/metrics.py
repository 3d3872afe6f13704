"""What the gateway counts, as Prometheus reads it.

Labels come from fixed sets: routes as the table writes them, cards' names, names of keys. Gaps
between tokens are counted by thousands a second: plain numbers, put into words when asked for.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from serve.gateway.call import Tally
    from serve.gateway.house import House

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_NAME = "seedcoder_serve"
_FIRST_S = (
    0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 0.75, 1, 2, 3, 5, 7.5, 10, 20, 40,
    80, 160,
)  # fmt: skip
_GAP_S = (
    0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15,
    0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5,
)  # fmt: skip
_WHOLE_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 240, 480, 960)
_WAIT_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_STATES = ("stopped", "starting", "ready", "broken", "draining")
NO_KEY = "-"


class _Gaps:
    """A histogram of one model's gaps between tokens, in plain numbers."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(_GAP_S) + 1)
        self.sum_s = 0.0


class Metrics(Collector):
    """The counters of one gateway. All but `text` belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._house: House | None = None
        self._gaps: dict[str, _Gaps] = {}
        self._first = self._histogram(
            "time_to_first_token_seconds", "From the request to its first token.", _FIRST_S
        )
        self._whole = self._histogram(
            "request_seconds", "From the request to the end of its answer.", _WHOLE_S
        )
        self._wait = self._histogram("queue_wait_seconds", "Waiting for an engine.", _WAIT_S)
        self._prompt = self._counter("prompt_tokens", "Tokens of prompts.", "model", "key")
        self._completion = self._counter(
            "completion_tokens", "Tokens of replies, thoughts too.", "model", "key"
        )
        self._thoughts = self._counter("reasoning_tokens", "Tokens of thoughts.", "model", "key")
        self._answers = self._counter(
            "model_requests", "Requests to a model.", "model", "key", "status"
        )
        self._requests = self._counter("http_requests", "Requests.", "route", "method", "status")
        self._gone = self._counter("clients_gone", "Clients that left before their answer's end.")
        self._registry.register(self)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_NAME}_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(
            f"{_NAME}_{name}", text, ("model",), buckets=buckets, registry=self._registry
        )

    def watch(self, house: House) -> None:
        """Say whose engines and queues are shown."""
        self._house = house

    def gap(self, model: str, gap_s: float, count: int) -> None:
        """Count so many gaps between tokens."""
        gaps = self._gaps.get(model)
        if gaps is None:
            gaps = self._gaps[model] = _Gaps()
        gaps.counts[bisect_left(_GAP_S, gap_s)] += count
        gaps.sum_s += gap_s * count

    def ended(
        self, route: str, method: str, status: int, key: str, tally: Tally, *, s: float,
        waited_s: float,
    ) -> None:  # fmt: skip
        """Count a request that has ended. s: seconds it took."""
        self._requests.labels(route, method, str(status)).inc()
        if status == _GONE:
            self._gone.inc()
        model = tally.model
        if not model:
            return
        self._answers.labels(model, key, str(status)).inc()
        if tally.prompt_tokens:
            self._prompt.labels(model, key).inc(tally.prompt_tokens)
        if tally.completion_tokens:
            self._completion.labels(model, key).inc(tally.completion_tokens)
        if tally.thoughts:
            self._thoughts.labels(model, key).inc(tally.thoughts)
        if tally.first_s is not None:
            self._first.labels(model).observe(tally.first_s)
        if status < 400:
            self._whole.labels(model).observe(s)
            self._wait.labels(model).observe(waited_s)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield what is kept here as plain numbers, or is read where it lies."""
        yield self._gap_family()
        house = self._house
        if house is None:
            return
        waiting = GaugeMetricFamily(
            f"{_NAME}_queue_depth", "Requests that wait for an engine.", labels=["model"]
        )
        running = GaugeMetricFamily(
            f"{_NAME}_running", "Requests that an engine answers.", labels=["model"]
        )
        states = GaugeMetricFamily(
            f"{_NAME}_engine_state", "1 for the state an engine is in.", labels=["model", "state"]
        )
        restarts = CounterMetricFamily(
            f"{_NAME}_engine_restarts", "Engines that were started again.", labels=["model"]
        )
        for name, served in house.served.items():
            waiting.add_metric([name], served.turnstile.waiting)
            running.add_metric([name], served.turnstile.running)
            restarts.add_metric([name], served.kept.restarts)
            for state in _STATES:
                states.add_metric([name, state], float(served.kept.state == state))
        yield from (waiting, running, states, restarts)
        yield GaugeMetricFamily(
            f"{_NAME}_http_open", "Requests being answered.", value=house.requests
        )

    def _gap_family(self) -> HistogramMetricFamily:
        family = HistogramMetricFamily(
            f"{_NAME}_inter_token_seconds", "Between two tokens of a stream.", labels=["model"]
        )
        for model, gaps in self._gaps.items():
            so_far, buckets = 0, []
            bounds = (*(str(float(bound)) for bound in _GAP_S), "+Inf")
            for bound, count in zip(bounds, gaps.counts, strict=True):
                so_far += count
                buckets.append((bound, so_far))
            family.add_metric([model], buckets, gaps.sum_s)
        return family


_GONE = 499  # never sent: the client went away
