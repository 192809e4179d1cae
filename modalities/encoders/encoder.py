"""What must an encoder look like, and what happens to one that answers something else?

An encoder is a stranger's function from pictures to vectors. It never sees a file: decoding is ours.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from core.errors import DxtreeError, NonFiniteOutput, PluginContractError, PluginError
from modalities.cnn.preprocess import Preprocessing

ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

SIDES = (32, 2048)
"""Least and largest `side`, pixels: what `Preprocessing` takes."""


@runtime_checkable
class Encoder(Protocol):
    """Pictures to vectors. The same picture gives the same vector; nothing is learned and nothing is kept.

    `digest` names everything that decides a vector (the sha256 of a file of weights, the version of the
    code): a head answers only behind an encoder of the digest that it was fitted on.
    """

    @property
    def name(self) -> str:
        """What it is called in a run, a bundle and the provenance of an answer."""
        ...

    @property
    def digest(self) -> str:
        """Another one for every other encoder, the same in every process."""
        ...

    @property
    def side(self) -> int:
        """Side of the square that it is given, pixels, from 32 to 2048."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, images: ByteArray) -> FloatArray:
        """RGB uint8 N x side x side x 3, read-only, to float32 N x dimension, finite; N is at least 1."""
        ...


def identity(encoder: Encoder) -> dict[str, Any]:
    """Name, digest, side and dimension, JSON-ready. Raises `PluginContractError` where one cannot be used."""
    if not isinstance(encoder, Encoder):
        raise PluginContractError("an encoder has name, digest, side, dimension and embed(images)")
    for field in ("name", "digest"):
        value = getattr(encoder, field)
        if not isinstance(value, str) or not value:
            raise PluginContractError(
                f"an encoder's {field} is {value!r}; it must be a text that is not empty"
            )
    for field, (least, most) in (("side", SIDES), ("dimension", (1, 2**20))):
        value = getattr(encoder, field)
        if type(value) is not int or not least <= value <= most:
            raise PluginContractError(
                f"encoder {encoder.name!r}: {field} is {value!r}; give an int from {least} to {most}"
            )
    return {f: getattr(encoder, f) for f in ("name", "digest", "side", "dimension")}


def preprocessing_of(encoder: Encoder) -> Preprocessing:
    """The central square of the whole short side, at `side` pixels. The encoder normalises colours itself."""
    return Preprocessing(size=encoder.side, resize=encoder.side)


def embed(encoder: Encoder, squares: ByteArray) -> FloatArray:
    """What the encoder says of uint8 N x side x side x 3, checked: float32 N x dimension, finite.

    Raises `PluginContractError` for another type or shape, `NonFiniteOutput` for NaN or infinity, and
    `PluginError` naming what the encoder raised.
    """
    squares.setflags(write=False)
    try:
        rows: object = encoder.embed(squares)
    except (DxtreeError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a stranger's code may raise anything, SystemExit included
        raise PluginError(f"encoder {encoder.name!r} raised {type(error).__name__}: {error}") from error
    wanted = (len(squares), encoder.dimension)
    if not isinstance(rows, np.ndarray) or rows.dtype != np.float32 or rows.shape != wanted:
        found = f"{rows.dtype} {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
        raise PluginContractError(f"encoder {encoder.name!r} answered {found}, not float32 {wanted}")
    if not np.isfinite(rows).all():
        raise NonFiniteOutput(f"encoder {encoder.name!r} answered with a number that is not finite")
    return rows
