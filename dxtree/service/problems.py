"""How is a fault told over HTTP? As problem+json (RFC 9457), without a word of the patient's."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

from core.errors import DxtreeError

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer that is no diagnosis. `code` is stable for programs, `detail` may be shown to anybody."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.detail, self.headers = status, code, detail, dict(headers or {})

    @classmethod
    def of(cls, error: DxtreeError) -> Problem:
        """A typed fault of dxtree, with the status that its class names."""
        return cls(error.status, error.code, error.safe_message)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }

    def response(self) -> JSONResponse:
        """What is sent."""
        return JSONResponse(self.to_dict(), self.status, self.headers, MEDIA_TYPE)


def busy(seconds: int, *, client: bool) -> Problem:
    """Refused for now: the service is full (503), or this client alone has too much of it (429)."""
    retry = {"Retry-After": str(max(1, seconds))}
    if client:
        return Problem(429, "TooManyRequests", "this client has too many requests under way", retry)
    return Problem(503, "Busy", "every core is at work and the queue is full; try again later", retry)
