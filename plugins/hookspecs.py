"""Which hooks may a plugin implement? Few, typed, and none can change another's answer."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from core.case import Case
from core.diagnosis import Diagnosis
from plugins.specs import (
    CohortSpec,
    FeatureSpec,
    FuserSpec,
    ModalitySpec,
    ModelSetSpec,
    PreprocessorSpec,
    SegmenterSpec,
    TaxonomySpec,
)

PROJECT = "dxtree"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def dxtree_modalities() -> Iterable[ModalitySpec]:  # type: ignore[empty-body]
    """Imaging modalities that this plugin can answer for."""


@hookspec
def dxtree_fusers() -> Iterable[FuserSpec]:  # type: ignore[empty-body]
    """Ways to combine evidence and metadata."""


@hookspec
def dxtree_cohorts() -> Iterable[CohortSpec]:  # type: ignore[empty-body]
    """Data set layouts that can be read."""


@hookspec
def dxtree_taxonomies() -> Iterable[TaxonomySpec]:  # type: ignore[empty-body]
    """Trees of diagnoses."""


@hookspec
def dxtree_model_sets() -> Iterable[ModelSetSpec]:  # type: ignore[empty-body]
    """Folders of fitted models that come with this plugin."""


@hookspec
def dxtree_preprocessors() -> Iterable[PreprocessorSpec]:  # type: ignore[empty-body]
    """Steps between decoding and the net, each switched on by name."""


@hookspec
def dxtree_segmenters() -> Iterable[SegmenterSpec]:  # type: ignore[empty-body]
    """Ways to find a lesion's outline."""


@hookspec
def dxtree_features() -> Iterable[FeatureSpec]:  # type: ignore[empty-body]
    """Numbers that people can read off a lesion and its outline."""


@hookspec
def dxtree_diagnosed(case: Case, diagnosis: Diagnosis) -> None:
    """Called after every diagnosis, for audit or drift. It cannot change the answer."""
