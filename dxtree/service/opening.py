"""Which case does a request make, once its DICOM files are read?"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec

from core.case import Case, ImageInput
from core.errors import CaseError, ImageTooLarge, UnsupportedFormat
from dxtree.service.intake import DICOM, Asked
from modalities.dicom import DicomReader, case_from_dicom
from modalities.dicom.case import Refusal
from modalities.images.limits import MIB

MOST_BYTES = 192 * MIB
"""Of the pictures that the DICOM files of one request may unpack to, as PNG."""


class DicomDesk:
    """Reads the DICOM files of requests, each in a worker that may die. Any number of threads may ask.

    `refuse`: what is an error and no notice, as in `case_from_dicom`. `most`: images that a case may have.
    """

    def __init__(self, refuse: Sequence[Refusal] = (), most: int = 16) -> None:
        self._refuse, self._most = tuple(refuse), most
        self._idle: deque[DicomReader] = deque()
        self._closed = False

    def opened(self, asked: Asked) -> Asked:
        """The request with the frames of its DICOM files in their place, and what is to be said of them.

        Age, sex and site of the files count where the request does not state them. Raises what
        `case_from_dicom` raises with `agreeing`, `CaseError` for too many frames, and `UnsupportedFormat`
        where this service reads no DICOM.
        """
        if not asked.dicom:
            return asked
        if find_spec("pydicom") is None:
            raise UnsupportedFormat(
                "this service reads no DICOM; send JPEG or PNG, or install the extra dicom"
            )
        case = asked.case
        files = [_file(case.images[k]) for k in sorted(asked.dicom)]
        with self._reader() as reader:
            found = case_from_dicom(
                files,
                frame=asked.options.frame,
                refuse=self._refuse,
                patient=case.patient,
                agreeing=True,
                reader=reader,
            )
        pictures = iter(found.case.images)
        frames = dict(zip(sorted(asked.dicom), (max(1, len(f.frames)) for f in found.files), strict=True))
        images = []
        for k, image in enumerate(case.images):
            images += [next(pictures) for _ in range(frames[k])] if k in frames else [image]
        if len(images) > self._most:
            raise CaseError(f"a case may have up to {self._most} images here, frames included; name a frame")
        if sum(len(i.data or b"") for i in found.case.images) > MOST_BYTES:
            raise ImageTooLarge("the DICOM files unpack to too many bytes; send fewer frames")
        opened = Case(id=case.id, images=tuple(images), patient=found.case.patient)
        return replace(asked, case=opened, dicom=frozenset(), notices=found.notices)

    def close(self) -> None:
        """Ends the workers; one that reads still ends once it has."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _reader(self) -> Generator[DicomReader]:
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = DicomReader()
        try:
            yield reader
        finally:
            if self._closed:
                reader.close()
            else:
                self._idle.append(reader)


def _file(image: ImageInput) -> bytes | tuple[str, bytes]:
    data = image.data or b""
    return data if image.modality == DICOM else (image.modality, data)
