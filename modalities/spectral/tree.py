"""What may be taken from an HDF5 file of a stranger, and what is refused before memory is spent on it?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import CorruptImage, ImageTooLarge, MissingExtra, UnsupportedFormat

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MOST_TEXT = 65_536
MOST_MEMBERS = 256
_FILTERS = {1, 2, 3, 32000}
"""Deflate, shuffle, Fletcher 32 and LZF, which come with h5py; another would load code from the machine."""

Numbers = npt.NDArray[Any]


class Tree:
    """Groups and arrays of one open file, by path; see `open_tree`.

    Only hard links are followed: a soft or external link, a virtual array or one stored in another file is
    `UnsupportedFormat`. Sizes are read from the header and checked before anything is allocated.
    """

    def __init__(self, file: Any, most_values: int) -> None:
        self._file = file
        self._most = most_values

    def __contains__(self, path: str) -> bool:
        return self._find(path) is not None

    def members(self, path: str = "/") -> list[str]:
        """Names in a group, sorted; `CorruptImage` for no group, `ImageTooLarge` for more than 256."""
        import h5py

        node = self._find(path)
        if not isinstance(node, h5py.Group):
            raise CorruptImage("file lacks a group that its format has; export it again")
        if len(node) > MOST_MEMBERS:
            raise ImageTooLarge(f"file has a group of more than {MOST_MEMBERS} members")
        return sorted(node.keys())

    def shape(self, path: str) -> tuple[int, ...] | None:
        """Of an array of numbers; `None` where there is no such thing at `path`. Reads the header alone."""
        import h5py

        node = self._find(path)
        if not isinstance(node, h5py.Dataset) or node.dtype.kind not in "iuf":
            return None
        return tuple(int(n) for n in node.shape or ())

    def numbers(self, path: str) -> Numbers:
        """An array of real numbers, as stored.

        Raises `CorruptImage` where there is none, `ImageTooLarge` for more values, in the array or in one of
        its chunks, than may be read, `UnsupportedFormat` for anything that is stored elsewhere or packed by
        an unknown filter.
        """
        import h5py

        node = self._find(path)
        if not isinstance(node, h5py.Dataset):
            raise CorruptImage("file lacks an array that its format has; export it again")
        self._check_array(node)
        return np.asarray(node[()])

    def text(self, path: str) -> str | None:
        """A scalar string; `None` where there is none or it says "None"."""
        import h5py

        node = self._find(path)
        if not isinstance(node, h5py.Dataset) or node.shape != () or node.dtype.kind not in "OS":
            return None
        if h5py.check_string_dtype(node.dtype) is None or _elsewhere(node):
            return None
        return _said(node[()])

    def attribute(self, path: str, name: str) -> str | float | None:
        """A group's attribute of one number, or of texts joined by commas; `None` where it has none."""
        node = self._find(path)
        if node is None or name not in node.attrs:
            return None
        kept = node.attrs.get_id(name)
        if math.prod(kept.shape or ()) > MOST_MEMBERS or kept.get_storage_size() > MOST_TEXT:
            return None
        values = np.atleast_1d(np.asarray(node.attrs[name], dtype=object)).reshape(-1)
        texts = [_said(value) for value in values if isinstance(value, (bytes, str))]
        if texts and len(texts) == len(values):
            return ",".join(text for text in texts if text) or None
        return float(values[0]) if len(values) == 1 and np.isreal(values[0]) else None

    def _find(self, path: str) -> Any:
        import h5py

        node = self._file
        for name in filter(None, path.split("/")):
            if not isinstance(node, h5py.Group):
                return None
            link = node.get(name, getlink=True)
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise UnsupportedFormat(
                    "file points to another place or file; save it with its content inside"
                )
            node = node[name]
        return node

    def _check_array(self, node: Any) -> None:
        if node.dtype.kind not in "iuf":
            raise CorruptImage("file holds something else than real numbers where its format has them")
        if node.shape is None or not node.size:
            raise CorruptImage("file has an array without a single number; export it again")
        for shape in (node.shape, node.chunks or ()):
            if math.prod(shape) > self._most:
                raise ImageTooLarge(f"file has an array or a chunk of more than {self._most} numbers")
        if _elsewhere(node):
            raise UnsupportedFormat("file keeps its numbers in another file; save it with its content inside")
        packing = node.id.get_create_plist()
        if {packing.get_filter(i)[0] for i in range(packing.get_nfilters())} - _FILTERS:
            raise UnsupportedFormat(
                "file is packed by a filter that is not read; save it with gzip or without"
            )


@contextmanager
def open_tree(data: bytes, most_values: int) -> Iterator[Tree]:
    """The tree of a file's bytes, read in memory: no path of this machine is opened.

    `most_values` an array may have. Raises `UnsupportedFormat` for bytes that are not HDF5, and
    `CorruptImage` for whatever h5py finds wrong, `MissingExtra` without h5py. Meant for a process that may
    die: the parser is C.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra("reading HDF5", "spectral") from error
    if not data.startswith(SIGNATURE):
        raise UnsupportedFormat("file is not HDF5")
    try:
        with h5py.File(h5py.h5f.open_file_image(data)) as file:
            yield Tree(file, most_values)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise CorruptImage(
            f"file is damaged or cut short ({type(error).__name__}); export it again"
        ) from error


def _elsewhere(node: Any) -> bool:
    return bool(node.external or node.is_virtual)


def _said(value: bytes | str) -> str | None:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return None if text in ("", "None") else text[:MOST_TEXT]
