"""What does one DICOM file show, once a process that may die has parsed it?"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Literal, Self

from core import errors
from core.case import PatientMetadata
from modalities.dicom.preface import check_file
from modalities.dicom.remarks import REMARKS
from modalities.images.child import Child
from modalities.images.decoder import Root, Source
from modalities.images.faults import raise_fault
from modalities.images.limits import MIB, Limits
from modalities.images.source import read_source

Frame = int | Literal["all"] | None
"""A frame's number, from 1; every frame as an image of its own; or none, which is right for single frames
only."""

LIMITS = Limits(max_bytes=256 * MIB, seconds=30.0)
"""DICOM is often uncompressed, so more bytes than of an image file are read."""

_WORKER = "modalities.dicom.worker"
_MOST_REPLY = 512 * MIB


@dataclass(frozen=True)
class DicomFile:
    """What was taken from one file, and nothing else of it.

    `pictures`: one PNG a frame, RGB, upright as stored. `frames`: their numbers, from 1; empty for a file of
    one frame. `patient`: age, sex and site. `remarks`: keys of `REMARKS`. `sop_class`, `instance`: UIDs, to
    refer to the image. `token`: equal for two files of one patient read by one reader; empty where no
    patient is named. `identity`: the patient's and the study's attributes in the DICOM JSON model (PS3.18,
    F), where asked for.
    """

    sop_class: str
    instance: str
    pictures: tuple[bytes, ...] = field(repr=False)
    frames: tuple[int, ...]
    patient: PatientMetadata = field(repr=False)
    remarks: tuple[str, ...]
    token: str = field(repr=False)
    identity: Mapping[str, Any] | None = field(default=None, repr=False)


class DicomReader:
    """Reads DICOM files from strangers in a worker process of its own; not for two threads at once.

    Ends the worker with `close`, the `with` block or the interpreter. Raises `MissingExtra` without pydicom.
    """

    def __init__(self, limits: Limits = LIMITS) -> None:
        if find_spec("pydicom") is None:
            raise errors.MissingExtra("reading DICOM", "dicom")
        self._limits = limits
        self._key = secrets.token_hex(32)
        self._child: Child | None = None

    def read(
        self, source: Source, *, frame: Frame = None, identity: bool = False, root: Root | None = None
    ) -> DicomFile:
        """Check and read one file.

        `source`: bytes, or a path, below `root` if that is given. `identity`: take what a report has to
        repeat.

        Raises `PathRejected`, `EmptyInput`, `UnsupportedFormat` (not DICOM, another SOP class or transfer
        syntax), `ImageTooLarge`, `ImageTooSmall`, `CorruptImage`, `MultiFrame` (frames without a choice, or
        a choice that does not fit), `UnsupportedPixels`, `DecodeTimeout`, and `InputError` for a `frame`
        that is none. No message repeats a path or anything in the file.
        """
        _check_frame(frame)
        limits = self._limits
        data = read_source(source, limits.max_bytes, root)
        check_file(data, limits)
        header = {"limits": asdict(limits), "frame": frame, "key": self._key, "identity": identity}
        child = self._running()
        reply, body = child.ask(header, data, limits.seconds, _MOST_REPLY)
        try:
            return _understood(reply, bytes(body), identity)
        except (AttributeError, KeyError, TypeError, ValueError, errors.MetadataError):
            child.end()
            raise errors.CorruptImage("file made the DICOM reader answer nonsense; it is damaged") from None

    def close(self) -> None:
        """End the worker. A later file starts a new one."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _running(self) -> Child:
        if self._child is None or not self._child.alive:
            self.close()
            self._child = Child(_WORKER)
        return self._child


def _check_frame(frame: object) -> None:
    number = isinstance(frame, int) and not isinstance(frame, bool) and frame >= 1
    if not (frame is None or frame == "all" or number):
        raise errors.InputError('frame must be a whole number from 1, or "all"')


def _understood(reply: dict[str, Any], body: bytes, identity: bool) -> DicomFile:
    """The file in a reply, or its fault; `KeyError`, `TypeError`, `ValueError` and their kin if it is
    neither.
    """
    raise_fault(reply)
    facts, sizes = reply["facts"], [int(size) for size in reply["sizes"]]
    if sum(sizes) != len(body) or not sizes or min(sizes) < 1 or not set(facts["remarks"]) <= set(REMARKS):
        raise ValueError("the pictures have other sizes than was said")
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return DicomFile(
        sop_class=str(facts["sop_class"]),
        instance=str(facts["instance"]),
        pictures=tuple(body[end - size : end] for size, end in zip(sizes, ends, strict=True)),
        frames=tuple(int(n) for n in facts["frames"]),
        patient=PatientMetadata(age_years=facts["age_years"], sex=facts["sex"], site=facts["site"]),
        remarks=tuple(str(r) for r in facts["remarks"]),
        token=str(facts["patient"]),
        identity=dict(reply["identity"]) if identity else None,
    )
