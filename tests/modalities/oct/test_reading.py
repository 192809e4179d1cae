"""Is a volume read as its scanner stored it, and is anything else refused by name?"""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from core.errors import CorruptImage, ImageTooLarge, InputError, UnsupportedFormat, UnsupportedPixels
from modalities.oct.recipe import read
from modalities.oct.simulate import draw
from tests.modalities.ultrasound.conftest import Make, dcmtk

__all__ = ["dcmtk"]  # a fixture
tifffile = pytest.importorskip("tifffile")

Volume = npt.NDArray[np.uint16]
OPHTHALMIC, WORDS = "1.2.840.10008.5.1.4.1.1.77.1.5.4", "1.2.840.10008.5.1.4.1.1.7.3"


@pytest.fixture
def deep() -> Volume:
    """Five slices of 40 rows and 64 columns, every number another."""
    return (np.arange(5 * 40 * 64, dtype=np.uint16) * 5).reshape(5, 40, 64)


def tiff(values: npt.NDArray[Any], **given: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **({"photometric": "minisblack"} | given))
    return buffer.getvalue()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_a_tiff_by_another_library_is_read_to_the_bit(deep: Volume, order: str, kind: Any) -> None:
    values = (deep % 251).astype(kind) if kind == np.uint8 else deep.astype(kind)
    stack = read(tiff(values, byteorder=order))
    assert (stack.values[..., 0] == values).all()
    assert stack.axis == "slice"
    assert stack.bits == {np.uint8: 8, np.uint16: 16, np.float32: None}[kind]
    assert (stack.spacing_um, stack.positions) == (None, (None,) * 5)
    assert any("no physical size" in note for note in stack.notes)
    assert any("no distance between" in note for note in stack.notes)


@pytest.mark.parametrize("packing", ["deflate", "lzw"])
def test_lossless_packing_changes_no_bit(deep: Volume, packing: str) -> None:
    if packing == "lzw":
        pages = [Image.fromarray(plane) for plane in deep]
        buffer = io.BytesIO()
        pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw")
        data = buffer.getvalue()
    else:
        data = tiff(deep, compression="zlib")
    assert (read(data).values[..., 0] == deep).all()


def test_distances_come_from_the_description_of_imagej(deep: Volume) -> None:
    data = tiff(
        deep,
        imagej=True,
        resolution=(1 / 4.5, 1 / 9.0),
        metadata={"unit": "um", "spacing": 50, "axes": "ZYX"},
    )
    stack = read(data)
    assert stack.spacing_um == (pytest.approx(9, rel=1e-4), pytest.approx(4.5, rel=1e-4))
    assert stack.positions == (0, 50, 100, 150, 200)
    assert stack.notes == ()


def test_distances_come_from_ome(deep: Volume) -> None:
    about = {"axes": "ZYX", "PhysicalSizeX": 4.5, "PhysicalSizeY": 0.009, "PhysicalSizeYUnit": "mm",
             "PhysicalSizeZ": 50}  # fmt: skip
    stack = read(tiff(deep, ome=True, metadata=about))
    assert stack.spacing_um == (pytest.approx(9), pytest.approx(4.5))
    assert stack.positions[-1] == 200


def test_a_resolution_in_inches_is_that_of_a_printer_and_one_in_centimetres_counts(deep: Volume) -> None:
    assert read(tiff(deep, resolution=(300, 300), resolutionunit="INCH")).spacing_um is None
    stack = read(tiff(deep, resolution=(2500, 1250), resolutionunit="CENTIMETER"))
    assert stack.spacing_um == (pytest.approx(8), pytest.approx(4))


def test_grey_as_rgb_is_grey_and_colour_is_refused(deep: Volume) -> None:
    grey = np.repeat((deep % 256).astype(np.uint8)[..., None], 3, axis=3)
    assert (read(tiff(grey, photometric="rgb")).values[..., 0] == grey[..., 0]).all()
    grey[..., 1] = 255 - grey[..., 1]
    with pytest.raises(UnsupportedPixels, match="colour"):
        read(tiff(grey, photometric="rgb"))


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "tif"])
def test_itk_and_we_agree_on_order_and_distances(deep: Volume, tmp_path: Path, ending: str) -> None:
    pytest.importorskip("nibabel")
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.GetImageFromArray(deep)
    image.SetSpacing((0.004, 0.008, 0.05))
    path = tmp_path / f"volume.{ending}"
    sitk.WriteImage(image, str(path))
    stack = read(path)
    assert (stack.values[..., 0] == deep).all()
    assert stack.bits == 16
    if ending != "tif":
        assert stack.spacing_um == (pytest.approx(8), pytest.approx(4))
        assert stack.positions == pytest.approx([0, 50, 100, 150, 200])


def test_numbers_of_nifti_are_scaled_as_its_header_says(deep: Volume, tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(deep.transpose(2, 1, 0), np.eye(4))
    image.header.set_slope_inter(0.5, 3)
    path = tmp_path / "scaled.nii"
    image.to_filename(path)
    raw = bytearray(path.read_bytes())
    raw[112:120] = struct.pack("<ff", 0.5, 3)
    stored = np.frombuffer(bytes(raw[352:]), np.uint16).reshape(5, 40, 64)
    stack = read(bytes(raw))
    assert (stack.values[..., 0] == stored * 0.5 + 3).all()
    assert stack.bits is None
    assert stack.spacing_um is None  # no unit was stored


def test_frames_of_dicom_are_put_by_their_places(dcmtk: Make, deep: Volume, tmp_path: Path) -> None:
    plain = read(
        dcmtk(deep, sop_class=WORDS, elements={"0018,0088": "DS 0.05", "0028,0030": "DS 0.008\\0.004"})
    )
    assert (plain.values[..., 0] == deep).all()
    assert plain.spacing_um == (pytest.approx(8), pytest.approx(4))
    assert plain.positions == pytest.approx([0, 50, 100, 150, 200])
    path = tmp_path / "placed.dcm"
    path.write_bytes(dcmtk(deep, sop_class=OPHTHALMIC))
    for k, y in enumerate((0.0, 0.2, 0.1, 0.3, 0.4)):
        place = f"(5200,9230)[{k}].(0020,9113)[0].(0020,0032)=1\\{y}\\3"
        subprocess.run(["dcmodify", "-nb", "-i", place, path], check=True, capture_output=True)
    placed = read(path)
    assert (placed.values[..., 0] == deep[[0, 2, 1, 3, 4]]).all()
    assert placed.positions == pytest.approx([0, 100, 200, 300, 400])
    assert any("order of their places" in note for note in placed.notes)


def test_the_simulator_writes_what_tifffile_and_we_read_alike() -> None:
    data = draw("nevus", np.random.default_rng(1))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert file.imagej_metadata["spacing"] == 120
        pages = np.stack([page.asarray() for page in file.pages])
    stack = read(data)
    assert (stack.values[..., 0] == pages).all()
    assert stack.spacing_um == (pytest.approx(8), pytest.approx(25))


def test_a_file_cut_anywhere_is_a_typed_error(deep: Volume) -> None:
    pytest.importorskip("nibabel")
    nifti = bytearray(352) + bytes(deep.tobytes())
    struct.pack_into("<i", nifti, 0, 348)
    struct.pack_into("<8h", nifti, 40, 3, 64, 40, 5, 1, 1, 1, 1)
    struct.pack_into("<hh", nifti, 70, 512, 16)
    struct.pack_into("<f", nifti, 108, 352)
    nifti[344:348] = b"n+1\0"
    assert (read(bytes(nifti)).values[..., 0] == deep).all()
    for whole in (tiff(deep), tiff(deep, compression="zlib"), bytes(nifti), gzip.compress(bytes(nifti))):
        for size in (1, 4, 9, 200, 349, len(whole) // 2, len(whole) - 60):
            with pytest.raises(InputError):
                read(whole[:size])


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    pytest.importorskip("nibabel")
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 30000, 30000, 30000, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, 512, 16)
    header[344:348] = b"n+1\0"
    for data in (bytes(header), gzip.compress(bytes(header))):
        with pytest.raises(ImageTooLarge):
            read(data)
    buffer = io.BytesIO()
    pages = [Image.new("L", (9000, 9000)) for _ in range(2)]
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_adobe_deflate")
    assert len(buffer.getvalue()) < 1_000_000
    with pytest.raises(ImageTooLarge):
        read(buffer.getvalue())


def test_pages_that_differ_are_no_volume() -> None:
    buffer = io.BytesIO()
    Image.new("L", (64, 64)).save(buffer, "TIFF", save_all=True, append_images=[Image.new("L", (64, 65))])
    with pytest.raises(CorruptImage, match="several sizes"):
        read(buffer.getvalue())


def test_numbers_that_are_none_are_damage(deep: Volume) -> None:
    broken = deep.astype(np.float32)
    broken[2, 3, 4] = np.nan
    with pytest.raises(CorruptImage, match="not finite"):
        read(tiff(broken))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"photometric": "miniswhite"}, UnsupportedPixels),
        ({"extratags": [(274, 3, 1, 6, True)]}, UnsupportedPixels),
    ],
)
def test_what_would_need_a_guess_is_refused(
    deep: Volume, given: dict[str, Any], fault: type[InputError]
) -> None:
    with pytest.raises(fault):
        read(tiff(deep, **given))


@pytest.mark.parametrize("kind", [np.int32, np.complex64, np.float64])
def test_other_samples_are_refused(deep: Volume, kind: Any) -> None:
    with pytest.raises(InputError):
        read(tiff(deep.astype(kind)))


@pytest.mark.parametrize("data", [b"", b"II*\0", b"hello" * 100, b"\x1f\x8b" + bytes(90), bytes(2000)])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        read(data)


def test_an_ultrasound_dicom_is_of_another_kind(dcmtk: Make, deep: Volume) -> None:
    with pytest.raises(UnsupportedFormat, match="Ophthalmic"):
        read(dcmtk(deep))
