"""Is an IPASC file read as it was written, by the reference implementation of the format for one?"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from core.errors import (
    CorruptImage,
    DxtreeError,
    EmptyInput,
    ImageTooLarge,
    UnsupportedFormat,
    UnsupportedPixels,
)
from modalities.photoacoustic.reader import parse, read
from modalities.photoacoustic.simulate import MELANOMA, draw
from modalities.stacks.limits import LIMITS

WAVELENGTHS = np.array([850.0, 700.0, 760.0, 800.0])


def image(frames: int = 2) -> np.ndarray:
    """Width, depth, wavelengths, frames."""
    return np.random.default_rng(0).normal(size=(20, 32, 4, frames))


def written_by_reference(folder: Path, data: np.ndarray, **changed: Any) -> bytes:
    """By pacfish, the reference implementation of IPASC, through its own classes."""
    pytest.importorskip("matplotlib")
    pacfish = pytest.importorskip("pacfish")
    tags = pacfish.MetadataAcquisitionTags
    device = pacfish.DeviceMetaDataCreator()
    device.set_general_information(uuid="device", fov=np.array([0, 0.01, 0, 0, 0, 0.008]))
    told = {
        tags.DIMENSIONALITY.tag: "space",
        tags.SIZES.tag: np.array(data.shape),
        tags.ACQUISITION_WAVELENGTHS.tag: WAVELENGTHS * 1e-9,
        tags.MEASUREMENT_TIMESTAMPS.tag: np.array([0.0, 8640.0][: data.shape[3]]),
        tags.UUID.tag: "image",
        tags.ENCODING.tag: "raw",
        tags.COMPRESSION.tag: "none",
        tags.DATA_TYPE.tag: str(data.dtype),
        tags.AD_SAMPLING_RATE.tag: 4e7,
        **changed,
    }
    whole = pacfish.PAData(data, told, device.finalize_device_meta_data())
    assert pacfish.ConsistencyChecker().check_acquisition_meta_data(whole.meta_data_acquisition)
    path = folder / "image.hdf5"
    pacfish.write_data(str(path), whole)
    return path.read_bytes()


def changed(data: bytes, change: Any) -> bytes:
    target = io.BytesIO(data)
    with h5py.File(target, "r+") as file:
        change(file)
    return target.getvalue()


def replaced(name: str, value: Any) -> Any:
    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        if value is not None:
            file[name] = value

    return change


@pytest.fixture(scope="module")
def drawn() -> bytes:
    return draw(MELANOMA, np.random.default_rng(0))


def test_a_file_of_the_reference_implementation_is_read_right(tmp_path: Path) -> None:
    data = image()
    stack = read(written_by_reference(tmp_path, data))
    assert stack.values.shape == (2, 32, 20, 4)
    assert np.allclose(stack.values, data.transpose(3, 1, 0, 2).astype(np.float32))
    assert [c.value for c in stack.channels] == list(WAVELENGTHS)
    assert {c.unit for c in stack.channels} == {"nm"}
    assert stack.spacing_um == pytest.approx((250.0, 500.0))
    assert (stack.axis, stack.positions, stack.bits) == ("time", (0.0, 0.1), None)


def test_whole_numbers_keep_their_bit_depth(tmp_path: Path) -> None:
    data = (image(1) * 1000).astype(np.int16)
    stack = read(written_by_reference(tmp_path, data))
    assert stack.bits == 16
    assert (stack.values[0, 3, 5] == data[5, 3, :, 0]).all()
    assert (stack.axis, stack.positions) == ("none", ())


def test_a_path_is_read_as_its_bytes_are(drawn: bytes, tmp_path: Path) -> None:
    path = tmp_path / "drawn.hdf5"
    path.write_bytes(drawn)
    assert (read(path).values == read(drawn).values).all()


def test_raw_time_series_are_refused_with_the_remedy(drawn: bytes) -> None:
    with pytest.raises(UnsupportedPixels, match="reconstruct the time"):
        read(changed(drawn, replaced("meta_data/dimensionality", "time")))


@pytest.mark.parametrize(
    ("name", "value", "fault", "said"),
    [
        ("meta_data/acquisition_wavelengths", None, UnsupportedPixels, "acquisition_wavelengths"),
        ("meta_data/acquisition_wavelengths", [7e-7], CorruptImage, "number of wavelengths"),
        ("meta_data/sizes", [3, 3, 3], CorruptImage, "sizes"),
        ("meta_data/dimensionality", None, UnsupportedPixels, "space"),
        ("meta_data", None, UnsupportedFormat, "IPASC"),
        ("binary_time_series_data", None, UnsupportedFormat, "IPASC"),
        ("binary_time_series_data", np.zeros((20, 32)), CorruptImage, "axes"),
        ("binary_time_series_data", np.zeros((20, 0, 4, 1)), CorruptImage, "announces no"),
    ],
)
def test_what_is_missing_or_contradicts_is_a_typed_error(
    drawn: bytes, name: str, value: Any, fault: type[DxtreeError], said: str
) -> None:
    with pytest.raises(fault, match=said):
        parse(changed(drawn, replaced(name, value)), LIMITS)


def test_wavelengths_in_another_unit_than_the_format_has_are_refused(drawn: bytes) -> None:
    def in_nanometres(file: h5py.File) -> None:
        file["meta_data/acquisition_wavelengths"][...] *= 1e9

    with pytest.raises(UnsupportedPixels, match="in m"):
        parse(changed(drawn, in_nanometres), LIMITS)


def test_distances_that_are_not_given_stay_unknown_and_are_noted(drawn: bytes) -> None:
    for value in (None, [0, 0.01, 0, 0.01, 0, 0.01]):
        stack = parse(changed(drawn, replaced("meta_data_device/general/field_of_view", value)), LIMITS)
        assert stack.spacing_um is None
        assert any("distances are not known" in note for note in stack.notes)


def test_a_wavelength_without_tabulated_spectra_is_noted(drawn: bytes) -> None:
    def beyond(file: h5py.File) -> None:
        file["meta_data/acquisition_wavelengths"][0] = 1.064e-6

    assert any("1064 nm" in note for note in parse(changed(drawn, beyond), LIMITS).notes)


def test_numbers_that_are_not_finite_are_refused(drawn: bytes) -> None:
    def poisoned(file: h5py.File) -> None:
        file["binary_time_series_data"][0, 0, 0, 0] = np.nan

    with pytest.raises(CorruptImage, match="not finite"):
        read(changed(drawn, poisoned))


def test_a_bomb_is_refused_from_its_header(drawn: bytes) -> None:
    def bomb(file: h5py.File) -> None:
        del file["binary_time_series_data"]
        file.create_dataset("binary_time_series_data", (10_000, 10_000, 4, 8), "f8", chunks=(100, 100, 4, 1))

    with pytest.raises(ImageTooLarge):
        read(changed(drawn, bomb))


@pytest.mark.parametrize("kept", [0, 4, 600, 3000, 100_000])
def test_a_truncated_file_is_a_typed_error(drawn: bytes, kept: int) -> None:
    with pytest.raises((EmptyInput, UnsupportedFormat, CorruptImage)):
        read(drawn[:kept])


def test_a_picture_is_no_photoacoustic_file() -> None:
    with pytest.raises(UnsupportedFormat):
        read(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + bytes(40))
