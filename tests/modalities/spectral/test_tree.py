"""What does an HDF5 file of a stranger get to do?"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import CorruptImage, DxtreeError, ImageTooLarge, UnsupportedFormat
from modalities.spectral import Tree, open_tree


def made(fill: Callable[[h5py.File], object]) -> bytes:
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        fill(file)
    return target.getvalue()


def taken(data: bytes, path: str = "/image", most: int = 10_000) -> np.ndarray:
    with open_tree(data, most) as tree:
        return tree.numbers(path)


def test_numbers_come_back_as_stored() -> None:
    stored = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    data = made(lambda f: f.create_dataset("a/image", data=stored, compression="gzip", shuffle=True))
    found = taken(data, "/a/image")
    assert found.dtype == np.uint16
    assert (found == stored).all()


def test_a_million_million_zeros_in_a_small_file_are_refused_from_the_header() -> None:
    data = made(lambda f: f.create_dataset("image", (10**6, 10**6), "f8", chunks=(1000, 1000)))
    assert len(data) < 10_000
    with pytest.raises(ImageTooLarge):
        taken(data)


def test_one_huge_chunk_under_a_small_array_is_refused() -> None:
    shapes = {"shape": (10,), "maxshape": (None,), "chunks": (200_000_000,)}
    data = made(lambda f: f.create_dataset("image", dtype="u1", compression=9, **shapes))
    with pytest.raises(ImageTooLarge, match="chunk"):
        taken(data)


@pytest.mark.parametrize(
    "link", [h5py.SoftLink("/other"), h5py.ExternalLink("other.h5", "/image")], ids=["soft", "external"]
)
def test_links_are_not_followed(link: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.h5").write_bytes(made(lambda f: f.create_dataset("image", data=[1.0])))

    def fill(file: h5py.File) -> None:
        file["other"] = [2.0]
        file["image"] = link

    with pytest.raises(UnsupportedFormat, match="another place"):
        taken(made(fill))


def test_an_array_stored_in_another_file_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(80))
    kept = [(str(secret).encode(), 0, 80)]
    data = made(lambda f: f.create_dataset("image", (10,), "f8", external=kept))
    with pytest.raises(UnsupportedFormat, match="another file"):
        taken(data)


def test_a_virtual_array_over_another_file_is_refused() -> None:
    layout = h5py.VirtualLayout((10,), "f8")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "image", (10,))
    with pytest.raises(UnsupportedFormat):
        taken(made(lambda f: f.create_virtual_dataset("image", layout)))


def test_a_filter_that_would_be_loaded_from_the_machine_is_refused() -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("image", data=np.arange(100), chunks=(100,), scaleoffset=0)

    with pytest.raises(UnsupportedFormat, match="filter"):
        taken(made(fill))


@pytest.mark.parametrize("stored", [np.array([1j]), np.array([b"text"]), np.array([True])])
def test_what_is_no_real_number_is_refused(stored: np.ndarray) -> None:
    with pytest.raises(CorruptImage):
        taken(made(lambda f: f.create_dataset("image", data=stored)))


def test_a_group_that_holds_itself_ends() -> None:
    def fill(file: h5py.File) -> None:
        file["a/b"] = 1.0
        file["a/a"] = file["a"]

    with open_tree(made(fill), 10) as tree:
        assert tree.members("/a/a/a/a") == ["a", "b"]


def test_text_and_attributes_that_say_none_are_none() -> None:
    def fill(file: h5py.File) -> None:
        file["said"], file["none"], file["number"] = "space", "None", 3
        file.attrs["pitch"] = np.array([0.5])
        file.attrs["mode"] = "THz-TDS/Reflection"
        file.attrs["long"] = np.zeros(100)

    with open_tree(made(fill), 10) as tree:
        assert [tree.text(n) for n in ("said", "none", "number", "absent")] == ["space", None, None, None]
        kept = [tree.attribute("/", n) for n in ("pitch", "mode", "long", "absent")]
        assert kept == [0.5, "THz-TDS/Reflection", None, None]


def test_bytes_that_are_not_hdf5_say_so() -> None:
    with pytest.raises(UnsupportedFormat, match="not HDF5"):
        taken(b"GIF89a")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_anywhere_is_a_typed_error_or_numbers(data: st.DataObject) -> None:
    whole = made(lambda f: f.create_dataset("image", data=np.arange(40.0), compression="gzip"))
    cut = data.draw(st.integers(8, len(whole)))
    damaged = bytearray(whole[:cut])
    for _ in range(data.draw(st.integers(0, 3))):
        damaged[data.draw(st.integers(8, cut - 1)) if cut > 8 else 0] ^= data.draw(st.integers(1, 255))
    with suppress(DxtreeError):
        assert taken(bytes(damaged)).size <= 10_000


def test_a_tree_is_what_open_tree_gives() -> None:
    with open_tree(made(lambda f: f.create_dataset("image", data=[1.0])), 10) as tree:
        assert isinstance(tree, Tree)
        assert "image" in tree
        assert "image/below" not in tree
        assert tree.shape("/image") == (1,)
