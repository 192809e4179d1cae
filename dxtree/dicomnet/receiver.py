"""Which images does another node send us? A storage provider (C-STORE, PS3.4 annex B), written with
pynetdicom.

One association is one lesion: its images are handed on together once the sender has released it, and
forgotten where it was aborted. A data set is never parsed here, nor stored: its bytes, put behind a file
header, are checked as those of any file, and read later in a process that may die.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

from core.errors import InputError, MissingExtra
from modalities.dicom import LIMITS, SOP_CLASSES, TRANSFER_SYNTAXES
from modalities.dicom.preface import check_file
from modalities.images.limits import MIB

SUCCESS, OUT_OF_RESOURCES, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000
"""Status of a C-STORE (PS3.4, B.2.3)."""

Take = Callable[[tuple[bytes, ...]], object]
_LONGEST_TITLE = 16


@dataclass(frozen=True)
class Bounds:
    """What one association may send, and how many there may be at once.

    `images` and `bytes` an association; `seconds` without a message after which it is aborted.
    Raises `InputError` where one is not above zero.
    """

    images: int = 64
    bytes: int = 256 * MIB
    associations: int = 4
    seconds: float = 60.0

    def __post_init__(self) -> None:
        if min(self.images, self.bytes, self.associations, self.seconds) <= 0:
            raise InputError("every bound of a receiver must be above zero")


@dataclass
class _Arrived:
    files: list[bytes] = field(default_factory=list)
    refused: bool = False


class Receiver:
    """Listens while its `with` block runs, and calls `take` with the files of each association.

    `take` runs in the association's own thread, several at once; what it raises ends nothing and is lost, so
    it must keep its own record. `title`: the application entity title that callers must name. `callers`: the
    titles that may call; empty for any. A caller's title is no proof of who it is: listen on loopback or a
    closed network.

    Raises `MissingExtra` without pynetdicom, `InputError` for a title of other than 1 to 16 characters or an
    address that cannot be listened on.
    """

    def __init__(
        self,
        take: Take,
        *,
        title: str = "DXTREE",
        host: str = "127.0.0.1",
        port: int = 11112,
        callers: Sequence[str] = (),
        bounds: Bounds | None = None,
    ) -> None:
        if find_spec("pynetdicom") is None:
            raise MissingExtra("receiving DICOM", "dicomnet")
        for name in (title, *callers):
            if not 1 <= len(name.strip()) <= _LONGEST_TITLE or not name.isascii() or "\\" in name:
                raise InputError("an application entity title has 1 to 16 characters of ASCII")
        self._take, self._bounds = take, bounds or Bounds()
        self._title, self._address, self._callers = title, (host, port), list(callers)
        self._lock = threading.Lock()
        self._arrived: dict[Any, _Arrived] = {}
        self._server: Any = None

    @property
    def port(self) -> int:
        """The port that is listened on, also where 0 was asked for."""
        return int(self._server.server_address[1]) if self._server is not None else self._address[1]

    def __enter__(self) -> Self:
        from pynetdicom import AE, evt

        entity = AE(ae_title=self._title)
        for uid in SOP_CLASSES:
            entity.add_supported_context(uid, list(TRANSFER_SYNTAXES))
        entity.require_called_aet = True
        entity.require_calling_aet = self._callers
        entity.maximum_associations = self._bounds.associations
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self._bounds.seconds
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_RELEASED, self._released),
            (evt.EVT_CONN_CLOSE, self._forgotten),
        ]
        try:
            self._server = entity.start_server(self._address, block=False, evt_handlers=handlers)
        except OSError as error:
            raise InputError(f"the address cannot be listened on ({type(error).__name__})") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops listening; associations that are open are aborted."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _store(self, event: Any) -> int:
        with self._lock:
            found = self._arrived.setdefault(event.assoc, _Arrived())
        data = event.encoded_dataset()
        held = sum(map(len, found.files))
        if len(found.files) >= self._bounds.images or held + len(data) > self._bounds.bytes:
            found.refused = True
            return OUT_OF_RESOURCES
        try:
            check_file(data, LIMITS)
        except InputError:
            found.refused = True
            return NOT_UNDERSTOOD
        found.files.append(data)
        return SUCCESS

    def _released(self, event: Any) -> None:
        with self._lock:
            found = self._arrived.pop(event.assoc, None)
        # Where an image was refused we have not seen all of the lesion; the sender was told, and sends anew.
        if found is not None and found.files and not found.refused:
            self._take(tuple(found.files))

    def _forgotten(self, event: Any) -> None:
        with self._lock:
            self._arrived.pop(event.assoc, None)
