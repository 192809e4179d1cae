"""Does a grey, deep or indexed frame look as the standard says?"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from core.errors import CorruptImage, UnsupportedPixels
from modalities.dicom import DicomReader

Make = Callable[..., bytes]
Grey = npt.NDArray[Any]

CENTRE, WIDTH, FUNCTION, SLOPE, INTERCEPT = 0x00281050, 0x00281051, 0x00281056, 0x00281053, 0x00281052
KIND, STORED, HIGH = 0x00280004, 0x00280101, 0x00280102


def shown(reader: DicomReader, file: bytes) -> Grey:
    """The grey levels of the picture; every channel must hold them."""
    pixels = np.asarray(Image.open(io.BytesIO(reader.read(file).pictures[0])))
    assert np.array_equal(pixels[..., 0], pixels[..., 1])
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    return pixels[..., 0].astype(int)


@pytest.fixture(scope="module")
def ramp() -> Grey:
    """Every 16-bit value that is a multiple of 16."""
    return np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)


def linear(x: float, centre: float, width: float) -> float:
    """The standard's own pseudo-code, PS3.3 C.11.2.1.2.1, to an output from 0 to 255."""
    if x <= centre - 0.5 - (width - 1) / 2:
        return 0
    if x > centre - 0.5 + (width - 1) / 2:
        return 255
    return ((x - (centre - 0.5)) / (width - 1) + 0.5) * 255


@pytest.mark.parametrize(
    ("centre", "width"), [(3000, 2000), (32768, 65536), (1000, 41), (500.5, 1), (-10, 2.5)]
)
def test_a_window_is_the_standards_linear_function(
    reader: DicomReader, make: Make, ramp: Grey, centre: float, width: float
) -> None:
    found = shown(reader, make(ramp, {CENTRE: ("DS", centre), WIDTH: ("DS", width)}))
    wanted = np.array([linear(x, centre, width) for x in ramp.ravel()]).reshape(ramp.shape)
    assert np.abs(found - wanted).max() <= 0.5 + 1e-9


def test_the_first_of_several_windows_counts(reader: DicomReader, make: Make, ramp: Grey) -> None:
    one = make(ramp, {CENTRE: ("DS", 3000), WIDTH: ("DS", 2000)})
    two = make(ramp, {CENTRE: ("DS", "3000\\9"), WIDTH: ("DS", "2000\\9")})
    assert np.array_equal(shown(reader, one), shown(reader, two))


def test_the_other_window_functions_are_the_standards(reader: DicomReader, make: Make, ramp: Grey) -> None:
    window = {CENTRE: ("DS", 3000), WIDTH: ("DS", 2000)}
    exact = shown(reader, make(ramp, window | {FUNCTION: ("CS", "LINEAR_EXACT")}))
    assert np.abs(exact - 255 * np.clip((ramp - 3000.0) / 2000 + 0.5, 0, 1)).max() <= 0.5 + 1e-9
    sigmoid = shown(reader, make(ramp, window | {FUNCTION: ("CS", "SIGMOID")}))
    wanted = [255 / (1 + math.exp(min(-4 * (x - 3000) / 2000, 700))) for x in map(float, ramp.ravel())]
    assert np.abs(sigmoid.ravel() - wanted).max() <= 0.5 + 1e-9
    with pytest.raises(UnsupportedPixels, match="VOI LUT function"):
        reader.read(make(ramp, window | {FUNCTION: ("CS", "CUBIC")}))
    with pytest.raises(CorruptImage, match="width"):
        reader.read(make(ramp, window | {WIDTH: ("DS", 0)}))


def test_rescaling_comes_before_the_window(reader: DicomReader, make: Make, ramp: Grey) -> None:
    rescaled = {SLOPE: ("DS", 2), INTERCEPT: ("DS", -1000), CENTRE: ("DS", 3000), WIDTH: ("DS", 2000)}
    wanted = np.array([linear(2.0 * x - 1000, 3000, 2000) for x in ramp.ravel()]).reshape(ramp.shape)
    assert np.abs(shown(reader, make(ramp, rescaled)) - wanted).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("extra", [{}, {SLOPE: ("DS", -3), INTERCEPT: ("DS", 9)}])
def test_without_a_window_the_whole_range_of_the_stored_bits_is_shown(
    reader: DicomReader, make: Make, ramp: Grey, extra: dict[int, Any]
) -> None:
    twelve = (ramp >> 4).astype(np.uint16)
    found = shown(reader, make(twelve, {STORED: ("US", 12), HIGH: ("US", 11)} | extra))
    wanted = 255.0 * twelve / 4095
    assert np.abs(found - (255 - wanted if extra else wanted)).max() <= 0.5 + 1e-9


def test_signed_values_are_shown_from_their_least_to_their_most(
    reader: DicomReader, make: Make, ramp: Grey
) -> None:
    signed = (ramp.astype(np.int32) - 32768).astype(np.int16)
    assert np.abs(shown(reader, make(signed)) - 255.0 * ramp / 65535).max() <= 0.5 + 1e-9


def test_a_table_of_values_of_interest_is_looked_up(reader: DicomReader, make: Make) -> None:
    grey = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    table = (255 - np.arange(256)).astype("<u2").tobytes()
    lut = {0x00283010: ("SQ", [{0x00283002: ("US", (256, 0, 8)), 0x00283006: ("OW", table)}])}
    assert np.array_equal(shown(reader, make(grey, lut)), 255 - grey)


def test_monochrome1_is_dark_where_values_are_high(reader: DicomReader, make: Make) -> None:
    grey = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    assert np.array_equal(shown(reader, make(grey)), grey)
    assert np.array_equal(shown(reader, make(grey, {KIND: ("CS", "MONOCHROME1")})), 255 - grey)


def test_colour_of_sixteen_bits_keeps_its_highest_eight(
    reader: DicomReader, make: Make, colours: npt.NDArray[np.uint8]
) -> None:
    deep = (colours.astype(np.uint16) << 8) + 200
    found = np.asarray(Image.open(io.BytesIO(reader.read(make(deep)).pictures[0])))
    assert np.array_equal(found, colours)


def test_indexed_colour_is_looked_up(reader: DicomReader, make: Make) -> None:
    index = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    rng = np.random.default_rng(5)
    tables = rng.integers(0, 256, (3, 256))
    elements: dict[int, Any] = {KIND: ("CS", "PALETTE COLOR")}
    for channel in range(3):
        elements[0x00281101 + channel] = ("US", (256, 0, 16))
        elements[0x00281201 + channel] = ("OW", (tables[channel] << 8).astype("<u2").tobytes())
    found = np.asarray(Image.open(io.BytesIO(reader.read(make(index, elements)).pictures[0])))
    assert np.array_equal(found, tables.T[index])


def test_what_cannot_be_shown_without_guessing_is_refused(
    reader: DicomReader, make: Make, ramp: Grey, colours: npt.NDArray[np.uint8]
) -> None:
    with pytest.raises(UnsupportedPixels, match="photometric"):
        reader.read(make(colours, {KIND: ("CS", "CMYK")}))
    with pytest.raises(UnsupportedPixels, match="bits"):
        reader.read(make(ramp, {STORED: ("US", 4), HIGH: ("US", 3)}))


def test_pixels_that_are_not_square_are_noticed(reader: DicomReader, make: Make, ramp: Grey) -> None:
    assert "pixel_aspect" in reader.read(make(ramp, {0x00280034: ("IS", "2\\1")})).remarks
    assert "pixel_aspect" not in reader.read(make(ramp, {0x00280034: ("IS", "1\\1")})).remarks
