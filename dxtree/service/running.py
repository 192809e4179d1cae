"""How is the service run until it is told to end? One process of uvicorn, which finishes what it accepted."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from dxtree.service.settings import ServiceSettings

SWITCH_SECONDS = 0.0005


def serve(app: ASGIApp, settings: ServiceSettings) -> None:
    """Answers requests until SIGTERM or SIGINT, and those that were accepted by then."""
    # The loop lets go of the interpreter at every read and write, and would wait 5 ms for a thread at work.
    sys.setswitchinterval(SWITCH_SECONDS)
    _without_core_dumps()
    server = uvicorn.Server(configuration(app, settings))
    # Once it has ended, uvicorn raises the signal again for the handlers it found: an end in order is 0.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: None)
    server.run()


def _without_core_dumps() -> None:
    """A crash must not put a patient's picture on the disk."""
    try:
        import resource
    except ImportError:  # Windows writes none
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def configuration(app: ASGIApp, settings: ServiceSettings) -> uvicorn.Config:
    """What uvicorn is told; its access log, which holds addresses, is off."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=impatient(settings.header_seconds, 2 * settings.connections),
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        date_header=True,
        limit_concurrency=None,  # its refusal would not say when to come again; the doorkeeper's does
        timeout_keep_alive=5,
        timeout_graceful_shutdown=round(settings.shutdown_seconds),
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.private_key,
    )


def impatient(seconds: float, most: int) -> type[H11Protocol]:
    """Uvicorn's protocol, which also hangs up where a request's headers are not whole in time.

    `most`: connections at a time, those that ask for nothing yet included; one more is closed at once.
    """

    class Impatient(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._expect()
            if len(self.connections) > most:
                self._hang_up()

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
