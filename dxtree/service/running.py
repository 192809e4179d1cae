"""How is the service run until it is told to end? One process of uvicorn, which finishes what it accepted."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from dxtree.service.settings import ServiceSettings


def serve(app: ASGIApp, settings: ServiceSettings) -> None:
    """Answers requests until SIGTERM or SIGINT, and those that were accepted by then."""
    server = uvicorn.Server(configuration(app, settings))
    # Once it has ended, uvicorn raises the signal again for the handlers it found: an end in order is 0.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: None)
    server.run()


def configuration(app: ASGIApp, settings: ServiceSettings) -> uvicorn.Config:
    """What uvicorn is told; its access log, which holds addresses, is off."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=impatient(settings.header_seconds),
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        date_header=True,
        limit_concurrency=settings.connections,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=round(settings.shutdown_seconds),
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.private_key,
    )


def impatient(seconds: float) -> type[H11Protocol]:
    """Uvicorn's protocol, which also hangs up where a request's headers are not whole in time."""

    class Impatient(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._expect()

        def handle_events(self) -> None:
            before = self.cycle
            super().handle_events()
            if self.cycle is not before and self._late is not None:
                self._late.cancel()
                self._late = None

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._expect()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._late is not None:
                self._late.cancel()
            super().connection_lost(exc)

        def _expect(self) -> None:
            """The next request's headers are due."""
            if self._late is not None:
                self._late.cancel()
            self._late = self.loop.call_later(seconds, self._hang_up)

        def _hang_up(self) -> None:
            if not self.transport.is_closing():
                self.transport.close()

    return Impatient
