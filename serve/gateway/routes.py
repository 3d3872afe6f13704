"""The one table of routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from serve.fim import routes as fim
from serve.gateway import batches, chat, completions, files, health, models, passthrough
from serve.gateway.call import Handler

Guard = Literal["key", "health", "metrics", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One route.

    path: `{name}` is one part of it, `{name:path}` may hold slashes.
    takes: "json" (an object; `Call.body`), "form" (anything else; `Call.chunks`), "none".
    guard: "key" asks for a key where the service has keys; "health" and "metrics" do unless the
        recipe opens them (`open_health`, `open_metrics`).
    counts: a drain waits for it, and limits of keys hold for it.
    gives: media type of the answer, for the OpenAPI document (`serve.gateway.openapi`).
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handler: Handler
    tag: str
    takes: Literal["json", "form", "none"] = "none"
    guard: Guard = "key"
    counts: bool = True
    gives: str = "application/json"


WAYS: tuple[Way, ...] = (
    Way(method="GET", path="/v1/models", handler=models.list_models, tag="models", counts=False),
    Way(method="GET", path="/v1/models/{model:path}", handler=models.show_model, tag="models",
        counts=False),
    Way(method="POST", path="/v1/chat/completions", handler=chat.chat, tag="chat", takes="json"),
    Way(method="POST", path="/v1/completions", handler=completions.complete, tag="completions",
        takes="json"),
    Way(method="POST", path="/v1/fim/completions", handler=fim.complete_mistral,
        tag="completions", takes="json"),
    Way(method="POST", path="/infill", handler=fim.complete_infill, tag="completions",
        takes="json"),
    Way(method="POST", path="/v1/embeddings", handler=passthrough.embed, tag="embeddings",
        takes="json"),
    Way(method="POST", path="/v1/responses", handler=passthrough.respond, tag="responses",
        takes="json"),
    Way(method="POST", path="/v1/messages", handler=passthrough.message, tag="messages",
        takes="json"),
    Way(method="POST", path="/v1/messages/count_tokens", handler=passthrough.count_tokens,
        tag="messages", takes="json"),
    Way(method="POST", path="/tokenize", handler=passthrough.tokenize, tag="tokens",
        takes="json"),
    Way(method="POST", path="/detokenize", handler=passthrough.detokenize, tag="tokens",
        takes="json"),
    Way(method="POST", path="/v1/files", handler=files.upload, tag="files", takes="form"),
    Way(method="GET", path="/v1/files", handler=files.list_files, tag="files", counts=False),
    Way(method="GET", path="/v1/files/{file_id}", handler=files.show_file, tag="files",
        counts=False),
    Way(method="DELETE", path="/v1/files/{file_id}", handler=files.delete_file, tag="files",
        counts=False),
    Way(method="GET", path="/v1/files/{file_id}/content", handler=files.read_file, tag="files",
        counts=False, gives="application/octet-stream"),
    Way(method="POST", path="/v1/batches", handler=batches.create_batch, tag="batches",
        takes="json"),
    Way(method="GET", path="/v1/batches", handler=batches.list_batches, tag="batches",
        counts=False),
    Way(method="GET", path="/v1/batches/{batch_id}", handler=batches.show_batch, tag="batches",
        counts=False),
    Way(method="POST", path="/v1/batches/{batch_id}/cancel", handler=batches.cancel_batch,
        tag="batches", counts=False),
    Way(method="GET", path="/health", handler=health.health, tag="health", guard="health",
        counts=False),
    Way(method="GET", path="/ready", handler=health.ready, tag="health", guard="health",
        counts=False),
    Way(method="GET", path="/metrics", handler=health.metrics, tag="health", guard="metrics",
        counts=False, gives="text/plain"),
    Way(method="GET", path="/openapi.json", handler=health.document, tag="health",
        counts=False),
)  # fmt: skip
