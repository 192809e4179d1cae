"""Which other ways are there to store the net in fewer bytes, and how many does each take?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec

from core.cohort import LabelledImage
from core.errors import CohortError, DxtreeError, InputError
from dxtree.compressing.making import Made
from dxtree.exporting.images import seen
from modalities.cnn.preprocess import Preprocessing
from modalities.compression.packing import in_float32
from modalities.engines import FloatArray
from modalities.engines.quantising import quantise

DENSE = "dense"
"""Name of the net whose answers the others are held against."""
LEVEL = 19
"""Of zstd."""
NO_ZSTD = "needs the package zstandard: pip install 'dxtree[compress]'"


@dataclass(frozen=True)
class Rival:
    """One way to store the net: the length of its file, and the name of the graph that gives its answers.

    Either is `None` where there is no file, with the `reason`. `target`: of a compression.
    """

    method: str
    size: int | None
    answers: str | None
    target: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Field:
    """All ways, the dense net in float32 first, and the graphs behind their answers by name."""

    rivals: Sequence[Rival]
    graphs: dict[str, bytes]


def field(
    dense: bytes,
    made: Sequence[Made],
    calibration: Sequence[LabelledImage],
    preprocessing: Preprocessing,
    progress: Callable[[str, int, int], None],
) -> Field:
    """Stores the dense graph and each compressed net in every way."""
    graphs = {DENSE: dense}
    rivals = [Rival("float32", len(in_float32(dense)), DENSE), Rival("float16", len(dense), DENSE)]
    try:
        graphs["int8"] = small = _int8(dense, calibration, preprocessing, progress)
        rivals += [Rival("int8", len(small), "int8"), _zipped("int8, zstd", small, "int8")]
    except DxtreeError as error:
        rivals += [Rival(m, None, None, reason=error.safe_message) for m in ("int8", "int8, zstd")]
    for one in made:
        name = name_of(one)
        target = one.target
        method = "pruned, float16, zstd"
        if one.pruned is None:
            why = "the run did not keep the net before its weights shared values"
            rivals.append(Rival(method, None, None, target, why))
        else:
            graphs[f"pruned {name}"] = one.pruned
            rivals.append(_zipped(method, one.pruned, f"pruned {name}", target))
        graphs[name] = one.packed.graph
        rivals += [
            _zipped("pruned, shared, float16, zstd", one.packed.graph, name, target),
            Rival("Deep Compression", len(one.packed.file), name, target),
        ]
    return Field(rivals, graphs)


def name_of(made: Made) -> str:
    """Name of a compressed net's graph."""
    return f"compressed {made.target:g}" if made.target is not None else "compressed"


def _zipped(method: str, graph: bytes, answers: str, target: float | None = None) -> Rival:
    if find_spec("zstandard") is None:
        return Rival(method, None, None, target, NO_ZSTD)
    import zstandard

    return Rival(method, len(zstandard.ZstdCompressor(level=LEVEL).compress(graph)), answers, target)


def _int8(
    dense: bytes,
    calibration: Sequence[LabelledImage],
    preprocessing: Preprocessing,
    progress: Callable[[str, int, int], None],
) -> bytes:
    images: list[FloatArray] = []
    for image in calibration:
        with suppress(InputError):
            images.append(seen(image, preprocessing))
    if not images:
        raise CohortError("no calibration image can be read")
    done = 0

    def one() -> None:
        nonlocal done
        done += 1
        progress("quantising", done, len(images))

    return quantise(dense, images, progress=one)
