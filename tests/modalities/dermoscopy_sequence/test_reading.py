"""Are dated pages of other programs read as they are, and is everything else refused by name?"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from core.errors import CorruptImage, ImageTooLarge, InputError, UnsupportedFormat, UnsupportedPixels
from modalities.dermoscopy_sequence.binding import bind
from modalities.dermoscopy_sequence.recipe import read
from modalities.dermoscopy_sequence.simulate import draw

Pixels = npt.NDArray[np.uint8]
DATES = ("2023:01:10 10:00:00", "2023:04:20 22:00:00", "2024:01:10 10:00:00")
DAYS = (0.0, 100.5, 365.0)


def page(seed: int, size: tuple[int, int] = (72, 96)) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def by_tifffile(pages: Sequence[npt.NDArray[Any]], dates: Sequence[str | None], **options: Any) -> bytes:
    """A TIFF by tifffile, which shares nothing with Pillow."""
    tifffile = pytest.importorskip("tifffile", reason="the extra slides is not installed")
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for pixels, date in zip(pages, dates, strict=True):
            given = {"photometric": "rgb"} | options
            writer.write(pixels, metadata=None, software=False, datetime=date, **given)
    return file.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "adobe_deflate"},
        {"tile": (16, 16)},
        {"planarconfig": "separate"},
        {"rowsperstrip": 7},
    ],
    ids=str,
)
def test_dated_pages_are_read_pixel_by_pixel(options: dict[str, Any]) -> None:
    pages = [page(k) for k in range(3)]
    given = [p.transpose(2, 0, 1) for p in pages] if "planarconfig" in options else pages
    stack = read(by_tifffile(given, DATES, **options))
    np.testing.assert_array_equal(stack.values, np.stack(pages))
    assert stack.axis == "time"
    assert stack.positions == DAYS
    assert stack.bits == 8
    assert [c.name for c in stack.channels] == ["red", "green", "blue"]
    assert stack.notes == ()


def test_pages_are_put_in_the_order_of_their_dates() -> None:
    pages = [page(k) for k in range(3)]
    stack = read(by_tifffile([pages[2], pages[0], pages[1]], [DATES[2], DATES[0], DATES[1]]))
    np.testing.assert_array_equal(stack.values, np.stack(pages))
    assert stack.positions == DAYS
    assert "order of their dates" in stack.notes[0]


@pytest.mark.parametrize("missing", [None, "0000:00:00 00:00:00", "2024:13:45 99:00:00"], ids=str)
def test_a_missing_date_stays_unknown_and_is_told(missing: str | None) -> None:
    pages = [page(k) for k in range(3)]
    stack = read(by_tifffile(pages, [DATES[0], missing, DATES[2]]))
    assert stack.positions == (0.0, None, 365.0)
    assert stack.notes[0].startswith("1 of 3 pages have no date")
    if missing:
        assert missing not in str(stack.notes)


def test_pages_without_any_date_keep_the_order_of_the_file() -> None:
    pages = [page(k) for k in range(2)]
    stack = read(by_tifffile(pages, [None, None]))
    np.testing.assert_array_equal(stack.values, np.stack(pages))
    assert stack.positions == (None, None)


def test_the_distance_of_pixels_is_taken_in_centimetres_only() -> None:
    pages = [page(k) for k in range(2)]
    told = by_tifffile(pages, DATES[:2], resolution=(200, 400), resolutionunit="CENTIMETER")
    assert read(told).spacing_um == (25.0, 50.0)  # rows, columns
    for options in (
        {"resolution": (72, 72), "resolutionunit": "INCH"},
        {"resolution": (1, 1), "resolutionunit": 3},
    ):
        assert read(by_tifffile(pages, DATES[:2], **options)).spacing_um is None


def test_pages_on_their_side_are_set_upright() -> None:
    pages = [page(k) for k in range(2)]
    turned = [np.ascontiguousarray(np.rot90(p)) for p in pages]  # orientation 6 turns them back
    stack = read(by_tifffile(turned, DATES[:2], extratags=[(274, 3, 1, 6, True)]))
    np.testing.assert_array_equal(stack.values, np.stack(pages))


@pytest.mark.parametrize(
    ("pages", "options"),
    [
        ([page(0), page(1, (96, 72))], {}),
        ([page(0), page(1)[..., 0]], {"photometric": None}),
        ([page(0).astype(np.uint16), page(1).astype(np.uint16)], {}),
        ([page(0).astype(np.float32), page(1).astype(np.float32)], {}),
    ],
    ids=["two sizes", "grey", "16 bits", "floats"],
)
def test_pages_that_cannot_be_taken_without_guessing_are_refused(
    pages: list[Any], options: dict[str, Any]
) -> None:
    with pytest.raises((UnsupportedPixels, UnsupportedFormat, CorruptImage)):
        read(by_tifffile(pages, DATES[:2], **options))


def test_what_is_no_sequence_is_refused() -> None:
    single, jpeg = io.BytesIO(), io.BytesIO()
    Image.fromarray(page(0)).save(single, "TIFF")
    Image.fromarray(page(0)).save(jpeg, "JPEG")
    for data in (
        single.getvalue(),
        jpeg.getvalue(),
        b"PK\x03\x04" + bytes(60),
        b"II*\0" + bytes(40),
        b"text",
    ):
        with pytest.raises((UnsupportedFormat, CorruptImage)):
            read(data)


def test_more_dates_or_pixels_than_may_be_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(ImageTooLarge):
        read(by_tifffile([page(0, (64, 64))] * 65, [None] * 65))
    with pytest.raises(InputError):
        read(by_tifffile([np.zeros((4700, 4700, 3), np.uint8)] * 2, [None] * 2, compression="adobe_deflate"))


def test_files_that_are_cut_short_or_damaged_are_errors_of_their_own() -> None:
    data = draw("nevus", np.random.default_rng(1))
    for share in (0.01, 0.4, 0.8, 0.99):
        with pytest.raises(InputError):
            read(data[: int(len(data) * share)])
    rng = np.random.default_rng(2)
    places = np.concatenate([np.arange(8), np.arange(len(data) - 600, len(data))])
    refused = 0
    for _ in range(60):
        hurt = np.frombuffer(data, np.uint8).copy()
        hurt[rng.choice(places, 4)] = rng.integers(0, 256, 4)
        try:
            read(hurt.tobytes())
        except InputError:
            refused += 1
    assert refused > 5


def test_bound_pictures_are_read_back() -> None:
    pages = [page(k) for k in range(3)]
    days = [datetime(2024, 1, 1), None, datetime(2024, 1, 31, 12)]
    stack = read(bind(list(zip(pages, days, strict=True))))
    np.testing.assert_array_equal(stack.values, np.stack(pages))
    assert stack.positions == (0.0, None, 30.5)


def test_pictures_of_several_sizes_are_not_bound() -> None:
    for pages in ([page(0)], [page(0), page(1, (73, 96))], [page(0)[..., 0]] * 2):
        with pytest.raises(InputError):
            bind([(p, None) for p in pages])
