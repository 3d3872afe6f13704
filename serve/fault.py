"""Why a request gets no answer, as the OpenAI protocol says it."""

from __future__ import annotations

from typing import Any


class Fault(Exception):
    """An error that belongs in an answer, not in a log.

    status: of HTTP. kind: OpenAI's `type` ("invalid_request_error", "authentication_error",
    "rate_limit_error", "server_error"...). code, param: OpenAI's, where there is one.
    retry_after_s: for 429 and 503: when it makes sense to come again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s

    def to_json(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }
