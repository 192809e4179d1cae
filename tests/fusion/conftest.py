"""A small clinic with known truth: two modalities with errors of their own, metadata with signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from core.case import PatientMetadata
from core.manifest import Bundle
from core.partition import Partition, partition_tree
from core.probabilities import LeafProbabilities
from core.protocols import Evidence, Fuser
from core.taxonomy import Taxonomy
from fusion.plugin import dxtree_fusers
from fusion.training import fit_fuser
from plugins.specs import FuserSpec, FusionCase

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


@dataclass(frozen=True)
class Clinic:
    """Nine training classes, one of them the residual of `benign:nevus`, and lesions drawn from them."""

    cells: Partition

    def evidence(
        self, modality: str, values: Sequence[float], prior: Sequence[float] | None = None
    ) -> Evidence:
        """From weights in the order of the classes; the prior is flat where none is given."""
        ids = self.cells.ids
        flat = np.ones(len(ids)) if prior is None else prior
        given, shown = (LeafProbabilities.from_weights(ids, v) for v in (values, flat))
        return Evidence(modality, given, shown, 1)

    def cases(
        self, n: int, seed: int, *, signal: bool = True, missing: float = 0.2, sharp: float = 1.2
    ) -> list[FusionCase]:
        """`n` lesions in three folds; with `signal` malignant ones are older, and elsewhere, than benign."""
        rng = np.random.default_rng(seed)
        counts = np.array([c.images for c in self.cells.classes], float)
        found = []
        for i in range(n):
            truth = int(rng.choice(len(counts), p=counts / counts.sum()))
            patient = _patient(self.cells.ids[truth], rng, signal, missing)
            given = tuple(
                self._answer(m, truth, counts, sharp, rng)
                for m in MODALITIES
                if m == MODALITIES[1] or rng.random() < 0.8
            )
            cohort = "first" if i % 2 else "second"
            found.append(FusionCase(f"L{i}", cohort, i % 3, given, patient, self.cells.ids[truth]))
        return found

    def _answer(
        self, modality: str, truth: int, prior: np.ndarray, sharp: float, rng: np.random.Generator
    ) -> Evidence:
        """A Dirichlet around the truth and its sisters in the tree, so that these are confused."""
        above = [c.node.rsplit(":", 1)[0] for c in self.cells.classes]
        around = 3 * prior / prior.sum() + 0.3 * np.array([a == above[truth] for a in above])
        around[truth] += sharp if modality == MODALITIES[1] else sharp / 2
        return self.evidence(modality, rng.dirichlet(around) + 1e-9, prior.tolist())

    def accuracy(self, fuser: Fuser, cases: Sequence[FusionCase]) -> float:
        """Share of lesions whose most probable class is the truth."""
        answers = (fuser.fuse(c.evidence, c.patient).values.argmax() for c in cases)
        return float(
            np.mean([self.cells.ids[int(a)] == c.truth for a, c in zip(answers, cases, strict=True)])
        )

    def loss(self, fuser: Fuser, cases: Sequence[FusionCase]) -> float:
        """Mean of the negative log probability of the truth."""
        return float(np.mean([-np.log(fuser.fuse(c.evidence, c.patient)[c.truth] + 1e-12) for c in cases]))


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


@pytest.fixture(scope="session")
def clinic() -> Clinic:
    return Clinic(partition_tree(Taxonomy.from_paths("clinic", PATHS), COUNTS, max_size=60))


@pytest.fixture(scope="session")
def specs() -> Mapping[str, FuserSpec]:
    return {spec.name: spec for spec in dxtree_fusers()}


@pytest.fixture(scope="session")
def cases(clinic: Clinic) -> list[FusionCase]:
    return clinic.cases(450, 0)


@pytest.fixture(scope="session")
def fitted(
    clinic: Clinic, specs: Mapping[str, FuserSpec], cases: list[FusionCase]
) -> Callable[[str], tuple[Mapping[str, Any], Mapping[str, bytes]]]:
    """Manifest and files of a fuser fitted on the clinic's cases, once a session."""
    kept: dict[str, tuple[Mapping[str, Any], Mapping[str, bytes]]] = {}

    def of(name: str) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
        if name not in kept:
            kept[name] = fit_fuser(specs[name], cases, clinic.cells, 0)
        return kept[name]

    return of


@pytest.fixture(scope="session")
def bundle_of(fitted: Any) -> Callable[..., Bundle]:
    """The bundle of a fitted fuser in memory, some entries of its manifest replaced."""

    def of(name: str, **replaced: Any) -> Bundle:
        manifest, files = fitted(name)
        return Bundle({**manifest, **replaced}, files, "digest")

    return of


@pytest.fixture(scope="session")
def fuser_of(
    clinic: Clinic, specs: Mapping[str, FuserSpec], bundle_of: Callable[..., Bundle]
) -> Callable[[str], Fuser]:
    """A fuser, fitted where it learns, once a session."""
    kept: dict[str, Fuser] = {}

    def of(name: str) -> Fuser:
        if name not in kept:
            kept[name] = specs[name].load(clinic.cells, bundle_of(name) if specs[name].fit else None)
        return kept[name]

    return of


@pytest.fixture(scope="session")
def shuffled() -> Callable[[Sequence[FusionCase], int], list[FusionCase]]:
    """The same lesions with each other's patients."""

    def of(cases: Sequence[FusionCase], seed: int) -> list[FusionCase]:
        order = np.random.default_rng(seed).permutation(len(cases))
        return [replace(c, patient=cases[k].patient) for c, k in zip(cases, order.tolist(), strict=True)]

    return of
