"""What is known about one lesion: its images, each with its modality, and the patient's metadata.

These are the types where the outside comes in: frozen, without extra fields, and strict. What is absent is
*not known*; it is never imputed, never 0 and never a default from a form.
"""

from __future__ import annotations

import math
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from core.errors import CaseError, InputError, MetadataError, did_you_mean
from core.taxonomy import Taxonomy

Sex = Literal["female", "male"]
"""The two terms that models are trained with; anything else a record holds is *not known* to them."""

MAX_AGE_YEARS = 120.0
_NOT_KNOWN = (None, "unknown")
_SEXES = ("female", "male")
_MAX_TEXT = 256


@cache
def body_sites() -> Taxonomy:
    """The vocabulary of lesion sites: a tree, so that `back` is also `posterior_torso` and `trunk`."""
    return Taxonomy.shipped("body_sites")


def _located(error: ValidationError, kind: type[InputError], model: type[BaseModel], what: str) -> InputError:
    """A typed error that names fields and rules and repeats no value, nor the name of an unknown field."""
    parts = []
    for one in error.errors(include_url=False, include_context=False, include_input=False)[:5]:
        known = not one["loc"] or one["loc"][0] in model.model_fields
        field = ".".join(str(p) for p in one["loc"]) or what
        parts.append(f"{field}: {one['msg']}" if known else "an unknown field is given")
    return kind(f"{what} is not valid ({'; '.join(parts)}); its fields are {', '.join(model.model_fields)}")


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, defer_build=True
    )


class PatientMetadata(_Frozen):
    """Age, sex and lesion site. `None` is *not known*; the text "unknown" is read as `None`.

    `age_years` is a finite number from 0 to 120; `site` is an id of `body_sites()`. Anything else raises
    `MetadataError`, which names the field and what is allowed and never the value.
    """

    age_years: float | None = None
    sex: Sex | None = None
    site: str | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _typed(cls, data: Any, handler: ModelWrapValidatorHandler[PatientMetadata]) -> PatientMetadata:
        try:
            return handler(data)
        except ValidationError as error:
            raise _located(error, MetadataError, cls, "patient") from None

    @field_validator("age_years", mode="before")
    @classmethod
    def _age(cls, value: object) -> object:
        if isinstance(value, str) and value in _NOT_KNOWN:
            return None
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and (not number or not _is_age(value)):
            raise MetadataError(
                f"age_years must be a number from 0 to {MAX_AGE_YEARS:.0f} in years, or be left out"
            )
        return value

    @field_validator("sex", mode="before")
    @classmethod
    def _sex(cls, value: object) -> object:
        return _term("sex", value, _SEXES)

    @field_validator("site", mode="before")
    @classmethod
    def _site(cls, value: object) -> object:
        return _term("site", value, body_sites().ids[1:])

    def known(self) -> tuple[str, ...]:
        """Names of the fields that are known, in order."""
        return tuple(name for name in FIELDS if getattr(self, name) is not None)


FIELDS = ("age_years", "sex", "site")
"""The metadata fields in the order in which every output lists them."""


def _is_age(value: Any) -> bool:
    try:
        return math.isfinite(value) and 0 <= value <= MAX_AGE_YEARS
    except OverflowError:
        return False


def _term(field: str, value: object, allowed: tuple[str, ...]) -> object:
    if value is None or (isinstance(value, str) and value in _NOT_KNOWN):
        return None
    if isinstance(value, str) and value in allowed:
        return value
    near = did_you_mean(value, allowed) if isinstance(value, str) and len(value) <= _MAX_TEXT else ""
    raise MetadataError(
        f"{field} must be one of {', '.join(allowed)}, or be left out where it is not known{near}"
    )


class ImageInput(_Frozen):
    """One image of the lesion and the modality it was taken with: exactly one of `path` and `data`.

    Raises `CaseError` for both or neither source, or a modality name that is no short text.
    """

    modality: str = Field(min_length=1, max_length=64)
    path: Path | None = Field(default=None, repr=False)
    data: bytes | None = Field(default=None, repr=False)

    @model_validator(mode="wrap")
    @classmethod
    def _typed(cls, data: Any, handler: ModelWrapValidatorHandler[ImageInput]) -> ImageInput:
        try:
            image = handler(data)
        except ValidationError as error:
            raise _located(error, CaseError, cls, "image") from None
        if (image.path is None) == (image.data is None):
            raise CaseError("an image needs exactly one of path and data")
        return image

    @field_validator("path", mode="before")
    @classmethod
    def _path(cls, value: object, info: ValidationInfo) -> object:
        # What comes from JSON must stay a text: strict mode takes no Path there.
        if info.mode == "python" and isinstance(value, str | PathLike):
            return Path(value)
        return value

    @property
    def source(self) -> Path | bytes:
        """Where the bytes are: the path, or the bytes themselves."""
        return self.data if self.data is not None else self.path  # type: ignore[return-value]


class Case(_Frozen):
    """One lesion: at least one image, and whatever is known about the patient.

    `id` is the caller's own name for the case; it comes back in the answer and goes nowhere else.
    Raises `CaseError` for a case without an image or with unknown fields.
    """

    images: tuple[ImageInput, ...] = Field(min_length=1, max_length=64)
    patient: PatientMetadata = PatientMetadata()
    id: str = Field(default="case", min_length=1, max_length=_MAX_TEXT)

    @model_validator(mode="wrap")
    @classmethod
    def _typed(cls, data: Any, handler: ModelWrapValidatorHandler[Case]) -> Case:
        try:
            return handler(data)
        except ValidationError as error:
            raise _located(error, CaseError, cls, "case") from None

    @field_validator("images", mode="before")
    @classmethod
    def _images(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities that have an image, sorted."""
        return tuple(sorted({image.modality for image in self.images}))
