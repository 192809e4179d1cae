"""How fast is the whole way, from the file's bytes to the answer?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.case import Case, ImageInput
from core.many import outcomes
from core.pipeline import Pipeline
from dxtree.speed.rounds import interleaved
from modalities.images import decode

DRAWN = 16
"""Lesions drawn where no photographs are given."""
SIDE = 512
"""Their size in pixels: near that of the pictures of public sets, 600 x 450."""


@dataclass(frozen=True)
class Rates:
    """Medians of interleaved rounds over the same images."""

    images: int
    pixels: str
    """Width x height of the first image."""
    decode_per_second: float
    """Images a second through one isolated decoder, scaled to what the net needs."""
    diagnose_ms: float
    """One case of one image, `core.diagnose`."""
    many_per_second: float
    """Images a second through `core.diagnose_many`."""
    gain: float
    """Rate of `diagnose_many` over one `diagnose` after another: the median over rounds."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def measure_whole(
    pipeline: Pipeline,
    modality: str,
    jpegs: Sequence[bytes],
    side: int,
    *,
    rounds: int,
    progress: Callable[[int, int], None] | None = None,
) -> Rates:
    """Decoding, `diagnose` one by one, and `diagnose_many`, over the same JPEGs of one modality.

    `side`: the short side, in pixels, that the net's preprocessing resizes to.
    """
    cases = [
        Case(id=str(k), images=(ImageInput(modality=modality, data=data),)) for k, data in enumerate(jpegs)
    ]

    def decoded() -> None:
        for data in jpegs:
            decode(data, target_side=2 * side)

    def loop() -> None:
        for case in cases:
            pipeline.diagnose(case)

    def stream() -> None:
        for outcome in outcomes(cases, pipeline):
            if outcome.error is not None:
                raise outcome.error

    took = interleaved({"decode": decoded, "loop": loop, "stream": stream}, rounds=rounds, progress=progress)
    height, width, _ = decode(jpegs[0]).pixels.shape
    count = len(cases)
    return Rates(
        images=count,
        pixels=f"{width} x {height}",
        decode_per_second=count / took.median("decode"),
        diagnose_ms=1e3 * took.median("loop") / count,
        many_per_second=count / took.median("stream"),
        gain=took.ratio("loop", "stream"),
    )


def drawn_jpegs(modality: str) -> list[bytes]:
    """Drawn lesions in one view, for machines without photographs; in the first view for another modality."""
    from dxtree.cohorts.synthetic import make_lesion

    lesions = [make_lesion(0, k, size=SIDE).jpegs for k in range(DRAWN)]
    return [views.get(modality, next(iter(views.values()))) for views in lesions]
