"""What does a plugin offer? Names, titles and functions that load the real thing when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.case import PatientMetadata
from core.cohort import LabelledImage
from core.manifest import Bundle
from core.partition import Partition
from core.protocols import Evidence, Fuser, ModalityModel
from core.taxonomy import Taxonomy

Pixels = npt.NDArray[np.uint8]
"""uint8 H x W x 3: red, green, blue, 0 to 255."""
Mask = npt.NDArray[np.bool_]
"""bool H x W, true where the lesion is."""


@dataclass(frozen=True)
class PreprocessorSpec:
    """One preprocessing step. `load` gives a function of uint8 H x W x 3 to the same type and shape.

    The same picture gives the same bits; what is given is read-only. `version` is another one whenever the
    step answers with other pixels: a bundle that was trained behind a step is read with that version alone.
    `source` says where the method comes from.
    """

    name: str
    title: str
    load: Callable[[], Callable[[Pixels], Pixels]]
    version: str = "1"
    source: str = ""


@dataclass(frozen=True)
class SegmenterSpec:
    """One way to find the lesion. `load` gives a function of uint8 H x W x 3 to bool H x W; none: empty."""

    name: str
    title: str
    load: Callable[[], Callable[[Pixels], Mask]]
    source: str = ""


@dataclass(frozen=True)
class FeatureSpec:
    """Some numbers of a lesion. `load` gives a function of pixels, mask (never empty) and mm a pixel.

    It answers with finite numbers by name; `None` is a number that is not known, as millimetres are where the
    scale is `None`.
    """

    name: str
    title: str
    load: Callable[[], Callable[[Pixels, Mask, float | None], Mapping[str, float | None]]]
    source: str = ""


@dataclass(frozen=True)
class ModelRequest:
    """What a modality's `load` is given. Further fields may come; a plugin takes what it needs.

    `partition` holds the training classes to answer with, `bundle` the model set's checked bundle for the
    modality, where it has one, and `engine` what the user asked for: auto, or a name that the modality knows.
    `preprocessors` are the preprocessing steps of all plugins by name; `None`: those that ship.
    """

    partition: Partition
    bundle: Bundle | None = None
    engine: str = "auto"
    preprocessors: Mapping[str, PreprocessorSpec] | None = None


LoadModality = Callable[[ModelRequest], ModalityModel]


@dataclass(frozen=True)
class ModalitySpec:
    """One imaging modality. `name` is what an image says it is; `load` builds the model, lazily.

    With `needs_bundle` the modality is offered only by pipelines whose model set has a bundle for it.
    `samples` draws the bytes of two files at least that the model reads, for a modality whose files are no
    pictures; `licence` and `card` speak of the model where no bundle does: its licence by SPDX, and what it
    was made from and is not for, in Markdown.
    """

    name: str
    title: str
    load: LoadModality
    needs_bundle: bool = False
    samples: Callable[[], Sequence[bytes]] | None = None
    licence: str = ""
    card: str = ""


@dataclass(frozen=True)
class FusionCase:
    """One lesion for the fitting of a fuser: out-of-fold evidence, metadata and the true training class.

    The evidence comes from nets that never saw the lesion; `fold` says which, for cross-fitting.
    """

    lesion: str
    cohort: str
    fold: int
    evidence: tuple[Evidence, ...]
    patient: PatientMetadata
    truth: str


FitFuser = Callable[[Sequence[FusionCase], Partition, int], tuple[Mapping[str, Any], Mapping[str, bytes]]]
"""Cases, partition and seed to a manifest and the files of a fuser bundle; see `core.manifest`."""

LoadFuser = Callable[[Partition, Bundle | None], Fuser]
"""Partition and the checked bundle of a fitted fuser, or `None` for one that needs no fitting."""


@dataclass(frozen=True)
class FuserSpec:
    """One way to fuse. `fit` is `None` for a fuser that learns nothing."""

    name: str
    title: str
    load: LoadFuser
    fit: FitFuser | None = None


@dataclass(frozen=True)
class CohortSpec:
    """One data set layout. `official_nodes` maps the cohort's own classes to nodes of the taxonomy, a node
    belonging to the class that names its nearest ancestor; `read` turns a folder into labelled images.
    """

    name: str
    title: str
    read: Callable[[Path, Taxonomy], list[LabelledImage]]
    official_nodes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    malignant: str | None = "Malignant"
    """Node whose probability is the score of `auc_malignant`; `None` where the cohort has none."""


@dataclass(frozen=True)
class TaxonomySpec:
    """One tree, loaded when it is asked for."""

    name: str
    title: str
    load: Callable[[], Taxonomy]


@dataclass(frozen=True)
class ModelSetSpec:
    """One folder of fitted models that belong together: `pipeline.json`, modality bundles and fusers."""

    name: str
    title: str
    folder: Path
