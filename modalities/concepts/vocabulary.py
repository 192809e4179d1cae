"""Which concepts have a name? Two lists that are published; every score is from 0, absent, to 1, present.

MONET's are probabilities that an image shows a concept (Kim et al., Nature Medicine 30:1154, 2024), as the
tables of MILK10k hold them in columns `MONET_...`. The 7-point checklist's are a reader's answers (Argenziano
et al., Archives of Dermatology 134:1563, 1998): 0 or 1, or how sure one is.
"""

from __future__ import annotations

from core.errors import InputError, did_you_mean

MONET = (
    "ulceration_crust",
    "hair",
    "vasculature_vessels",
    "erythema",
    "pigmented",
    "gel_water_drop_fluid_dermoscopy_liquid",
    "skin_markings_pen_ink_purple_pen",
)
CHECKLIST = (
    "atypical_pigment_network",
    "blue_whitish_veil",
    "atypical_vascular_pattern",
    "irregular_streaks",
    "irregular_pigmentation",
    "irregular_dots_globules",
    "regression_structures",
)
CONCEPTS = (*MONET, *CHECKLIST)
PREFIX = "MONET_"
"""May stand before one of MONET's, as in the tables of MILK10k."""


def known_as(name: str) -> str | None:
    """The concept that a column or key means; `None` where it means none."""
    bare = name.removeprefix(PREFIX)
    if bare != name:
        return bare if bare in MONET else None
    return name if name in CONCEPTS else None


def concept_of(name: str) -> str:
    """The concept of this name. Raises `InputError`, which repeats no name that came with a patient."""
    found = known_as(name)
    if found is None:
        near = did_you_mean(name.removeprefix(PREFIX)[:64], CONCEPTS)
        raise InputError(f"an unknown concept is given; there are {', '.join(CONCEPTS)}{near}")
    return found
