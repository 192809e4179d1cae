"""Which case do the DICOM files of one lesion make?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

from core.case import FIELDS, Case, ImageInput, PatientMetadata, body_sites
from core.diagnosis import Notice
from core.errors import CaseError, InputError, MetadataError
from modalities.dicom.reader import DicomFile, DicomReader, Frame
from modalities.dicom.remarks import REMARKS
from modalities.dicom.sop_classes import SOP_CLASSES
from modalities.images.decoder import Root, Source

Refusal = Literal["burned_in", "identified"]
REFUSALS = ("burned_in", "identified")
_SAME_AGE_YEARS = 1.0
_FILES = "the DICOM files disagree about {field}; give it yourself, or files of one lesion"
_GIVEN = "{field} is given otherwise than the DICOM files have it; correct the one or the other"


@dataclass(frozen=True)
class DicomCase:
    """A case, what is to be said about its reading, and the files behind it.

    `case` holds pixels, age, sex and site and nothing else of the files. `notices` have codes that start
    with `Dicom`. `files` refer to the images for a report; with `identity` they hold the patient's identity
    too, and must be handled as that.
    """

    case: Case
    notices: tuple[Notice, ...]
    files: tuple[DicomFile, ...]


def case_from_dicom(
    files: Sequence[Source | tuple[str, Source]],
    *,
    frame: Frame = None,
    refuse: Sequence[Refusal] = (),
    identity: bool = False,
    patient: PatientMetadata | None = None,
    agreeing: bool = False,
    root: Root | None = None,
    reader: DicomReader | None = None,
) -> DicomCase:
    """One lesion's images and metadata from DICOM files (PS3.10), each parsed in a process that may die.

    A file is a path or bytes, or a pair of a modality's name and one of these. Without a name the SOP class
    tells the modality, as `SOP_CLASSES` says; a secondary capture needs one. `frame`: which frame of
    multi-frame files, from 1, or "all" as images of their own. `refuse`: what is an error and no notice,
    "burned_in" (text in the pixels) or "identified" (nothing says that the identity was removed). `patient`:
    fields that are known otherwise and stand before those of the files; with `agreeing` no file may
    contradict them. `reader`: one to go on with, whose worker runs already; default one of its own.
    `identity`: keep what a structured report has to repeat of the source.

    Raises what `DicomReader.read` raises, `CaseError` (no file, files of two patients, no modality, or
    something to refuse), `MetadataError` (two sexes, two sites that do not hold each other, ages more than a
    year apart; among the files or, with `agreeing`, between them and `patient`), and `MissingExtra` without
    pydicom.
    """
    if isinstance(files, str | bytes) or not files:
        raise CaseError("give at least one DICOM file, in a list")
    if not set(refuse) <= set(REFUSALS):
        raise InputError(f"refuse takes {' and '.join(REFUSALS)}")
    named = [(None, f) if not isinstance(f, tuple) else f for f in files]
    with ExitStack() as stack:
        own = reader or stack.enter_context(DicomReader())
        read = [(name, own.read(f, frame=frame, identity=identity, root=root)) for name, f in named]
    if len({file.token for _, file in read if file.token}) > 1:
        raise CaseError("the DICOM files are of more than one patient; give those of one lesion")
    remarks = {remark for _, file in read for remark in file.remarks}
    for reason in refuse:
        if reason in remarks:
            raise CaseError(f"refused: {REMARKS[reason].text}")
    images = []
    for name, file in read:
        modality, foreign = _modality(name, file)
        remarks |= {"modality_given"} if foreign else set()
        images += [ImageInput(modality=modality, data=picture) for picture in file.pictures]
    known = _together([file.patient for _, file in read], patient or PatientMetadata(), agreeing=agreeing)
    return DicomCase(
        Case(images=tuple(images), patient=known),
        tuple(Notice(REMARKS[remark].code, REMARKS[remark].text) for remark in sorted(remarks)),
        tuple(file for _, file in read),
    )


def _modality(name: str | None, file: DicomFile) -> tuple[str, bool]:
    """The modality, and whether the given name contradicts the SOP class."""
    meant, own = SOP_CLASSES[file.sop_class]
    if name is not None:
        return name, own not in (None, name)
    if own is None:
        raise CaseError(f"a {meant} does not tell its modality; give it, such as dermoscopy=FILE")
    return own, False


def _together(found: Sequence[PatientMetadata], given: PatientMetadata, *, agreeing: bool) -> PatientMetadata:
    """What all files say, none contradicting another; a field of `given` stands before them."""
    fields: dict[str, Any] = {}
    for name in FIELDS:
        values = [v for p in found if (v := getattr(p, name)) is not None]
        own = getattr(given, name)
        if own is None:
            fields[name] = _agreed(name, values, _FILES)
            continue
        if agreeing:
            _agreed(name, [own, *values], _GIVEN)
        fields[name] = own
    return PatientMetadata(**fields)


def _agreed(name: str, values: list[Any], fault: str) -> Any:
    if not values:
        return None
    if name == "age_years":
        agree, value = max(values) - min(values) <= _SAME_AGE_YEARS, values[0]
    elif name == "site":
        value = max(values, key=lambda site: body_sites().node(site).depth)
        agree = all(body_sites().covers(site, value) for site in values)
    else:
        agree, value = len(set(values)) == 1, values[0]
    if not agree:
        raise MetadataError(fault.format(field=name))
    return value
