"""DICOM files by DCMTK's `dump2dcm`, which shares nothing with pydicom."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("pydicom", reason="the extra dicom is not installed")

Make = Callable[..., bytes]
Region = dict[str, Any]
MULTI, SINGLE = "1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.6.1"


def region(box: Sequence[int], **changes: Any) -> Region:
    """Top, bottom, left, right, the ends included; 10 um between rows, 20 between columns, 22 MHz."""
    top, bottom, left, right = box
    elements = {
        "0018,6012": "US 1", "0018,6014": "US 1", "0018,6018": f"UL {left}", "0018,601a": f"UL {top}",
        "0018,601c": f"UL {right}", "0018,601e": f"UL {bottom}", "0018,6024": "US 3", "0018,6026": "US 3",
        "0018,602c": "FD 0.002", "0018,602e": "FD 0.001", "0018,6030": "UL 22000",
    }  # fmt: skip
    return {tag: value for tag, value in (elements | changes).items() if value}


@pytest.fixture
def dcmtk(tmp_path: Path) -> Make:
    if shutil.which("dump2dcm") is None:
        pytest.skip("DCMTK is not installed")

    def make(
        pixels: npt.NDArray[Any],
        *,
        kind: str = "MONOCHROME2",
        regions: Sequence[Region] = (),
        sop_class: str = MULTI,
        elements: dict[str, str] | None = None,
    ) -> bytes:
        """Frames x rows x columns (x 3), uint8 or uint16."""
        raw, dump, out = tmp_path / "raw", tmp_path / "dump", tmp_path / "out.dcm"
        raw.write_bytes(pixels.tobytes())
        bits = 8 * pixels.dtype.itemsize
        given = {
            "0002,0010": "UI =LittleEndianExplicit", "0008,0016": f"UI {sop_class}",
            "0008,0018": "UI 1.2.3.4", "0028,0002": f"US {3 if pixels.ndim == 4 else 1}",
            "0028,0004": f"CS {kind}",
            "0028,0008": f"IS {len(pixels)}", "0028,0010": f"US {pixels.shape[1]}",
            "0028,0011": f"US {pixels.shape[2]}", "0028,0100": f"US {bits}", "0028,0101": f"US {bits}",
            "0028,0102": f"US {bits - 1}", "0028,0103": "US 0",
        } | ({"0028,0006": "US 0"} if pixels.ndim == 4 else {}) | (elements or {})  # fmt: skip
        lines = [f"({tag}) {value}" for tag, value in given.items() if value]
        if regions:
            lines.append("(0018,6011) SQ")
            for one in regions:
                lines += [
                    "(fffe,e000) -",
                    *(f"({tag}) {value}" for tag, value in one.items()),
                    "(fffe,e00d) -",
                ]
            lines.append("(fffe,e0dd) -")
        lines.append(f"(7fe0,0010) {'OB' if bits == 8 else 'OW'} ={raw}")
        dump.write_text("\n".join(lines))
        subprocess.run(["dump2dcm", dump, out], check=True, capture_output=True)
        return out.read_bytes()

    return make


@pytest.fixture
def frames() -> npt.NDArray[np.uint8]:
    """Two frames whose every pixel differs from its neighbours."""
    rows, columns = np.mgrid[:96, :128]
    one = (3 * rows + 7 * columns) % 251
    return np.stack([one, (one + 100) % 251]).astype(np.uint8)
