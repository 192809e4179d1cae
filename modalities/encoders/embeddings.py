"""What did an encoder say of every image of a cohort? Asked once, kept on disk under the sha256 of the files.

STORE/<encoder>/<sha256>.safetensors     some images: sha256 of each file, its vector and its statistics

A file is called after the sha256 of its own content, as safetensors has no checksum. What was embedded stays
embedded: another list of images, another order or another run with the same store asks for the rest alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from core.cohort import LabelledImage
from core.errors import DxtreeError, TrainingError
from core.files import write_whole
from modalities.encoders.encoder import ByteArray, Encoder, FloatArray, embed, identity, preprocessing_of
from modalities.gate import LOOKS, look
from modalities.images import decode_here
from modalities.training.data import MAX_BAD_FRACTION

CHUNK = 64
"""Images between two writes: an interruption costs the work on so many."""

BATCH = 16
"""Images of one call of the encoder, so that a large net needs little memory."""

Progress = Callable[[int, int], None]
"""Images done, and images in all."""

Row = tuple[FloatArray, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Embedded:
    """`rows` float32 N x dimension and `looks` N x `LOOKS` (see `modalities.gate.look`) of `images`.

    `bad` are the ids of images that cannot be read.
    """

    images: tuple[LabelledImage, ...]
    rows: FloatArray
    looks: npt.NDArray[np.float64]
    bad: tuple[str, ...]

    @cached_property
    def place(self) -> dict[tuple[str, str], int]:
        """Cohort and image to the row."""
        return {(image.cohort, image.image): k for k, image in enumerate(self.images)}


def embed_all(
    encoder: Encoder, images: Sequence[LabelledImage], store: Path, progress: Progress | None = None
) -> Embedded:
    """Embeds every image that the store does not hold, and keeps what it found.

    Raises what `embed` raises, and `TrainingError` where more than 1 % of the images cannot be read or a file
    of the store is damaged.
    """
    folder = _folder(encoder, store)
    known = _read(folder)
    found: list[tuple[LabelledImage, Row]] = []
    bad: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        for k in range(0, len(images), CHUNK):
            part = images[k : k + CHUNK]
            seen = list(pool.map(lambda image: _look(image, encoder, known), part))
            new = {digest: square for digest, square in seen if square is not None}
            if new:
                _add(folder, encoder, new, known)
            for image, (digest, _) in zip(part, seen, strict=True):
                if digest in known:
                    found.append((image, known[digest]))
                else:
                    bad.append(image.image)
            if progress is not None:
                progress(k + len(part), len(images))
    if len(bad) > MAX_BAD_FRACTION * len(images):
        raise TrainingError(
            f"{len(bad)} of {len(images)} images cannot be read, {bad[0]} for one; at most 1 % may be skipped"
        )
    rows, looks = np.empty((0, encoder.dimension), np.float32), np.empty((0, len(LOOKS)))
    if found:
        rows, looks = np.stack([row for _, (row, _) in found]), np.stack([seen for _, (_, seen) in found])
    return Embedded(tuple(image for image, _ in found), rows, looks, tuple(bad))


def _folder(encoder: Encoder, store: Path) -> Path:
    name = hashlib.sha256(json.dumps([identity(encoder), LOOKS], sort_keys=True).encode()).hexdigest()[:16]
    (store / name).mkdir(parents=True, exist_ok=True)
    return store / name


def _look(image: LabelledImage, encoder: Encoder, known: dict[str, Row]) -> tuple[str, ByteArray | None]:
    """The sha256 of a file and, where the store lacks it, its square; empty where it cannot be read."""
    try:
        data = image.path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if digest in known:
            return digest, None
        pixels = decode_here(data, target_side=2 * encoder.side).pixels
    except (OSError, DxtreeError):
        return "", None
    return digest, preprocessing_of(encoder).square(pixels)


def _add(folder: Path, encoder: Encoder, new: dict[str, ByteArray], known: dict[str, Row]) -> None:
    squares = list(new.values())
    parts = [embed(encoder, np.stack(squares[k : k + BATCH])) for k in range(0, len(squares), BATCH)]
    rows, looks = np.concatenate(parts), np.stack([look(square) for square in squares])
    names = np.frombuffer(bytes.fromhex("".join(new)), np.uint8).reshape(-1, 32)
    content = save({"file": names, "row": rows, "look": looks})
    write_whole(folder / f"{hashlib.sha256(content).hexdigest()}.safetensors", content)
    known.update(zip(new, zip(rows, looks, strict=True), strict=True))


def _read(folder: Path) -> dict[str, Row]:
    known: dict[str, Row] = {}
    for path in sorted(folder.glob("*.safetensors")):
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != path.stem:
            raise TrainingError(
                f"{path.name} of the embeddings is damaged; delete it, its images are then embedded anew"
            )
        tensors = load(content)
        names = [name.tobytes().hex() for name in tensors["file"]]
        known.update(zip(names, zip(tensors["row"], tensors["look"], strict=True), strict=True))
    return known
