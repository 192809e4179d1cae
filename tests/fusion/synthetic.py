"""A small clinic with known truth: two modalities with errors of their own, and metadata that carries signal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.case import PatientMetadata
from core.partition import Partition, partition_tree
from core.probabilities import LeafProbabilities
from core.protocols import Evidence
from core.taxonomy import Taxonomy
from plugins.specs import FusionCase

PATHS = [
    ("benign", "nevus", "blue"),
    ("benign", "nevus", "plain"),
    ("benign", "keratosis", "flat"),
    ("benign", "keratosis", "thick"),
    ("benign", "vessel"),
    ("malignant", "melanoma", "thin"),
    ("malignant", "melanoma", "deep"),
    ("malignant", "carcinoma"),
]
COUNTS = {
    "benign:nevus": 60,
    "benign:nevus:blue": 40,
    "benign:nevus:plain": 60,
    "benign:keratosis:flat": 60,
    "benign:keratosis:thick": 50,
    "benign:vessel": 30,
    "malignant:melanoma:thin": 40,
    "malignant:melanoma:deep": 50,
    "malignant:carcinoma": 60,
}
MODALITIES = ("clinical", "dermoscopy")
SITES = ("face", "back", "chest", "hand", "lower_leg", "trunk", "head_neck")
MALIGNANT_SITES = ("face", "head_neck", "hand")


def partition() -> Partition:
    """Nine training classes, one of them the residual of `benign:nevus`."""
    return partition_tree(Taxonomy.from_paths("clinic", PATHS), COUNTS, max_size=60)


def evidence(
    cells: Partition, modality: str, values: Sequence[float], prior: Sequence[float] | None = None
) -> Evidence:
    """Evidence from weights in the order of the classes; the prior is flat where none is given."""
    flat = np.ones(len(cells.ids))
    return Evidence(
        modality,
        LeafProbabilities.from_weights(cells.ids, values),
        LeafProbabilities.from_weights(cells.ids, flat if prior is None else prior),
        1,
    )


def cases(
    cells: Partition, n: int, seed: int = 0, *, signal: bool = True, missing: float = 0.2
) -> list[FusionCase]:
    """`n` lesions in three folds. With `signal`, malignant classes are older and elsewhere than benign ones."""
    rng = np.random.default_rng(seed)
    counts = np.array([c.images for c in cells.classes], float)
    found = []
    for i in range(n):
        truth = int(rng.choice(len(counts), p=counts / counts.sum()))
        patient = _patient(cells.ids[truth], rng, signal, missing)
        given = tuple(
            _answer(cells, m, truth, counts, rng) for m in MODALITIES if m == MODALITIES[1] or rng.random() < 0.8
        )
        cohort = "first" if i % 2 else "second"
        found.append(FusionCase(f"L{i}", cohort, i % 3, given, patient, cells.ids[truth]))
    return found


def _answer(
    cells: Partition, modality: str, truth: int, prior: np.ndarray, rng: np.random.Generator
) -> Evidence:
    """A Dirichlet around the truth and its class in the tree, so that sisters are confused."""
    sisters = [cells.classes[truth].node.rsplit(":", 1)[0] == c.node.rsplit(":", 1)[0] for c in cells.classes]
    around = prior / prior.sum() + 0.6 * np.array(sisters)
    around[truth] += 0.9 if modality == MODALITIES[1] else 0.6
    return evidence(cells, modality, rng.dirichlet(around) + 1e-9, prior.tolist())


def _patient(truth: str, rng: np.random.Generator, signal: bool, missing: float) -> PatientMetadata:
    malignant = truth.startswith("malignant") and signal
    age = float(np.clip(rng.normal(70 if malignant else 40, 12), 0, 100))
    sites = MALIGNANT_SITES if malignant and rng.random() < 0.7 else SITES
    sex = "male" if rng.random() < (0.7 if malignant else 0.45) else "female"
    kept = rng.random(3) >= missing
    return PatientMetadata(
        age_years=round(age / 5) * 5.0 if kept[0] else None,
        sex=sex if kept[1] else None,  # type: ignore[arg-type]
        site=str(rng.choice(sites)) if kept[2] else None,
    )
