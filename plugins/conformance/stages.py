"""What do preprocessing steps, segmenters and features promise? Tried on drawn pictures of several sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.conformance.finding import Rule, Unanswerable, expect
from plugins.conformance.samples import drawn_pixels
from plugins.registry import Registry
from plugins.specs import Mask, Pixels

_DISC_RADIUS = 0.5


@dataclass(frozen=True)
class StageUnderTest:
    """One stage of a registry: its kind as `Registry` names it, and its name."""

    kind: str
    name: str
    registry: Registry

    @property
    def spec(self) -> Any:
        """What the plugin offers."""
        return self.registry.shelves[self.kind].get(self.name)

    def call(self, pixels: Pixels) -> Any:
        """The stage's answer. Raises `Unanswerable` where it cannot be loaded."""
        try:
            function = self.spec.load()
        except Exception as error:
            raise Unanswerable("it does not load") from error
        if self.kind == "feature":
            return function(pixels, disc(pixels), 0.1)
        return function(pixels)


def pictures() -> list[Pixels]:
    """Drawn lesions, read-only: square, wide, small, and one of a single colour."""
    drawn = drawn_pixels(0)
    found = [drawn, drawn_pixels(1, 320), drawn[::4, ::4], np.full((70, 65, 3), 200, np.uint8)]
    for pixels in found:
        pixels.setflags(write=False)
    return found


def disc(pixels: Pixels) -> Mask:
    """A disc in the middle, half as wide as the picture."""
    y, x = np.ogrid[-1 : 1 : pixels.shape[0] * 1j, -1 : 1 : pixels.shape[1] * 1j]
    return np.asarray(np.hypot(x, y) < _DISC_RADIUS)


def same(one: Any, other: Any) -> bool:
    """Whether two answers are alike to the bit."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return bool(one == other)


def _loads(it: StageUnderTest) -> None:
    expect(callable(it.spec.load()), "load() must give a function")


def _answers(it: StageUnderTest) -> None:
    for pixels in pictures():
        answer = it.call(pixels)
        if it.kind == "feature":
            expect(isinstance(answer, Mapping) and all(isinstance(name, str) for name in answer))
            for name, value in answer.items():
                expect(value is None or isfinite(value), f"{name!r} is not finite")
            continue
        kind, shape = (
            (np.uint8, pixels.shape) if it.kind == "preprocessing step" else (np.bool_, pixels.shape[:2])
        )
        fits = isinstance(answer, np.ndarray) and answer.dtype == kind and answer.shape == shape
        expect(fits, f"it answers for {pixels.shape} with something else than {np.dtype(kind)} {shape}")


def _deterministic(it: StageUnderTest) -> None:
    for pixels in pictures():
        expect(same(it.call(pixels), it.call(pixels)))


def _untouched(it: StageUnderTest) -> None:
    pixels: npt.NDArray[np.uint8] = drawn_pixels(2)
    before = pixels.copy()
    try:
        it.call(pixels)
    except Unanswerable:
        raise
    except Exception as error:
        raise Unanswerable("it does not answer") from error
    expect(np.array_equal(pixels, before))


RULES = (
    Rule("stage_loads", "it loads", _loads),
    Rule("stage_answers", "it answers for any picture with the type and shape of its kind", _answers),
    Rule("stage_deterministic", "the same picture gives the same bits", _deterministic),
    Rule("stage_untouched", "the picture that it is given stays as it is", _untouched),
)
