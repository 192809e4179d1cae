"""How are images fetched from a DICOMweb server, and reports stored there? By WADO-RS and STOW-RS (PS3.18).

Data sets are not parsed here: what comes are the bytes of files, to be read in a process that may die. No
redirection is followed, so that no header with a secret goes to another host.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from core.errors import CorruptImage, ImageTooLarge, InputError
from dxtree.dicomnet.receiver import Bounds

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_UID = 64
_DICOM = 'multipart/related; type="application/dicom"'


class DicomWeb:
    """A DICOMweb service by its root, such as `https://pacs.example/dicom-web`.

    `headers` go with every request, for instance an Authorization. `bounds`: files and bytes of one answer,
    and seconds without a byte. Certificates are checked as the system does.

    Raises `InputError` for a root that is no http or https address.
    """

    def __init__(
        self, root: str, *, headers: Mapping[str, str] | None = None, bounds: Bounds | None = None
    ) -> None:
        parts = urlsplit(root)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise InputError("the root of a DICOMweb service is an http or https address without a query")
        if parts.username is not None:
            raise InputError("give a DICOMweb service its user in the headers, not in the address")
        self._parts, self._headers, self._bounds = parts, dict(headers or {}), bounds or Bounds()

    def fetch(self, study: str, series: str | None = None, instance: str | None = None) -> tuple[bytes, ...]:
        """The files of a study, a series or an instance, by their UIDs, as `case_from_dicom` takes them.

        Raises `InputError` for a UID that is none and for any answer but the files, `ImageTooLarge` beyond
        the bounds, and `CorruptImage` for an answer that cannot be taken apart.
        """
        path = f"/studies/{_uid(study)}"
        if series is not None:
            path += f"/series/{_uid(series)}"
        if instance is not None:
            if series is None:
                raise InputError("an instance needs the UID of its series")
            path += f"/instances/{_uid(instance)}"
        kind, body = self._ask("GET", path, {"Accept": f"{_DICOM}; transfer-syntax=*"}, None)
        parts = _parts(kind, body)
        if len(parts) > self._bounds.images:
            raise ImageTooLarge(f"the answer has more than {self._bounds.images} files; name a series")
        return parts

    def store(self, file: bytes) -> None:
        """Stores one file, such as a report. Raises `InputError` where the server does not take it."""
        boundary = secrets.token_hex(16)
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        body = head + file + f"\r\n--{boundary}--\r\n".encode()
        told = {"Content-Type": f"{_DICOM}; boundary={boundary}", "Accept": "application/dicom+json"}
        self._ask("POST", "/studies", told, body)

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[str, bytes]:
        """Content type and body of an answer with status 200."""
        kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
        root = self._parts.path.rstrip("/")
        try:
            connection = kind(self._parts.hostname or "", self._parts.port, timeout=self._bounds.seconds)
            try:
                connection.request(method, root + path, body, {**self._headers, **headers})
                answer = connection.getresponse()
                content = answer.read(self._bounds.bytes + 1)
            finally:
                connection.close()
        except (OSError, HTTPException, ValueError) as error:
            raise InputError(
                f"the DICOMweb server did not answer ({type(error).__name__}); check its address"
            ) from None
        if answer.status != 200:
            raise InputError(f"the DICOMweb server answered {answer.status}; 200 is needed")
        if len(content) > self._bounds.bytes:
            raise ImageTooLarge(f"the answer has more than {self._bounds.bytes} bytes, the most that is read")
        return answer.headers.get("Content-Type", ""), content


def _uid(text: str) -> str:
    if len(text) > _LONGEST_UID or not _UID.fullmatch(text):
        raise InputError("a UID is at most 64 characters of digits and dots")
    return text


def _parts(kind: str, body: bytes) -> tuple[bytes, ...]:
    """The parts of a multipart body (RFC 2046, 5.1), which must hold DICOM files."""
    told = Message()
    told["Content-Type"] = kind
    boundary = told.get_param("boundary")
    if told.get_content_type() != "multipart/related" or not isinstance(boundary, str) or not boundary:
        raise CorruptImage("the DICOMweb server answered with something else than files")
    first, *pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin1", "replace"))
    if first.strip() or len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise CorruptImage("the answer of the DICOMweb server stops before its end; ask again")
    found = []
    for piece in pieces[:-1]:
        _, separator, content = piece.partition(b"\r\n\r\n")
        if not separator:
            raise CorruptImage("the answer of the DICOMweb server has a part without a head")
        found.append(content)
    return tuple(found)
