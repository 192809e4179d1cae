"""What is refused before a request is understood? Too large, too slow, from another site, without a key.

It also sets the headers of every answer, times it, and tells log and meters: route, status, milliseconds and
bytes, never a word of a case.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from urllib.parse import urlsplit
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dxtree.service.keys import KeyRing
from dxtree.service.problems import Problem, busy
from dxtree.service.settings import ServiceSettings

LOG = logging.getLogger("dxtree.service")
CLIENT_LEFT = 499
"""In log and meters: the client hung up before it was answered."""
Answered = Callable[[str, int, float], None]
"""Is told route, status and seconds of every request."""
LOCAL = ("localhost", "127.0.0.1", "[::1]", "testserver")
KEY = "key "
"""Before the name of a client that has a key; an address stands alone."""
OPEN = ("/", "/healthz", "/readyz")
OPEN_BELOW = "/static/"
"""Paths that need no key. The page's form says how many models there are, and sends a key with every case."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Doorkeeper:
    """ASGI middleware. What passes has `scope["state"]["client"]`, a name that is never a patient's."""

    def __init__(
        self, app: ASGIApp, settings: ServiceSettings, keys: KeyRing | None, answered: Answered
    ) -> None:
        self.app, self.settings, self.keys, self.answered = app, settings, keys, answered
        self.held = 0
        """Bytes of bodies in memory."""
        self.under_way = 0
        """Requests that have begun and are not answered."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or lets the application answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        guarded = _Request(self, scope, receive, send)
        self.under_way += 1
        try:
            await guarded.run()
        finally:
            self.under_way -= 1
            self.held -= guarded.bytes

    def check(self, scope: Scope) -> None:
        """Raises `Problem` for a request that its headers rule out, and where too many are under way."""
        if self.under_way > self.settings.connections:
            raise busy(2, client=False)
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name(host) not in (*LOCAL, *self.settings.hosts, self.settings.host):
            # A name that somebody else points at this machine would let their page read the answers.
            raise Problem(421, "UnknownHost", "the service does not answer under this name; see --host-name")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise Problem(403, "ForeignOrigin", "pages of other sites may not use the service")
        scope.setdefault("state", {})["client"] = self._client(scope, headers)
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise Problem(400, "BadRequest", "Content-Length is no number of bytes")
        if int(length) > self.settings.body_bytes:
            raise self.too_large()

    def too_large(self) -> Problem:
        """The body is over the limit."""
        limit = self.settings.body_bytes
        return Problem(413, "RequestTooLarge", f"a request may have up to {limit} bytes; send fewer images")

    def _client(self, scope: Scope, headers: Headers) -> str:
        path = scope["path"]
        if self.keys is not None and path not in OPEN and not path.startswith(OPEN_BELOW):
            scheme, _, key = headers.get("authorization", "").partition(" ")
            name = self.keys.name_of(key.strip()) if scheme.lower() == "bearer" else None
            if name is None:
                ask = {"WWW-Authenticate": "Bearer"}
                raise Problem(401, "KeyNeeded", "send a key as: Authorization: Bearer KEY", ask)
            return KEY + name
        if self.settings.behind_proxy and (forwarded := headers.get("x-forwarded-for")):
            return forwarded.rpartition(",")[2].strip()
        return str((scope.get("client") or ("",))[0])


class _Request:
    """One request on its way in, counted and timed, and its answer with the headers that every answer has."""

    def __init__(self, keeper: Doorkeeper, scope: Scope, receive: Receive, send: Send) -> None:
        self.keeper, self.scope, self._receive, self._send = keeper, scope, receive, send
        self.id = uuid4().hex
        self.bytes, self.status = 0, CLIENT_LEFT
        self.since = time.monotonic()
        self.until = self.since + keeper.settings.body_seconds
        self.whole = False
        self.begun = False

    async def run(self) -> None:
        try:
            self.keeper.check(self.scope)
            await self.keeper.app(self.scope, self.receive, self.send)
        except Problem as problem:
            await self._tell(problem)
        except ClientDisconnect:
            self.status = CLIENT_LEFT
        except Exception as error:  # what the application did not foresee; its text may hold a patient's word
            LOG.error("%s unforeseen %s", self.id, type(error).__name__)
            await self._tell(Problem(500, "InternalError", "a fault of the service; its log names the kind"))
        finally:
            route = getattr(self.scope.get("route"), "path", "other")
            seconds = time.monotonic() - self.since
            self.keeper.answered(route, self.status, seconds)
            LOG.info("%s %s %d %.0f ms %d bytes", self.id, route, self.status, 1e3 * seconds, self.bytes)

    async def _tell(self, problem: Problem) -> None:
        if not self.begun:
            await problem.response()(self.scope, self._receive, self.send)

    async def receive(self) -> Message:
        if self.whole:
            return await self._receive()
        settings = self.keeper.settings
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, self.until - time.monotonic()))
        except TimeoutError:
            wanted = f"the body was not here within {settings.body_seconds:g} s"
            raise Problem(408, "BodyTooSlow", wanted, {"Connection": "close"}) from None
        if message["type"] == "http.request":
            self.bytes += (size := len(message.get("body", b"")))
            self.keeper.held += size
            self.whole = not message.get("more_body", False)
            if self.bytes > settings.body_bytes:
                raise self.keeper.too_large()
            if self.keeper.held > settings.bytes_in_flight:
                raise busy(2, client=False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.id
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def holder(client: str) -> str | None:
    """Name of the key's holder; `None` for a client known by its address alone."""
    return client.removeprefix(KEY) if client.startswith(KEY) else None


def _name(host: str) -> str:
    """The host without its port."""
    return host if host.endswith("]") else host.rpartition(":")[0] or host
