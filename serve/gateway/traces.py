"""Spans for OpenTelemetry: one a request, named by its route, joined to the client's trace.

Sent by OTLP over HTTP to `gateway.traces_url`, in the background; a collector that is not there
costs a line in the log. Attributes bear the names of OpenTelemetry's conventions for HTTP and for
generative models where there are some. Prompts and answers are in none.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from seedcoder.errors import MachineLacks

if TYPE_CHECKING:
    from serve.gateway.call import Tally

_NAME = "seedcoder.serve"


class Traces:
    """Where spans go. Raises MachineLacks where OpenTelemetry's packages are not installed."""

    def __init__(self, url: str, version: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.propagate import extract, inject
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ModuleNotFoundError as error:
            raise MachineLacks(
                "gateway.traces_url needs the 'traces' extra: pip install -e '.[traces]'"
                f" (no module {error.name!r})"
            ) from None
        from opentelemetry import trace

        self._trace = trace
        self._extract, self._inject = extract, inject
        resource = Resource.create({"service.name": _NAME, "service.version": version})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=_of(url))))
        self._tracer = self._provider.get_tracer(_NAME, version)

    def begin(
        self, route: str, method: str, headers: dict[str, str], outgoing: dict[str, str]
    ) -> Any:
        """Begin a request's span; `outgoing` gets the headers by which an engine joins it."""
        context = self._extract(headers)
        span = self._tracer.start_span(
            f"{method} {route}",
            context=context,
            kind=self._trace.SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route},
        )
        self._inject(outgoing, context=self._trace.set_span_in_context(span, context))
        return span

    def end(self, span: Any, status: int, id: str, key: str, waited_s: float, tally: Tally) -> None:
        """End it with what became of the request."""
        attributes: dict[str, str | int | float] = {
            "http.response.status_code": status,
            "seedcoder.request_id": id,
            "seedcoder.queue_wait_s": waited_s,
        }
        if key:
            attributes["enduser.id"] = key
        if tally.model:
            attributes |= {
                "gen_ai.request.model": tally.model,
                "gen_ai.usage.input_tokens": tally.prompt_tokens,
                "gen_ai.usage.output_tokens": tally.completion_tokens,
            }
        if tally.first_s is not None:
            attributes["gen_ai.server.time_to_first_token"] = tally.first_s
            late_s = time.perf_counter() - tally.began_s - tally.first_s
            span.add_event("first token", timestamp=time.time_ns() - int(late_s * 1e9))
        span.set_attributes(attributes)
        if status >= 500:
            span.set_status(self._trace.StatusCode.ERROR, tally.note)
        span.end()

    def close(self) -> None:
        """Send what waits, and end."""
        self._provider.shutdown()


def _of(url: str) -> str:
    """Return where spans are posted: a collector's address, or the whole path to it."""
    return url if url.rstrip("/").endswith("/v1/traces") else f"{url.rstrip('/')}/v1/traces"
