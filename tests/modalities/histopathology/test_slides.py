"""Are real slides read as they are, and is everything else refused by name?"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from core.errors import (
    CorruptImage,
    EmptyInput,
    ImageTooLarge,
    InputError,
    PathRejected,
    UnsupportedFormat,
    UnsupportedPixels,
)
from modalities.histopathology.reader import LIMITS, read, read_slide
from modalities.histopathology.simulate import as_slide, draw_section
from modalities.images.limits import MIB, Limits
from modalities.stacks.stack import Stack

Pixels = npt.NDArray[np.uint8]
Save = Callable[..., Path]
TILE = 256
COLOURS = ((200, 60, 120), (120, 50, 160), (230, 120, 180), (90, 40, 120), (210, 90, 90), (160, 60, 200))
MORTON = (0, 1, 4, 5, 2, 3)
"""Blocks of the first two rows, neighbours together."""


@pytest.fixture
def blocks() -> Pixels:
    """Three rows of four blocks of 256 pixels: glass all around but for the first six, each of its colour,
    the left upper quarter of each darker by half.
    """
    picture = np.full((3 * TILE, 4 * TILE, 3), 243, np.uint8)
    for k, colour in enumerate(COLOURS):
        top, left = k // 4 * TILE, k % 4 * TILE
        picture[top : top + TILE, left : left + TILE] = colour
        picture[top : top + TILE // 2, left : left + TILE // 2] //= 2
    return picture


def assert_blocks(stack: Stack, off: float) -> None:
    """Each tile has its block's colour, and a darker left upper quarter: neither turned nor mirrored."""
    assert stack.axis == "tile"
    assert stack.spacing_um == (1.0, 1.0)
    assert stack.bits == 8
    assert [c.name for c in stack.channels] == ["red", "green", "blue"]
    assert stack.values.shape == (len(COLOURS), 128, 128, 3)
    for tile, block in zip(stack.values, MORTON, strict=True):
        colour = np.array(COLOURS[block])
        np.testing.assert_allclose(tile[68:124, 4:124].mean((0, 1)), colour, atol=off)
        np.testing.assert_allclose(tile[4:60, 68:124].mean((0, 1)), colour, atol=off)
        np.testing.assert_allclose(tile[4:60, 4:60].mean((0, 1)), colour // 2, atol=off)


@pytest.mark.parametrize(
    "options",
    [{}, {"bigtiff": True}, {"compression": "jpeg", "Q": 95}, {"pyramid": False}, {"compression": "lzw"}],
    ids=["classic", "big", "jpeg", "one level", "lzw"],
)
def test_a_tiled_tiff_is_read_at_one_micrometre_a_pixel(
    by_vips: Save, blocks: Pixels, options: dict[str, Any]
) -> None:
    stack = read(by_vips(blocks, **options))
    assert_blocks(stack, 4 if "Q" in options else 0.01)
    assert "0.500 x 0.500 micrometres a pixel: 6 of 6 tiles" in stack.notes[0]


def test_an_aperio_slide_is_read_by_its_own_header(by_vips: Save, blocks: Pixels) -> None:
    path = by_vips(blocks, um=None, about="Aperio Image Library v12.0\n1024x768|AppMag = 20|MPP = 0.5000")
    stack = read(path)
    assert_blocks(stack, 0.01)
    assert stack.notes[0].startswith("Aperio SVS")


def test_a_dicom_slide_is_read(by_pydicom: Save, blocks: Pixels) -> None:
    stack = read(by_pydicom(blocks))
    assert_blocks(stack, 6)
    assert stack.notes[0].startswith("DICOM")


def test_bytes_give_what_the_path_gives(by_vips: Save, by_pydicom: Save, blocks: Pixels) -> None:
    for path in (by_vips(blocks), by_pydicom(blocks)):
        np.testing.assert_array_equal(read(path.read_bytes()).values, read(path).values)


def test_a_dicom_slide_of_bytes_sees_no_other_file(
    by_pydicom: Save, blocks: Pixels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = tmp_path / "temporary"
    kept.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(kept))
    data = by_pydicom(blocks).read_bytes()
    assert_blocks(read(data), 6)
    assert not list(kept.iterdir())


def test_a_coarse_level_is_not_used_for_fine_tiles(by_vips: Save, blocks: Pixels) -> None:
    fine = np.kron(np.indices((384, 512)).sum(0) % 2, np.ones((2, 2), int)).astype(np.uint8)[..., None]
    stack = read(by_vips(np.where(fine == 1, [200, 60, 120], [100, 30, 60]).astype(np.uint8)))
    values = stack.values[0, :, :, 0]
    assert set(np.unique(values)) == {100, 200}  # one square of the board is one pixel of a tile


@pytest.mark.parametrize("um", [None, 352.8, 0.001], ids=["not said", "72 dpi", "beyond light"])
def test_a_slide_without_a_microscopes_resolution_is_refused(
    by_vips: Save, blocks: Pixels, um: float | None
) -> None:
    with pytest.raises(UnsupportedPixels, match="micrometres"):
        read(by_vips(blocks, um=um))


def test_a_dicom_slide_without_pixel_spacing_is_refused(by_pydicom: Save, blocks: Pixels) -> None:
    with pytest.raises(InputError):
        read(by_pydicom(blocks, um=None))


def test_inches_count_as_well(by_vips: Save, blocks: Pixels) -> None:
    assert_blocks(read(by_vips(blocks, resunit="inch")), 0.01)


def test_nothing_is_enlarged(by_vips: Save, blocks: Pixels) -> None:
    with pytest.raises(UnsupportedPixels, match="or finer is needed"):
        read(by_vips(blocks, um=2.0))


@pytest.mark.parametrize("grey", [245, 0, 128])
def test_a_slide_without_tissue_is_refused(by_vips: Save, blocks: Pixels, grey: int) -> None:
    noise = np.random.default_rng(0).integers(-3, 4, blocks.shape)
    with pytest.raises(EmptyInput, match="no stained tissue"):
        read(
            by_vips(
                np.clip(np.full_like(blocks, grey) + noise.mean(-1, keepdims=True), 0, 255).astype(np.uint8)
            )
        )


def test_a_slide_smaller_than_a_tile_is_refused(by_vips: Save, blocks: Pixels) -> None:
    with pytest.raises(EmptyInput, match="smaller than one tile"):
        read(by_vips(np.ascontiguousarray(blocks[:200])))


def test_memory_is_bounded_by_what_is_read_and_not_by_the_slide(by_vips: Save) -> None:
    tile = np.full((256, 256, 3), 240, np.uint8)
    tile[:200, :200] = (200, 60, 120)
    pixels = np.tile(tile, (36, 36, 1))  # 255 MB decoded
    path = by_vips(pixels, um=0.25)
    del pixels
    stack = read_slide(path, limits=Limits(**{**vars(LIMITS), "memory_bytes": 256 * MIB}))
    assert len(stack.values) == 12


def test_a_large_slide_without_small_levels_is_refused(by_vips: Save, blocks: Pixels) -> None:
    path = by_vips(blocks, pyramid=False)
    with pytest.raises(ImageTooLarge, match="pyramid"):
        read_slide(path, limits=Limits(**{**vars(LIMITS), "max_pixels": 500_000}))


def test_a_tiff_that_is_not_tiled_is_refused(tmp_path: Path, blocks: Pixels) -> None:
    path = tmp_path / "strips.tif"
    Image.fromarray(blocks).save(path, dpi=(50800, 50800))
    with pytest.raises(UnsupportedFormat, match="tiled"):
        read(path)


def test_other_files_are_refused(tmp_path: Path, blocks: Pixels) -> None:
    png = io.BytesIO()
    Image.fromarray(blocks).save(png, "PNG")
    for data in (png.getvalue(), b"II*\0" + bytes(200), bytes(128) + b"DICM" + bytes(40), b"hello"):
        with pytest.raises((UnsupportedFormat, CorruptImage)):
            read(data)
    with pytest.raises(EmptyInput):
        read(b"")


def test_a_format_of_many_files_is_refused(tmp_path: Path) -> None:
    index = tmp_path / "slide.mrxs"
    index.write_bytes(b"\xff\xd8\xff")
    (tmp_path / "slide").mkdir()
    (tmp_path / "slide" / "Slidedat.ini").write_text("[GENERAL]\n")
    with pytest.raises(UnsupportedFormat):
        read(index)


def test_what_is_no_regular_file_is_rejected(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe, tmp_path / "missing", Path("\0")):
        with pytest.raises(PathRejected) as caught:
            read(path)
        assert str(tmp_path) not in caught.value.safe_message


def test_a_slide_cut_short_is_an_error_of_its_own(by_vips: Save, blocks: Pixels) -> None:
    data = by_vips(blocks).read_bytes()
    for share in (0.01, 0.3, 0.6, 0.9, 0.99):
        with pytest.raises(InputError) as caught:
            read(data[: int(len(data) * share)])
        assert not isinstance(caught.value, PathRejected)


def test_damaged_slides_are_refused_or_read_and_never_stop_us() -> None:
    rng = np.random.default_rng(5)
    data = as_slide(draw_section("nevus", rng, width_um=400, height_um=300))
    head = np.frombuffer(data, np.uint8)
    places = np.concatenate([np.arange(0, 8), np.arange(len(head) - 1200, len(head)), np.arange(8, 600)])
    refused = 0
    for _ in range(60):
        hurt = head.copy()
        chosen = rng.choice(places, 4)
        hurt[chosen] = rng.integers(0, 256, 4)
        try:
            stack = read(hurt.tobytes())
        except InputError as error:
            assert "/" not in error.safe_message
            refused += 1
        else:
            assert len(stack.values) <= 12
    assert refused > 5


def test_a_dicom_slides_neighbours_change_nothing(by_pydicom: Save, blocks: Pixels) -> None:
    path = by_pydicom(blocks)
    shutil.copy(path, path.with_name("copy.txt"))
    (path.parent / "notes.txt").write_text("no DICOM")
    assert_blocks(read(path), 6)
