"""Is a dotTHz scan read as it was written, by the format's own library for one?"""

from __future__ import annotations

import io
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
    MultiFrame,
    UnsupportedFormat,
    UnsupportedPixels,
)
from modalities.stacks.limits import LIMITS
from modalities.terahertz.reader import BANDS, parse, read
from modalities.terahertz.simulate import NEVUS, draw

TIME = np.arange(200) * 0.1


def pulse(delay: float = 8.0) -> np.ndarray:
    t = (TIME - delay) / 0.25
    return (1 - 2 * t**2) * np.exp(-(t**2))


def written_by_library(folder: Path, data: np.ndarray, told: dict[str, Any], mode: str) -> bytes:
    """By pydotthz, the library of the format's authors."""
    pydotthz = pytest.importorskip("pydotthz")
    path = folder / "scan.thz"
    about = pydotthz.DotthzMetaData(version="1.10", mode=mode, user="nobody")
    for name, value in told.items():
        about.add_field(name, value)
    with pydotthz.DotthzFile(path, "w") as file:
        file.create_group("Image")
        file["Image"].set_metadata(about)
        file["Image"]["time"] = TIME
        file["Image"]["dataset"] = data
        file["Image"]["Reference"] = np.array([TIME, pulse()]).T
    return path.read_bytes()


def changed(data: bytes, change: Any) -> bytes:
    target = io.BytesIO(data)
    with h5py.File(target, "r+") as file:
        change(file)
    return target.getvalue()


def replaced(name: str, value: Any) -> Any:
    def change(file: h5py.File) -> None:
        del file[f"Image/{name}"]
        if value is not None:
            file[f"Image/{name}"] = value

    return change


def told(name: str, value: Any) -> Any:
    def change(file: h5py.File) -> None:
        file["Image"].attrs[name] = value

    return change


@pytest.fixture(scope="module")
def drawn() -> bytes:
    return draw(NEVUS, np.random.default_rng(0))


def test_a_file_of_the_formats_own_library_is_read_right(tmp_path: Path) -> None:
    shares = np.random.default_rng(0).uniform(0.2, 0.5, (18, 24))
    late = np.zeros((18, 24))
    late[:9] = 0.05
    data = np.array([s * pulse(8.0 + d) for s, d in zip(shares.flat, late.flat, strict=True)])
    data = data.reshape(18, 24, len(TIME))
    fields = {"dx [mm]": 0.25, "dy [mm]": 0.5, "reference": "gold mirror"}
    stack = read(written_by_library(tmp_path, data, fields, "THz-TDS/Reflection"))
    assert stack.values.shape == (1, 24, 18, 12)
    assert stack.values[0, :, :, :6] == pytest.approx(np.repeat(shares.T[..., None], 6, axis=2), rel=1e-4)
    delayed = -2 * np.pi * np.array(BANDS) * 0.05
    assert stack.values[0, 3, 2, 6:] == pytest.approx(delayed, abs=1e-3)
    assert stack.values[0, 3, 12, 6:] == pytest.approx(np.zeros(6), abs=1e-4)
    assert [c.value for c in stack.channels] == [*BANDS, *BANDS]
    assert {c.unit for c in stack.channels} == {"THz"}
    assert stack.spacing_um == (500.0, 250.0)
    assert (stack.axis, stack.bits) == ("none", None)


def test_transmission_is_refused(tmp_path: Path) -> None:
    data = np.tile(pulse(), (18, 24, 1))
    with pytest.raises(UnsupportedPixels, match="reflection"):
        read(written_by_library(tmp_path, data, {"reference": "mirror"}, "THz-TDS/Transmission"))


@pytest.mark.parametrize(
    ("change", "fault", "said"),
    [
        (told("mode", ""), UnsupportedPixels, "reflection"),
        (told("md3", "air"), UnsupportedPixels, "says mirror"),
        (told("dsDescription", "time,dataset"), UnsupportedPixels, "data set 'reference'"),
        (told("dsDescription", "x,dataset,reference"), UnsupportedPixels, "0.2 to 1.2 THz"),
        (replaced("ds1", np.arange(256) * 1e-13), UnsupportedPixels, "0.2 to 1.2 THz"),
        (replaced("ds1", np.arange(256) * 0.5), UnsupportedPixels, "0.2 to 1.2 THz"),
        (replaced("ds1", np.arange(256) * 0.01), UnsupportedPixels, "10 ps at least"),
        (replaced("ds1", np.arange(256) ** 1.2 * 0.05), UnsupportedPixels, "evenly"),
        (replaced("ds1", np.zeros(256)), CorruptImage, "ascend"),
        (replaced("ds1", np.arange(200) * 0.1), CorruptImage, "axes"),
        (replaced("ds3", np.zeros(256)), UnsupportedPixels, "no signal at"),
        (replaced("ds3", np.full(256, np.nan)), CorruptImage, "not finite"),
        (replaced("ds3", np.zeros(10)), CorruptImage, "another number of samples"),
        (replaced("ds2", np.zeros((40, 40))), UnsupportedFormat, "no image scan"),
    ],
)
def test_what_is_missing_or_does_not_reach_is_a_typed_error_that_says_what_is_needed(
    drawn: bytes, change: Any, fault: type[DxtreeError], said: str
) -> None:
    with pytest.raises(fault, match=said):
        parse(changed(drawn, change), LIMITS)


def test_a_reference_without_the_highest_band_is_refused_by_its_name(drawn: bytes) -> None:
    slow = np.exp(-(((np.arange(256) * 0.1 - 12) / 0.75) ** 2))
    with pytest.raises(UnsupportedPixels, match=r"no signal at 1\.2 THz"):
        parse(changed(drawn, replaced("ds3", slow)), LIMITS)


def test_two_scans_in_one_file_are_not_chosen_from(drawn: bytes) -> None:
    with pytest.raises(MultiFrame, match="2 scans"):
        parse(changed(drawn, lambda file: file.copy("Image", "Other")), LIMITS)


def test_distances_that_are_not_given_stay_unknown_and_are_noted(drawn: bytes) -> None:
    stack = parse(changed(drawn, told("mdDescription", "a,b,reference")), LIMITS)
    assert stack.spacing_um is None
    assert any("dx [mm]" in note for note in stack.notes)


def test_a_bomb_is_refused_from_its_header(drawn: bytes) -> None:
    def bomb(file: h5py.File) -> None:
        del file["Image/ds2"]
        file.create_dataset("Image/ds2", (3000, 3000, 256), "f8", chunks=(100, 100, 16))

    with pytest.raises(ImageTooLarge):
        read(changed(drawn, bomb))


def test_an_external_link_is_not_followed(drawn: bytes, tmp_path: Path) -> None:
    other = tmp_path / "other.thz"
    other.write_bytes(drawn)

    def linked(file: h5py.File) -> None:
        del file["Image/ds2"]
        file["Image/ds2"] = h5py.ExternalLink(str(other), "/Image/ds2")

    with pytest.raises(UnsupportedFormat, match="another place"):
        read(changed(drawn, linked))


def test_nan_in_a_trace_is_refused(drawn: bytes) -> None:
    def poisoned(file: h5py.File) -> None:
        file["Image/ds2"][3, 3, 3] = np.inf

    with pytest.raises(CorruptImage, match="not finite"):
        read(changed(drawn, poisoned))


@pytest.mark.parametrize("kept", [0, 4, 600, 3000, 1_000_000])
def test_a_truncated_file_is_a_typed_error(drawn: bytes, kept: int) -> None:
    with pytest.raises((EmptyInput, UnsupportedFormat, CorruptImage)):
        read(drawn[:kept])
