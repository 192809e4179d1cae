"""What happens when a stage runs, ours or a stranger's? It is checked, and named where it fails.

A function is given a read-only picture and must answer with one of its own: uint8 of the same shape for a
step, bool H x W for a segmenter, named finite numbers or `None` for features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, TypeVar

import numpy as np

from core.errors import ContractError, DxtreeError, InputError, PluginContractError, PluginError, did_you_mean
from plugins.specs import FeatureSpec, Mask, Pixels, PreprocessorSpec, SegmenterSpec

Spec = TypeVar("Spec", PreprocessorSpec, SegmenterSpec, FeatureSpec)


def shipped() -> Mapping[str, PreprocessorSpec]:
    """The steps that ship, by name."""
    from modalities.stages.plugin import PREPROCESSORS

    return {spec.name: spec for spec in PREPROCESSORS}


def step_of(name: str, known: Mapping[str, PreprocessorSpec] | None = None) -> PreprocessorSpec:
    """The preprocessing step of this name, of the `known` ones or those that ship.

    Raises `ContractError` where there is none.
    """
    among = shipped() if known is None else known
    if name not in among:
        raise ContractError(
            f"no preprocessing step {name!r}; there are {', '.join(among)}{did_you_mean(name, among)}; "
            "a plugin that offers one is switched on by --plugin"
        )
    return among[name]


def check_pixels(pixels: Pixels) -> None:
    """Raises `InputError` for what is no picture of uint8 H x W x 3."""
    fits = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.ndim == 3
    if not fits or pixels.shape[2] != 3 or not pixels.size:
        raise InputError("a stage takes uint8, height x width x 3, of one pixel at least")


def stepped(pixels: Pixels, steps: Iterable[PreprocessorSpec]) -> Pixels:
    """The picture after each step, in order.

    Raises `InputError` for what is no picture, `PluginContractError` for a step's answer of another type or
    shape, `PluginError` naming what a step raised.
    """
    check_pixels(pixels)
    for step in steps:
        found = _called("preprocessing step", step, lambda f, given: f(given), pixels)
        if not isinstance(found, np.ndarray) or found.dtype != np.uint8 or found.shape != pixels.shape:
            told = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
            raise PluginContractError(
                f"preprocessing step {step.name!r} answered {told}, not uint8 {pixels.shape}"
            )
        pixels = found
    return pixels


def outlined(pixels: Pixels, segmenter: SegmenterSpec) -> Mask:
    """The segmenter's mask; empty where it finds no lesion. Raises as `stepped` does."""
    check_pixels(pixels)
    found = _called("segmenter", segmenter, lambda f, given: f(given), pixels)
    if not isinstance(found, np.ndarray) or found.dtype != np.bool_ or found.shape != pixels.shape[:2]:
        told = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
        raise PluginContractError(
            f"segmenter {segmenter.name!r} answered {told}, not bool {pixels.shape[:2]}"
        )
    return found


def measured(
    pixels: Pixels, mask: Mask, features: Sequence[FeatureSpec], mm_per_pixel: float | None = None
) -> dict[str, float | None]:
    """Every feature's numbers by name; `None` is not known, as millimetres without a scale are.

    Raises `InputError` for a mask of another shape, an empty one and a scale that is not above 0, and as
    `stepped` does; two features that answer with one name are an error too.
    """
    check_pixels(pixels)
    if mask.dtype != np.bool_ or mask.shape != pixels.shape[:2]:
        raise InputError(f"the mask is {mask.dtype} {mask.shape}; give bool {pixels.shape[:2]}")
    if not mask.any():
        raise InputError("the mask is empty: there is no lesion to measure; give one with a lesion")
    if mm_per_pixel is not None and not (isfinite(mm_per_pixel) and mm_per_pixel > 0):
        raise InputError("mm_per_pixel must be a number above 0, or be left out where it is not known")
    found: dict[str, float | None] = {}
    for feature in features:
        own = _called("feature", feature, lambda f, given: f(given, mask, mm_per_pixel), pixels)
        _check_numbers(feature.name, own, found)
        found |= own
    return found


def _check_numbers(name: str, own: object, others: Mapping[str, float | None]) -> None:
    if not isinstance(own, Mapping) or not all(isinstance(key, str) for key in own):
        raise PluginContractError(f"feature {name!r} must answer with a mapping of names to numbers")
    for key, value in own.items():
        if key in others:
            raise PluginContractError(
                f"feature {name!r} answers with {key!r}, which another one answers with"
            )
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and isfinite(value)):
            raise PluginContractError(f"feature {name!r}: {key!r} must be a finite number, or None")


def _called(kind: str, spec: Spec, call: Callable[[Any, Pixels], Any], pixels: Pixels) -> Any:
    given = pixels.view()
    given.setflags(write=False)
    try:
        return call(spec.load(), given)
    except (DxtreeError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a stranger's code may raise anything
        raise PluginError(f"{kind} {spec.name!r} raised {type(error).__name__}: {error}") from error
