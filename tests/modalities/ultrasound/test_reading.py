"""Is a B-mode scan read as its scanner stored it, and is anything else refused by name?"""

from __future__ import annotations

import io
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from core.errors import (
    CorruptImage,
    ImageTooLarge,
    InputError,
    MultiFrame,
    UnsupportedFormat,
    UnsupportedPixels,
)
from modalities.ultrasound.recipe import read
from modalities.ultrasound.simulate import draw
from tests.modalities.ultrasound.conftest import SINGLE, Make, region

Frames = npt.NDArray[np.uint8]


def test_frames_are_read_with_values_spacing_order_and_times(dcmtk: Make, frames: Frames) -> None:
    data = dcmtk(frames, regions=[region((0, 95, 0, 127))], elements={"0018,1063": "DS 43.2"})
    stack = read(data)
    assert (stack.values[..., 0] == frames).all()
    assert stack.axis == "time"
    assert stack.positions == (0.0, pytest.approx(43.2e-3 / 86400))
    assert stack.spacing_um == (pytest.approx(10), pytest.approx(20))
    assert stack.bits == 8
    assert (stack.channels[0].value, stack.channels[0].unit) == (22.0, "MHz")
    assert stack.notes == ()


def test_only_the_region_is_taken_from_the_screen(dcmtk: Make, frames: Frames) -> None:
    stack = read(dcmtk(frames, regions=[region((10, 79, 20, 119))]))
    assert (stack.values[..., 0] == frames[:, 10:80, 20:120]).all()
    assert any("cut from the scanner's screen" in note for note in stack.notes)


def test_of_two_pictures_the_larger_one_is_read_and_doppler_is_not(dcmtk: Make, frames: Frames) -> None:
    small, large = region((0, 40, 0, 40)), region((42, 95, 0, 127))
    doppler = region((0, 95, 0, 127), **{"0018,6014": "US 2"})
    stack = read(dcmtk(frames, regions=[small, large, doppler]))
    assert (stack.values[..., 0] == frames[:, 42:]).all()
    assert any("2 B-mode pictures" in note for note in stack.notes)


def test_what_a_file_does_not_say_is_missing_and_noted(dcmtk: Make, frames: Frames) -> None:
    stack = read(dcmtk(frames))
    assert stack.spacing_um is None
    assert stack.channels[0].value is None
    assert stack.positions == (None, None)
    assert any("all of it was taken" in note for note in stack.notes)
    assert any("no transducer frequency" in note for note in stack.notes)


@pytest.mark.parametrize(
    "changes", [{"0018,6024": "US 4"}, {"0018,602c": ""}, {"0018,602e": "FD 0"}, {"0018,602c": "FD nan"}]
)
def test_a_distance_that_is_none_leaves_the_spacing_missing(
    dcmtk: Make, frames: Frames, changes: dict[str, str]
) -> None:
    assert read(dcmtk(frames, regions=[region((0, 95, 0, 127), **changes)])).spacing_um is None


def test_grey_stored_as_rgb_is_grey(dcmtk: Make, frames: Frames) -> None:
    rgb = np.repeat(frames[..., None], 3, axis=3)
    stack = read(dcmtk(rgb, kind="RGB", regions=[region((0, 95, 0, 127))]))
    assert (stack.values[..., 0] == frames).all()


def test_a_drawn_ruler_is_noted_and_a_colour_scale_refused(dcmtk: Make, frames: Frames) -> None:
    rgb = np.repeat(frames[..., None], 3, axis=3)
    ruler = rgb.copy()
    ruler[:, 50, 10:60] = (255, 200, 0)
    stack = read(dcmtk(ruler, kind="RGB", regions=[region((0, 95, 0, 127))]))
    assert any("drawn in colour" in note for note in stack.notes)
    assert (stack.values[:, 50, 10:60, 0] == 0).all()
    hot = rgb.copy()
    hot[..., 2] = 0
    with pytest.raises(UnsupportedPixels, match="in colour"):
        read(dcmtk(hot, kind="RGB", regions=[region((0, 95, 0, 127))]))


def test_sixteen_bits_stay_sixteen_bits(dcmtk: Make, frames: Frames) -> None:
    deep = frames.astype(np.uint16) * 250 + 7
    stack = read(dcmtk(deep, regions=[region((0, 95, 0, 127))]))
    assert (stack.values[..., 0] == deep).all()
    assert stack.bits == 16


def test_monochrome1_is_turned_round_and_noted(dcmtk: Make, frames: Frames) -> None:
    stack = read(dcmtk(frames, kind="MONOCHROME1", regions=[region((0, 95, 0, 127))]))
    assert (stack.values[..., 0] == 255 - frames.astype(int)).all()
    assert any("turned round" in note for note in stack.notes)


@pytest.mark.parametrize(("tool", "options"), [("dcmcrle", ()), ("dcmcjpeg", ("+e1",))])
def test_lossless_compression_changes_no_bit(
    dcmtk: Make, frames: Frames, tmp_path: Path, tool: str, options: tuple[str, ...]
) -> None:
    plain, packed = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    plain.write_bytes(dcmtk(frames, regions=[region((0, 95, 0, 127))]))
    if shutil.which(tool) is None:
        pytest.skip("DCMTK is not installed")
    subprocess.run([tool, *options, plain, packed], check=True, capture_output=True)
    if tool == "dcmcjpeg" and not any(map(find_spec, ("libjpeg", "gdcm"))):
        with pytest.raises(UnsupportedPixels, match="store it uncompressed"):
            read(packed.read_bytes())
        return
    assert (read(packed.read_bytes()).values[..., 0] == frames).all()


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_a_still_that_another_library_wrote_is_one_plane_without_a_size(
    frames: Frames, tmp_path: Path, ending: str
) -> None:
    sitk = pytest.importorskip("SimpleITK")
    path = tmp_path / f"still.{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(frames[0]), str(path))
    stack = read(path)
    assert (stack.values[0, ..., 0] == frames[0]).all()
    assert (stack.axis, stack.positions, stack.spacing_um) == ("none", (), None)


def test_the_simulator_writes_what_is_read() -> None:
    stack = read(draw("angioma", np.random.default_rng(1)))
    assert stack.values.shape[1:] == (256, 240, 1)
    assert stack.spacing_um == (pytest.approx(20), pytest.approx(40))


@pytest.mark.parametrize("box", [(0, 96, 0, 127), (50, 40, 0, 127), (0, 95, 0, 4000)])
def test_a_region_outside_the_picture_is_damage(dcmtk: Make, frames: Frames, box: tuple[int, ...]) -> None:
    with pytest.raises(CorruptImage, match="outside"):
        read(dcmtk(frames, regions=[region(box)]))


def test_regions_of_text_alone_are_no_b_mode(dcmtk: Make, frames: Frames) -> None:
    with pytest.raises(UnsupportedPixels, match="no B-mode"):
        read(dcmtk(frames, regions=[region((0, 95, 0, 127), **{"0018,6012": "US 0"})]))


def test_a_dermoscopic_dicom_image_is_of_another_kind(dcmtk: Make, frames: Frames) -> None:
    with pytest.raises(UnsupportedFormat, match="Ultrasound"):
        read(dcmtk(frames[:1], sop_class="1.2.840.10008.5.1.4.1.1.77.1.7"))


def test_a_file_cut_anywhere_is_a_typed_error(dcmtk: Make, frames: Frames) -> None:
    whole = dcmtk(frames, regions=[region((0, 95, 0, 127))])
    for size in (1, 131, 140, 200, 400, 700, len(whole) // 2, len(whole) - 1000):
        with pytest.raises(InputError):
            read(whole[:size])


@pytest.mark.parametrize(
    ("elements", "fault"),
    [
        ({"0028,0008": "IS 2000000"}, ImageTooLarge),
        ({"0028,0010": "US 60000", "0028,0011": "US 60000"}, ImageTooLarge),
        ({"0028,0008": "IS 0"}, CorruptImage),
        ({"0028,0008": "IS 7"}, CorruptImage),
        ({"0028,0010": ""}, CorruptImage),
        ({"0028,0103": "US 1"}, UnsupportedPixels),
        ({"0018,1063": "DS -4"}, CorruptImage),
    ],
)
def test_a_header_that_lies_is_a_typed_error(
    dcmtk: Make, frames: Frames, elements: dict[str, str], fault: type[InputError]
) -> None:
    with pytest.raises(fault):
        read(dcmtk(frames, elements=elements))


def test_random_bytes_in_place_of_the_data_set_are_a_typed_error(dcmtk: Make, frames: Frames) -> None:
    data = bytearray(dcmtk(frames[:1], sop_class=SINGLE, regions=[region((0, 95, 0, 127))]))
    rng = np.random.default_rng(0)
    for _ in range(12):
        broken = bytearray(data)
        for place in rng.integers(330, 900, size=30):
            broken[place] = int(rng.integers(256))
        try:
            read(bytes(broken))
        except InputError:
            continue


def test_an_animation_is_no_still() -> None:
    buffer = io.BytesIO()
    pages = [Image.new("L", (64, 64), k) for k in range(3)]
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(MultiFrame):
        read(buffer.getvalue())


@pytest.mark.parametrize("data", [b"", b"hello", bytes(500), b"PK\x03\x04" + bytes(100)])
def test_other_files_are_refused(data: Any) -> None:
    with pytest.raises(InputError):
        read(data)


def test_dcmtk_finds_no_fault_in_a_simulated_file(tmp_path: Path) -> None:
    if shutil.which("dcmdump") is None:
        pytest.skip("DCMTK is not installed")
    path = tmp_path / "drawn.dcm"
    for seed in range(4):
        path.write_bytes(draw("melanoma", np.random.default_rng(seed)))
        told = subprocess.run(["dcmdump", "+E", path], check=True, capture_output=True, text=True)
        assert "TransducerFrequency" in told.stdout
        assert told.stderr == ""
