"""The stages that ship: preprocessing steps, segmenters and features, by the door that a stranger's take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import Any

from plugins import FeatureSpec, PreprocessorSpec, SegmenterSpec, hookimpl


def _from(module: str, name: str) -> Any:
    return getattr(import_module(f"modalities.stages.{module}"), name)


def _load(module: str, name: str) -> Callable[[], Any]:
    return partial(_from, module, name)


PREPROCESSORS = (
    PreprocessorSpec(
        "hair", "Dark hair painted over", _load("hair", "remove_hair"), source="Lee et al. 1997 (DullRazor)"
    ),
    PreprocessorSpec(
        "grey_world", "The mean colour made grey", _load("constancy", "grey_world"), source="Buchsbaum 1980"
    ),
    PreprocessorSpec(
        "shades_of_grey",
        "The Minkowski mean of order 6 made grey",
        _load("constancy", "shades_of_grey"),
        source="Finlayson and Trezzi 2004; Barata et al. 2015",
    ),
    PreprocessorSpec(
        "max_rgb",
        "The brightest of each channel made equal",
        _load("constancy", "max_rgb"),
        source="Land 1977",
    ),
    PreprocessorSpec("crop", "Cut around the lesion, scaled back", _load("crop", "crop")),
    PreprocessorSpec("ink", "Pen strokes painted over", _load("ink", "remove_ink")),
    PreprocessorSpec("ruler", "Ticks of a ruler painted over", _load("ruler", "remove_ruler")),
    PreprocessorSpec("vignette", "Dark corners filled", _load("vignette", "remove_vignette")),
)
SEGMENTERS = (
    SegmenterSpec(
        "otsu", "Colour distance from the skin, cut once", _load("segmentation", "otsu"), source="Otsu 1979"
    ),
    SegmenterSpec(
        "two_means",
        "Outline where inside and outside are each of one colour",
        _load("segmentation", "two_means"),
        source="Chan and Vese 2001",
    ),
)
FEATURES = (
    FeatureSpec(
        "asymmetry", "Outline and colour against their mirror image", _load("asymmetry", "asymmetry"),
        source="Stolz et al. 1994",
    ),
    FeatureSpec("border", "Abrupt sectors and shape", _load("border", "border"), source="Stolz et al. 1994"),
    FeatureSpec("colours", "Six colours", _load("colours", "colours"), source="Stolz et al. 1994"),
    FeatureSpec("framing", "Cut by the edge, small, under hair", _load("framing", "framing")),
    FeatureSpec("diameter", "Extent and area", _load("diameter", "diameter"), source="Friedman et al. 1985"),
    FeatureSpec(
        "checklist", "Colours that two of seven points rest on", _load("checklist", "checklist"),
        source="Argenziano et al. 1998",
    ),
)  # fmt: skip


@hookimpl
def dxtree_preprocessors() -> Iterable[PreprocessorSpec]:
    """Hair, colour constancy, ink, rulers and dark corners."""
    return PREPROCESSORS


@hookimpl
def dxtree_segmenters() -> Iterable[SegmenterSpec]:
    """Two classical ones."""
    return SEGMENTERS


@hookimpl
def dxtree_features() -> Iterable[FeatureSpec]:
    """ABCD, and what of the 7-point checklist can be measured."""
    return FEATURES
