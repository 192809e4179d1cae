"""Are files that other libraries wrote read with their values, sizes, order and depths?"""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from core import errors
from modalities.confocal import notes
from modalities.confocal.dicom import SINGLE, TILED
from modalities.confocal.reader import read

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("pydicom", reason="the extra dicom is not installed")

Planes = Any


def planes(dtype: Any = np.uint8, number: int = 3, height: int = 80, width: int = 100) -> Planes:
    """Different in every plane, row and column."""
    top = np.iinfo(dtype).max
    return np.random.default_rng(1).integers(0, top, (number, height, width), dtype, endpoint=True)


def tiff(values: Planes, **how: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **{"photometric": "minisblack", **how})
    return file.getvalue()


def dicom(values: Planes, sop_class: str = SINGLE, **elements: Any) -> bytes:
    """A file by DCMTK's `dump2dcm`, which shares nothing with pydicom; elements by the names of `TAGS`."""
    if shutil.which("dump2dcm") is None:
        pytest.skip("DCMTK is not installed")
    bits = 8 * values.dtype.itemsize
    given = {
        "0002,0010": "UI =LittleEndianExplicit",
        "0008,0016": f"UI {sop_class}",
        "0008,0018": "UI 1.2.3.4",
        "0028,0002": "US 1",
        "0028,0004": "CS MONOCHROME2",
        "0028,0008": f"IS {len(values)}",
        "0028,0010": f"US {values.shape[1]}",
        "0028,0011": f"US {values.shape[2]}",
        "0028,0100": f"US {bits}",
        "0028,0101": f"US {bits}",
        "0028,0102": f"US {bits - 1}",
        "0028,0103": "US 0",
        "0048,0114": "CS REFLECTANCE",
    }
    given |= {TAGS[name]: value for name, value in elements.items()}
    with TemporaryDirectory() as folder:
        raw, dump, out = (Path(folder, name) for name in ("raw", "dump", "out.dcm"))
        raw.write_bytes(values.tobytes())
        pixels = f"(7fe0,0010) {'OB' if bits == 8 else 'OW'} ={raw}"
        dump.write_text("\n".join([*lines(given), pixels]))
        subprocess.run(["dump2dcm", dump, out], check=True, capture_output=True)
        return out.read_bytes()


TAGS = {
    "PhotometricInterpretation": "0028,0004",
    "ConfocalMode": "0048,0114",
    "ImageAcquisitionDepth": "0048,0117",
    "DimensionOrganizationType": "0020,9311",
    "FrameTime": "0018,1063",
    "SharedFunctionalGroupsSequence": "5200,9229",
    "PerFrameFunctionalGroupsSequence": "5200,9230",
    "OpticalPathSequence": "0048,0105",
}


def lines(elements: dict[str, Any]) -> list[str]:
    found = []
    for tag, value in elements.items():
        if isinstance(value, str):
            found.append(f"({tag}) {value}")
            continue
        found.append(f"({tag}) SQ")
        for item in value:
            found += ["(fffe,e000) -", *lines(item), "(fffe,e00d) -"]
        found.append("(fffe,e0dd) -")
    return found


def measures(row_mm: float, column_mm: float) -> list[Any]:
    return [{"0028,9110": [{"0028,0030": f"DS {row_mm}\\{column_mm}"}]}]


def depths(*millimetres: float) -> list[Any]:
    return [{"0048,0117": f"FD {z}"} for z in millimetres]


def offsets(*micrometres: float) -> list[Any]:
    return [{"0048,021a": [{"0040,074a": f"DS {z}"}]} for z in micrometres]


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_stack_of_pages_keeps_order_orientation_and_every_bit(
    dtype: Any, byteorder: str, compression: str | None
) -> None:
    values = planes(dtype)
    stack = read(tiff(values, byteorder=byteorder, compression=compression))
    assert np.array_equal(stack.values[..., 0], values.astype(np.float32))
    assert stack.axis == "depth" and stack.bits == 8 * np.dtype(dtype).itemsize
    assert stack.positions == (None,) * 3 and notes.NO_DEPTH in stack.notes
    assert stack.spacing_um is None and notes.NO_SIZE in stack.notes


def test_imagejs_size_of_a_pixel_is_read() -> None:
    data = tiff(planes(), imagej=True, resolution=(2.0, 4.0), metadata={"unit": "um", "axes": "ZYX"})
    assert read(data).spacing_um == pytest.approx((0.25, 0.5))


def test_omes_size_of_a_pixel_is_read() -> None:
    about = {"axes": "ZYX", "PhysicalSizeX": 500.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.75}
    about["PhysicalSizeYUnit"] = "µm"
    assert read(tiff(planes(), ome=True, metadata=about)).spacing_um == pytest.approx((0.75, 0.5))


def test_the_resolution_in_centimetres_is_read_and_that_of_a_printer_is_not() -> None:
    fine = tiff(planes(), resolution=(20_000, 10_000), resolutionunit="CENTIMETER", metadata=None)
    assert read(fine).spacing_um == pytest.approx((1.0, 0.5))
    printer = tiff(planes(), resolution=(300, 300), resolutionunit="INCH", metadata=None)
    assert read(printer).spacing_um is None


def test_white_as_zero_is_turned_round_at_either_depth_and_said() -> None:
    for dtype in (np.uint8, np.uint16):
        values = planes(dtype)
        stack = read(tiff(values, photometric="miniswhite"))
        top = np.iinfo(dtype).max
        assert np.array_equal(stack.values[..., 0], (top - values).astype(np.float32))
        assert any("turned round" in note for note in stack.notes)


def test_grey_stored_as_rgb_is_grey_and_colour_is_refused() -> None:
    grey = np.repeat(planes(number=1)[0][..., None], 3, axis=2)
    assert np.array_equal(read(tiff(grey, photometric="rgb")).values[0, ..., 0], grey[..., 0])
    grey[5, 5, 0] ^= 64
    with pytest.raises(errors.UnsupportedPixels, match="in colour"):
        read(tiff(grey, photometric="rgb"))


def test_a_large_plane_is_a_mosaic_and_that_is_said() -> None:
    mosaic = planes(number=1, height=300, width=400)[0]
    data = tiff(mosaic, resolution=(1 / 5e-4, 1 / 5e-4), resolutionunit="CENTIMETER", metadata=None)
    stack = read(data)
    assert stack.axis == "none" and stack.spacing_um == pytest.approx((5.0, 5.0))
    assert notes.MOSAIC in stack.notes and notes.NO_DEPTH_OF_ONE in stack.notes


def test_dicom_gives_depth_size_wavelength_and_bits() -> None:
    data = dicom(
        planes(np.uint16),
        SharedFunctionalGroupsSequence=measures(0.0005, 0.00025),
        PerFrameFunctionalGroupsSequence=depths(0.03, 0.01, 0.12),
        OpticalPathSequence=[{"0022,0055": "FL 830"}],
    )
    stack = read(data)
    assert np.array_equal(stack.values[..., 0], planes(np.uint16).astype(np.float32))
    assert stack.positions == pytest.approx((30.0, 10.0, 120.0)) and stack.axis == "depth"
    assert stack.spacing_um == pytest.approx((0.5, 0.25)) and stack.bits == 16
    assert (stack.channels[0].value, stack.channels[0].unit) == (830.0, "nm")
    assert notes.NO_DEPTH not in stack.notes


def test_one_depth_and_offsets_give_every_depth_with_a_note() -> None:
    data = dicom(
        planes(),
        ImageAcquisitionDepth="FD 0.02",
        PerFrameFunctionalGroupsSequence=offsets(5.0, 0.0, -20.0),
    )
    stack = read(data)
    assert stack.positions == pytest.approx((20.0, 25.0, 45.0))
    assert any("first frame" in note for note in stack.notes)


def test_offsets_without_a_depth_are_no_depth() -> None:
    data = dicom(planes(), PerFrameFunctionalGroupsSequence=offsets(0.0, 3.0, 6.0))
    assert read(data).positions == (None,) * 3


def test_a_tiled_image_is_of_tiles_and_a_movie_is_refused() -> None:
    tiled = read(dicom(planes(number=4), TILED, DimensionOrganizationType="CS TILED_FULL"))
    assert tiled.axis == "tile" and tiled.positions == () and notes.MOSAIC in tiled.notes
    with pytest.raises(errors.MultiFrame, match="movie"):
        read(dicom(planes(), FrameTime="DS 100"))


def test_black_as_the_highest_number_is_turned_round() -> None:
    stack = read(dicom(planes(), PhotometricInterpretation="CS MONOCHROME1"))
    assert np.array_equal(stack.values[..., 0], (255 - planes()).astype(np.float32))


def test_fluorescence_is_refused_and_an_unsaid_mode_noted() -> None:
    with pytest.raises(errors.UnsupportedPixels, match="reflectance"):
        read(dicom(planes(), ConfocalMode="CS FLUORESCENCE"))
    assert any(
        "does not say that it is of reflectance" in n for n in read(dicom(planes(), ConfocalMode="CS")).notes
    )


FAULTS = (
    "no image",
    "nothing",
    "cut within a page",
    "cut within compressed data",
    "pages of two sizes",
    "floating point",
    "two bits",
    "more pixels than are read",
    "too few pixels",
    "DICOM cut short",
    "DICOM of another kind",
    "a depth that is no number",
    "a pixel of no size",
    "groups of another number",
)


def hostile() -> dict[str, tuple[bytes, type[errors.InputError]]]:
    whole, deep = tiff(planes()), tiff(planes(), compression="zlib")
    twice = io.BytesIO()
    with tifffile.TiffWriter(twice) as file:
        file.write(planes(number=1)[0])
        file.write(planes(number=1, height=90)[0])
    far = depths(0.01, float("nan"), 0.02)
    small = dicom(planes())
    bomb = bytearray(tiff(planes(number=1)[0]))
    for tag, value in ((256, 60_000), (257, 60_000)):  # width and height, as LONG or SHORT
        at = bomb.find(tag.to_bytes(2, "little"), 8)
        bomb[at + 8 : at + 12] = value.to_bytes(4, "little")
    return {
        "no image": (b"this is no image", errors.UnsupportedFormat),
        "nothing": (b"", errors.EmptyInput),
        "cut within a page": (whole[: len(whole) // 2], errors.CorruptImage),
        "cut within compressed data": (deep[: len(deep) - 3000], errors.CorruptImage),
        "pages of two sizes": (twice.getvalue(), errors.CorruptImage),
        "floating point": (tiff(planes().astype(np.float32)), errors.UnsupportedPixels),
        "two bits": (tiff(planes() > 9), errors.UnsupportedPixels),
        "more pixels than are read": (bytes(bomb), errors.ImageTooLarge),
        "too few pixels": (tiff(planes(height=40)), errors.ImageTooSmall),
        "DICOM cut short": (small[: len(small) - 500], errors.CorruptImage),
        "DICOM of another kind": (
            dicom(planes(), "1.2.840.10008.5.1.4.1.1.77.1.4"),
            errors.UnsupportedFormat,
        ),
        "a depth that is no number": (
            dicom(planes(), PerFrameFunctionalGroupsSequence=far),
            errors.CorruptImage,
        ),
        "a pixel of no size": (
            dicom(planes(), SharedFunctionalGroupsSequence=measures(0.0, 0.001)),
            errors.CorruptImage,
        ),
        "groups of another number": (
            dicom(planes(), PerFrameFunctionalGroupsSequence=depths(0.1)),
            errors.CorruptImage,
        ),
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_a_hostile_file_is_a_typed_error(fault: str) -> None:
    data, wanted = hostile()[fault]
    with pytest.raises(wanted) as caught:
        read(data)
    assert type(caught.value) is wanted


def test_a_path_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "stack.tif").write_bytes(tiff(planes()))
    assert len(read(tmp_path / "stack.tif").values) == 3


@pytest.mark.parametrize("seed", range(8))
def test_a_byte_that_was_changed_never_does_more_than_raise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(tiff(planes(np.uint16), compression="zlib"))
    for place in (*rng.integers(0, 200, 3), *rng.integers(0, len(data), 3)):
        data[place] = rng.integers(256)
    try:
        stack = read(bytes(data))
    except errors.InputError:
        return
    assert np.isfinite(stack.values).all()
