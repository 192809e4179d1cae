"""What becomes of a lesion's images that arrived? A folder with the answer, the report and the bundle, or
the fault.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from core.case import Case
from core.diagnosis import Diagnosis
from core.errors import DxtreeError
from core.files import write_whole
from dxtree.exchange import structured_report, to_fhir
from modalities.dicom import case_from_dicom


class Inbox:
    """Diagnoses what arrives and keeps the answers below a folder; the images are not kept.

    Each lesion has a folder of its own, named by the time and at random: `answer.json`, `report.dcm` (which
    names the patient, as a report must) and `bundle.json`, or `fault.json` with `code` and `message`. The
    folder appears under its name once it is whole. `diagnose` is called from several threads.
    """

    def __init__(self, folder: Path, diagnose: Callable[[Case], Diagnosis]) -> None:
        self._folder, self._diagnose = folder, diagnose
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, files: tuple[bytes, ...]) -> Path:
        """One lesion's DICOM files; gives the folder of its answer. Raises where nothing can be written."""
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        made = self._folder / f".{name}"
        made.mkdir()
        for file, content in self._answered(files).items():
            write_whole(made / file, content)
        return made.rename(self._folder / name)

    def _answered(self, files: tuple[bytes, ...]) -> dict[str, bytes]:
        try:
            return self._diagnosed(files)
        except DxtreeError as fault:
            return {"fault.json": _json({"code": fault.code, "message": fault.safe_message})}
        except Exception as error:  # whoever sent the images is gone, and the folder is the only record
            return {"fault.json": _json({"code": type(error).__name__, "message": "a fault of dxtree"})}

    def _diagnosed(self, files: tuple[bytes, ...]) -> dict[str, bytes]:
        found = case_from_dicom(files, identity=True, frame="all")
        plain = self._diagnose(found.case)
        answer = replace(plain, notices=plain.notices + found.notices)
        report = BytesIO()
        structured_report(answer, found).save_as(report, enforce_file_format=True)
        return {
            "answer.json": _json(answer.to_dict()),
            "report.dcm": report.getvalue(),
            "bundle.json": _json(to_fhir(found.case.patient, answer)),
        }


def _json(document: object) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()
