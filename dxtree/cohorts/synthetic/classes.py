"""Which diagnoses does the synthetic cohort know, how does each look and whom does it befall?

Everything here is invented, names of diagnoses included where they are borrowed: no number is
epidemiology. The tree is laid out so that each source of evidence has work of its own:

- colour and border, seen in both views, tell most second-level nodes apart;
- relief, scale and crust show in the clinical view only, the inner pattern in dermoscopy only, and many
  leaves differ in one of them alone, so that neither view suffices;
- three pairs look alike in both views (Spitz nevus and nodular melanoma, angioma and pyogenic granuloma,
  eczema and tinea), and only age, sex and site tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from core.taxonomy import SEPARATOR, Taxonomy
from dxtree.cohorts.isic import Layout

Pattern = Literal["network", "globules", "streaks", "comedo", "lacunae", "branching", "dotted"]
"""What dermoscopy shows inside a lesion."""

SITE_TERMS = (
    "head_neck_face", "trunk", "upper_extremity", "lower_extremity", "hand", "foot", "genital",
)  # fmt: skip
"""Terms of the column `site`, in the order of `Habit.sites`."""


@dataclass(frozen=True)
class Look:
    """Mean appearance. Pigments are optical densities, border and relief run from 0 to about 1."""

    melanin: float
    haem: float
    border: float
    """Irregularity of the outline."""
    variegation: float
    """How unevenly the pigment lies."""
    elevation: float
    scale: float
    """Share of the surface under white scale."""
    crust: float
    """Share of the surface under yellow crust."""
    pattern: Pattern
    aspect: tuple[float, float] = (0.78, 1.0)
    """Range of width over length."""


@dataclass(frozen=True)
class Habit:
    """Whom a diagnosis befalls: age in years, share of women, weights of `SITE_TERMS`."""

    age_mean: float
    age_deviation: float
    female: float
    sites: tuple[float, ...]


@dataclass(frozen=True)
class SyntheticClass:
    """One label. `look` is `None` at an inner node: its lesions look like any of its children's."""

    path: tuple[str, ...]
    weight: float
    """Relative frequency; the table of all is long-tailed."""
    habit: Habit
    look: Look | None

    @property
    def label(self) -> str:
        """Id of the node in the taxonomy."""
        return SEPARATOR.join(self.path)


_NEVUS = ("Benign", "Melanocytic nevus")
_EPIDERMAL = ("Benign", "Benign epidermal")
_VASCULAR = ("Benign", "Benign vascular")
_MELANOMA = ("Malignant", "Melanoma")
_CARCINOMA = ("Malignant", "Carcinoma")
_INFLAMMATORY = ("Non-neoplastic", "Inflammatory")
_INFECTIOUS = ("Non-neoplastic", "Infectious")

# Sites:          head  trunk arm  leg  hand foot genital
_ANYWHERE = Habit(32, 14, 0.52, (12, 45, 18, 22, 1, 1, 1))
_BODY = Habit(24, 10, 0.58, (8, 26, 24, 38, 1, 2, 1))
_CHILD = Habit(14, 8, 0.52, (30, 10, 25, 32, 2, 1, 0))
_OLD_TRUNK = Habit(68, 10, 0.45, (28, 52, 9, 9, 1, 0, 1))
_SUN = Habit(66, 9, 0.62, (62, 4, 12, 2, 20, 0, 0))
_ADULT = Habit(57, 14, 0.45, (14, 46, 14, 24, 1, 1, 0))
_OLD_HEAD = Habit(70, 10, 0.36, (40, 34, 12, 10, 1, 2, 1))
_RED_OLD = Habit(63, 10, 0.45, (10, 74, 8, 6, 0, 0, 2))
_RED_YOUNG = Habit(22, 11, 0.68, (40, 6, 8, 2, 42, 2, 0))
_FACE = Habit(71, 10, 0.42, (72, 16, 6, 4, 1, 0, 1))
_WORN = Habit(76, 8, 0.30, (54, 2, 12, 6, 24, 1, 1))
_ELBOW = Habit(43, 14, 0.48, (8, 14, 36, 36, 3, 2, 1))
_CREASE = Habit(15, 11, 0.58, (22, 8, 48, 6, 15, 1, 0))
_SHOE = Habit(46, 14, 0.26, (1, 8, 2, 12, 6, 66, 5))
_SCHOOL = Habit(15, 8, 0.50, (6, 1, 5, 5, 55, 28, 0))

#             melanin haem border variegation elevation scale crust pattern
_COMMON = Look(0.85, 0.10, 0.12, 0.15, 0.70, 0.0, 0.0, "network")
_FLAT = Look(0.85, 0.10, 0.14, 0.15, 0.00, 0.0, 0.0, "network")
_DARK = Look(1.25, 0.15, 0.18, 0.25, 0.95, 0.0, 0.0, "globules")
_WAXY = Look(0.70, 0.06, 0.28, 0.20, 0.70, 0.0, 0.0, "comedo")
_FRECKLE = Look(0.68, 0.06, 0.30, 0.20, 0.00, 0.0, 0.0, "comedo")
_RED = Look(0.05, 1.25, 0.10, 0.15, 0.80, 0.0, 0.0, "lacunae")
_SPREADING = Look(1.15, 0.18, 0.46, 0.50, 0.00, 0.0, 0.0, "streaks")
_PEARL = Look(0.04, 0.42, 0.26, 0.20, 0.90, 0.0, 0.0, "branching")
_HORN = Look(0.06, 0.48, 0.32, 0.25, 0.55, 0.45, 0.0, "branching")
_PLAQUE = Look(0.02, 0.60, 0.26, 0.20, 0.50, 0.45, 0.0, "dotted")
_WEEPING = Look(0.02, 0.58, 0.34, 0.30, 0.00, 0.0, 0.40, "dotted")
_NODE = Look(0.04, 0.45, 0.24, 0.20, 0.90, 0.0, 0.0, "dotted")

CLASSES: tuple[SyntheticClass, ...] = (
    SyntheticClass(_NEVUS, 4, _ANYWHERE, None),
    SyntheticClass((*_NEVUS, "Common nevus"), 17, _ANYWHERE, _COMMON),
    SyntheticClass((*_NEVUS, "Junctional nevus"), 8, _BODY, _FLAT),
    SyntheticClass((*_NEVUS, "Spitz nevus"), 5, _CHILD, _DARK),
    SyntheticClass((*_EPIDERMAL, "Seborrheic keratosis"), 11, _OLD_TRUNK, _WAXY),
    SyntheticClass((*_EPIDERMAL, "Solar lentigo"), 6, _SUN, _FRECKLE),
    SyntheticClass((*_VASCULAR, "Angioma"), 5, _RED_OLD, _RED),
    SyntheticClass((*_VASCULAR, "Pyogenic granuloma"), 4, _RED_YOUNG, _RED),
    SyntheticClass((*_MELANOMA, "Superficial spreading melanoma"), 7, _ADULT, _SPREADING),
    SyntheticClass((*_MELANOMA, "Nodular melanoma"), 4, _OLD_HEAD, _DARK),
    SyntheticClass((*_CARCINOMA, "Basal cell carcinoma"), 10, _FACE, _PEARL),
    SyntheticClass((*_CARCINOMA, "Squamous cell carcinoma"), 5, _WORN, _HORN),
    SyntheticClass((*_INFLAMMATORY, "Psoriasis"), 6, _ELBOW, _PLAQUE),
    SyntheticClass((*_INFLAMMATORY, "Eczema"), 5, _CREASE, _WEEPING),
    SyntheticClass((*_INFECTIOUS, "Tinea"), 4, _SHOE, _WEEPING),
    SyntheticClass((*_INFECTIOUS, "Wart"), 3, _SCHOOL, _NODE),
)
"""Every label, in the order of the tree."""

SYNTHETIC = Layout(
    name="synthetic",
    official_nodes={
        "BENIGN": ("Benign",),
        "NEVUS": (SEPARATOR.join(_NEVUS),),
        "MELANOMA": (SEPARATOR.join(_MELANOMA),),
        "CARCINOMA": (SEPARATOR.join(_CARCINOMA),),
        "RASH": ("Non-neoplastic",),
    },
    group_columns={"skin_tone": "skin_tone_class"},
)
"""The layout that `write_synthetic` writes; five official classes, derived from the label."""


@cache
def synthetic_taxonomy() -> Taxonomy:
    """The tree of the synthetic cohort: 3 first-level nodes, 7 below them, 15 leaves.

    Labels sit on the leaves and on one inner node, `Benign:Melanocytic nevus`.
    """
    return Taxonomy.from_paths("synthetic", [one.path for one in CLASSES])
