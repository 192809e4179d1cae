"""Which diagnoses of the fundus exist, and which lies under which?

Groups follow the structure that is ill, as the blocks of ICD-10's chapter VII do (H25-H28 lens, H30-H36
choroid and retina, H40-H42 glaucoma, H46-H48 optic nerve). Grades of diabetic retinopathy are those of the
International Clinical Diabetic Retinopathy scale (Wilkinson et al., Ophthalmology 110:1677, 2003), those of
macular degeneration of the Beckman classification (Ferris et al., Ophthalmology 120:844, 2013).
"""

from __future__ import annotations

from core.taxonomy import Taxonomy

NAME = "eye_fundus"

NORMAL = "Normal fundus"
VASCULAR = "Retinal vascular disease"
DIABETIC = f"{VASCULAR}:Diabetic retinopathy"
NONPROLIFERATIVE = f"{DIABETIC}:Nonproliferative diabetic retinopathy"
MILD = f"{NONPROLIFERATIVE}:Mild nonproliferative diabetic retinopathy"
MODERATE = f"{NONPROLIFERATIVE}:Moderate nonproliferative diabetic retinopathy"
SEVERE = f"{NONPROLIFERATIVE}:Severe nonproliferative diabetic retinopathy"
PROLIFERATIVE = f"{DIABETIC}:Proliferative diabetic retinopathy"
OCCLUSION = f"{VASCULAR}:Retinal vein occlusion"
BRANCH = f"{OCCLUSION}:Branch retinal vein occlusion"
CENTRAL = f"{OCCLUSION}:Central retinal vein occlusion"
HYPERTENSIVE = f"{VASCULAR}:Hypertensive retinopathy"
ARTERY = f"{VASCULAR}:Retinal artery occlusion"
MACULAR = "Macular disease"
DEGENERATION = f"{MACULAR}:Age-related macular degeneration"
DRY = f"{DEGENERATION}:Dry age-related macular degeneration"
EARLY = f"{DRY}:Early age-related macular degeneration"
INTERMEDIATE = f"{DRY}:Intermediate age-related macular degeneration"
ATROPHY = f"{DRY}:Geographic atrophy"
WET = f"{DEGENERATION}:Neovascular age-related macular degeneration"
MEMBRANE = f"{MACULAR}:Epiretinal membrane"
HOLE = f"{MACULAR}:Macular hole"
NERVE = "Optic nerve disease"
GLAUCOMA = f"{NERVE}:Glaucoma"
OEDEMA = f"{NERVE}:Papilloedema"
REFRACTIVE = "Refractive disease"
MYOPIA = f"{REFRACTIVE}:Pathological myopia"
MEDIA = "Disease of the media"
CATARACT = f"{MEDIA}:Cataract"

NODES = (
    NORMAL, MILD, MODERATE, SEVERE, PROLIFERATIVE, BRANCH, CENTRAL, HYPERTENSIVE, ARTERY, EARLY, INTERMEDIATE,
    ATROPHY, WET, MEMBRANE, HOLE, GLAUCOMA, OEDEMA, MYOPIA, CATARACT,
)  # fmt: skip
"""The leaves, in the order of the tree."""


def taxonomy() -> Taxonomy:
    """The tree, built anew."""
    return Taxonomy.from_paths(NAME, [node.split(":") for node in NODES])
