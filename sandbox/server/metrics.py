"""What the server counts, as Prometheus reads it. Labels come from fixed sets, not from clients."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from sandbox import slot

log = logging.getLogger(__name__)

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_NAME = "seedcoder_sandbox"
_WAIT_S = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10,
    15, 30, 60, 120,
)  # fmt: skip
_RUN_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class _Restarts(Collector):
    """Zygotes that were started again in this process."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(
            f"{_NAME}_box_restarts", "Zygotes that were started again.", value=slot.restarts()
        )


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Restarts())
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self._wait = histogram("wait_seconds", "From admission to the start in a box.", _WAIT_S)
        self._run = histogram("run_seconds", "In a box, all runs of a judgement together.", _RUN_S)
        self._counted: dict[tuple[str, str], Counter] = {}
        self._results = counter(
            "results", "Outcomes of runs, and verdicts of judgements.", "what", "kind"
        )
        self._failures = counter("failures", "Programs without a result, by our failure.", "type")
        self.dropped = counter("dropped", "Programs not run, as their client had gone away.")
        self.joined = counter("joined", "Requests answered by the run of an earlier one.")
        self._requests = counter("http_requests", "Requests.", "route", "method", "status")
        self._open = gauge("http_open", "Requests being answered.")
        self._depth = gauge("queue_depth", "Programs that no box has begun.")
        self._running = gauge("running", "Programs in boxes.")
        self._sessions = gauge("sessions", "Sessions alive.")
        self._boxes = gauge("boxes", "Boxes, by kind.", "kind")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_NAME}_{name}", text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_NAME}_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"{_NAME}_{name}", text, buckets=buckets, registry=self._registry)

    def watch(
        self,
        *,
        waiting: Callable[[], int],
        running: Callable[[], int],
        requests: Callable[[], int],
        sessions: Callable[[], int],
        kind: str,
        workers: int,
    ) -> None:
        """Say where gauges find what they show."""
        self._depth.set_function(waiting)
        self._running.set_function(running)
        self._open.set_function(requests)
        self._sessions.set_function(sessions)
        self._boxes.labels(kind).set(workers)

    def ran(self, wait_s: float, run_s: float, what: str, kind: str) -> None:
        """Count a result."""
        self._wait.observe(wait_s)
        self._run.observe(run_s)
        counted = self._counted.get((what, kind))
        if counted is None:
            counted = self._counted[what, kind] = self._results.labels(what, kind)
        counted.inc()

    def failed(self, wait_s: float, run_s: float, kind: str) -> None:
        """Count a failure of ours."""
        self._wait.observe(wait_s)
        self._run.observe(run_s)
        self._failures.labels(kind).inc()

    def request(self, route: str, method: str, status: int) -> None:
        """Count a request. route: as it is written in the table of routes."""
        self._requests.labels(route, method, str(status)).inc()

    def log_fault(self, error: BaseException) -> None:
        """Leave a trace of a failure that nobody foresaw."""
        log.error("a judgement failed error=%s", type(error).__name__, exc_info=error)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)
