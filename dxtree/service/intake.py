"""What does a request ask for? A case and how it is to be judged, from a form of files or from JSON."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from core.case import Case
from core.diagnosis import Notice
from core.errors import CaseError
from dxtree.service.problems import Problem
from dxtree.service.settings import ServiceSettings

CASE = "case"
"""The form's one field that is no image."""
FORM, JSON = "multipart/form-data", "application/json"
DICOM, DICOM_TYPE = "dicom", "application/dicom"
"""In place of a modality: the DICOM file says which; and the media type of one (RFC 3240)."""


class Options(BaseModel):
    """How a case is to be judged."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    strict: bool = False
    """Fail when any modality fails, in place of a partial answer."""
    explain: list[str] = Field(default=[], max_length=8)
    """Nodes of which the contributions of every image and field are wanted."""
    prevalence: dict[str, float] = Field(default={}, max_length=64)
    """Share of nodes among the patients at hand."""
    frame: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    """Of multi-frame DICOM files: a frame's number, from 1, or every frame as an image of its own."""


@dataclass(frozen=True)
class Asked:
    """One request, understood."""

    case: Case
    options: Options
    dicom: frozenset[int] = frozenset()
    """Places of the images in the case that are DICOM files, not opened yet."""
    notices: tuple[Notice, ...] = ()
    """What is to be said about the files once they are opened."""


async def read_request(request: Request, settings: ServiceSettings) -> Asked:
    """A form or a JSON document. Raises `Problem` for what is neither, and what `core.Case` raises."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == FORM:
        return await _from_form(request, settings)
    if kind == JSON:
        return _from_json(await request.body(), settings)
    raise Problem(415, "UnsupportedMediaType", f"send {FORM} or {JSON}")


class _InMemory(MultiPartParser):
    """Keeps files in memory: a picture of a patient is never written to a disk."""

    def __init__(self, request: Request, settings: ServiceSettings) -> None:
        self.spool_max_size = settings.body_bytes + 1
        super().__init__(
            request.headers,
            request.stream(),
            max_files=settings.images,
            max_fields=1,
            max_part_size=64 * 1024,
        )


async def _from_form(request: Request, settings: ServiceSettings) -> Asked:
    try:
        form = await _InMemory(request, settings).parse()
    except MultiPartException as error:
        raise Problem(400, "BadForm", f"the form cannot be read: {error.message}") from None
    fields: dict[str, Any] = {}
    images: list[dict[str, Any]] = []
    sent_as: set[int] = set()
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            kind = (value.content_type or "").partition(";")[0].strip().lower()
            sent_as |= {len(images)} if kind == DICOM_TYPE else set()
            images.append({"modality": name, "data": await value.read()})
        elif name == CASE:
            fields = _parsed(value.encode())
        else:
            raise CaseError(f"a form has files, each named by its modality, and one field, {CASE!r}")
    if "images" in fields:
        raise CaseError(f"in a form the images are its files, not in the field {CASE!r}")
    return _asked(fields | {"images": images}, sent_as)


def _from_json(body: bytes, settings: ServiceSettings) -> Asked:
    fields = _parsed(body)
    images = fields.get("images")
    if not isinstance(images, list) or not all(isinstance(i, dict) for i in images):
        raise CaseError("images is a list of objects with modality and data")
    if len(images) > settings.images:
        raise CaseError(f"a case may have up to {settings.images} images here")
    return _asked(fields | {"images": [_decoded(image) for image in images]})


def _decoded(image: dict[str, Any]) -> dict[str, Any]:
    if set(image) != {"modality", "data"} or not isinstance(image["data"], str):
        raise CaseError("an image has modality and data, the file's bytes in base64, and nothing else")
    try:
        return {"modality": image["modality"], "data": base64.b64decode(image["data"], validate=True)}
    except (binascii.Error, ValueError):
        raise CaseError("data is the image file's bytes in base64 (RFC 4648, with padding)") from None


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text.decode("utf-8"), parse_constant=_refused)
    except (ValueError, RecursionError):
        raise Problem(400, "BadJson", "that is no JSON in UTF-8 (NaN and Infinity are none)") from None
    if not isinstance(found, dict):
        raise CaseError("a case is a JSON object")
    return found


def _refused(constant: str) -> None:
    raise ValueError(constant)


def _asked(fields: dict[str, Any], sent_as: Iterable[int] = ()) -> Asked:
    """`sent_as`: places of the images that were sent as DICOM; others may show it by their bytes or name."""
    given = fields.pop("options", {})
    try:
        options = Options.model_validate(given)
    except ValidationError:
        known = ", ".join(Options.model_fields)
        raise CaseError(f"options are not valid; they are {known}, see the contract") from None
    case = Case.model_validate(fields)
    found = {
        k for k, i in enumerate(case.images) if i.modality == DICOM or (i.data or b"")[128:132] == b"DICM"
    }
    return Asked(case, options, frozenset(found.union(sent_as)))
