"""Writes the taxonomies that ship, from their sources. Needs the extra `dev` (isic-metadata).

python scripts/make_taxonomies.py
"""

from __future__ import annotations

from pathlib import Path

from isic_metadata.diagnosis_hierarchical import DiagnosisEnum

from core.taxonomy import ROOT, SEPARATOR, Taxonomy

DATA = Path(__file__).parent.parent / "core" / "data"

# Esteva et al. 2017, Extended Data Table 2 and Figure 1: three nodes, nine below them.
ESTEVA = {
    "benign": (
        "dermal tumours, cysts, sinuses",
        "epidermal tumours, hamartomas, milia, growths",
        "melanocytic",
    ),
    "malignant": (
        "cutaneous lymphoma and lymphoid infiltrates",
        "dermal",
        "epidermal, malignant and premalignant",
        "melanocytic",
    ),
    "non-neoplastic": ("genodermatoses and supernumerary growths", "inflammatory"),
}

# Where on the body a lesion lies: the terms of MILK10k and HAM10000 and what clinics add below them.
# id -> parent; an id is the same wherever it stands, so that `back` needs no path.
SITES = {
    "head_neck": None, "scalp": "head_neck", "face": "head_neck", "ear": "face", "nose": "face",
    "lip": "face", "eyelid": "face", "forehead": "face", "cheek": "face", "neck": "head_neck",
    "trunk": None, "anterior_torso": "trunk", "chest": "anterior_torso", "abdomen": "anterior_torso",
    "posterior_torso": "trunk", "back": "posterior_torso", "buttock": "posterior_torso",
    "lateral_torso": "trunk",
    "upper_extremity": None, "shoulder": "upper_extremity", "arm": "upper_extremity",
    "forearm": "upper_extremity", "hand": "upper_extremity", "palm": "hand",
    "lower_extremity": None, "thigh": "lower_extremity", "lower_leg": "lower_extremity",
    "foot": "lower_extremity", "sole": "foot",
    "oral_genital": None, "oral": "oral_genital", "genital": "oral_genital",
}  # fmt: skip


def main() -> None:
    """Writes `isic_diagnosis.json`, `esteva_2017.json` and `body_sites.json`."""
    isic = Taxonomy.from_paths("isic_diagnosis", [d.value.split(SEPARATOR) for d in DiagnosisEnum])
    esteva = Taxonomy.from_paths("esteva_2017", [(a, b) for a, below in ESTEVA.items() for b in below])
    parents = {ROOT: None, **{site: up or ROOT for site, up in SITES.items()}}
    sites = Taxonomy("body_sites", parents, {site: site.replace("_", " ") for site in SITES})
    for tree in (isic, esteva, sites):
        (DATA / f"{tree.name}.json").write_text(tree.to_json() + "\n", "utf-8")


if __name__ == "__main__":
    main()
