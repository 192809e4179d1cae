"""How do DICOM files come into `dxtree diagnose`, and reports out of it?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from core.case import PatientMetadata
    from core.diagnosis import Diagnosis
    from modalities.dicom import DicomCase, Frame

DicomOption = Annotated[
    list[str] | None,
    typer.Option(
        "--dicom",
        help="A DICOM file in place of --image: FILE, or MODALITY=FILE where its class does not tell. "
        "Repeatable.",
    ),
]
FrameOption = Annotated[
    str | None,
    typer.Option(help="Of multi-frame DICOM files: a frame's number from 1, or all as images of their own."),
]
RefuseOption = Annotated[
    list[str] | None,
    typer.Option(
        "--refuse", help="Refuse DICOM files in place of a notice: burned_in or identified. Repeatable."
    ),
]
DicomSrOption = Annotated[
    Path | None,
    typer.Option("--dicom-sr", help="Write the answer as a DICOM structured report; needs --dicom."),
]
FhirOption = Annotated[
    Path | None, typer.Option("--fhir", help="Write the answer as a FHIR R4 Bundle, JSON.")
]
SubjectOption = Annotated[
    str | None, typer.Option("--fhir-subject", help="Whom the Bundle is about, such as Patient/123.")
]


@dataclass(frozen=True)
class Reports:
    """Where the answer is to be written, and what the DICOM files added to it."""

    structured: Path | None
    fhir: Path | None
    subject: str | None
    source: DicomCase | None = None

    def noted(self, answer: Diagnosis) -> Diagnosis:
        """The answer with what is to be said about the reading of its files."""
        return (
            answer if self.source is None else replace(answer, notices=answer.notices + self.source.notices)
        )

    def write(self, answer: Diagnosis, patient: PatientMetadata) -> None:
        """Writes the reports that were asked for. Raises `PathRejected` for a file that cannot be written."""
        from core.files import write_whole

        if self.fhir is not None:
            import json

            from dxtree.exchange import to_fhir

            text = json.dumps(
                to_fhir(patient, answer, subject=self.subject), ensure_ascii=False, indent=1, allow_nan=False
            )
            write_whole(self.fhir, f"{text}\n".encode())
        if self.structured is not None and self.source is not None:
            from io import BytesIO

            from dxtree.exchange import structured_report

            file = BytesIO()
            structured_report(answer, self.source).save_as(file, enforce_file_format=True)
            write_whole(self.structured, file.getvalue())


def dicom_case(
    files: list[str], frame: str | None, refuse: list[str] | None, patient: PatientMetadata, *, identity: bool
) -> DicomCase:
    """The case of the options' texts. Raises what `case_from_dicom` raises."""
    from modalities.dicom import case_from_dicom

    given = [_named(text) for text in files]
    chosen: Any = tuple(refuse or ())
    return case_from_dicom(given, frame=_frame(frame), refuse=chosen, patient=patient, identity=identity)


def _named(text: str) -> str | tuple[str, str]:
    """FILE or MODALITY=FILE; a file that exists under the whole text is a file."""
    modality, separator, path = text.partition("=")
    if separator and modality and path and "/" not in modality and not Path(text).exists():
        return modality, path
    return text


def _frame(text: str | None) -> Frame:
    from core.errors import InputError

    if text is None or text == "all":
        return text  # type: ignore[return-value]
    try:
        return int(text)
    except ValueError:
        raise InputError("frame must be a whole number from 1, or all") from None
