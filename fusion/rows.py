"""With which of its inputs does a lesion enter a fit, and with what weight?

Every subset of modalities and fields must be legal, so a fit sees subsets: each lesion enters once with all
that is known and a few times with inputs dropped at random. What is drawn depends on the seed and the
lesion's own id alone, not on the order of the cases.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.case import FIELDS, PatientMetadata
from core.errors import TrainingError
from core.partition import Partition
from core.protocols import Evidence
from core.tree import FloatArray
from fusion.balance import case_weights
from fusion.features import site_path
from fusion.fitted import restricted
from plugins.specs import FusionCase

DROPPED = 4
"""Draws with inputs dropped, a lesion. Together they weigh as much as the lesion with everything."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """One lesion with some of its inputs. `truth` is the place of its class in the partition."""

    lesion: str
    evidence: tuple[Evidence, ...]
    patient: PatientMetadata
    truth: int
    fold: int
    weight: float

    @property
    def passes_through(self) -> bool:
        """Whether a fuser returns the one modality as it is, so that nothing can be learned here."""
        return len(self.evidence) == 1 and not self.patient.known()


def rows_of(cases: Sequence[FusionCase], partition: Partition, seed: int, power: float) -> list[Row]:
    """All rows of all cases, those that pass through left out. Raises `TrainingError` for a foreign class."""
    index = {name: k for k, name in enumerate(partition.ids)}
    for case in cases:
        if case.truth not in index:
            raise TrainingError(f"{case.truth!r} of lesion {case.lesion} is no training class")
    found = []
    for case, weight in zip(cases, case_weights(cases, partition, power).tolist(), strict=True):
        for (modalities, patient), share in _subsets(case, seed).items():
            evidence = tuple(e for e in case.evidence if e.modality in modalities)
            row = Row(case.lesion, evidence, patient, index[case.truth], case.fold, weight * share)
            if not row.passes_through:
                found.append(row)
    return found


def _subsets(case: FusionCase, seed: int) -> dict[tuple[frozenset[str], PatientMetadata], float]:
    """Subsets of a case's inputs with their share of its weight."""
    modalities = sorted(e.modality for e in case.evidence)
    shares: dict[tuple[frozenset[str], PatientMetadata], float] = {}
    shares[frozenset(modalities), case.patient] = 0.5
    digest = hashlib.sha256(f"{seed}:{case.cohort}:{case.lesion}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    for _ in range(DROPPED):
        kept = rng.random(len(modalities)) < 0.5
        kept[rng.integers(len(modalities))] = True
        key = frozenset(m for m, k in zip(modalities, kept, strict=True) if k), _dropped(case.patient, rng)
        shares[key] = shares.get(key, 0.0) + 0.5 / DROPPED
    return shares


def _dropped(patient: PatientMetadata, rng: np.random.Generator) -> PatientMetadata:
    """All fields, none, or each with even chances; and half of the fine sites known only coarsely."""
    chance = (0.0, 0.5, 1.0)[int(rng.integers(3))]
    kept = restricted(patient, [f for f in FIELDS if rng.random() < chance])
    if kept.site is not None and rng.random() < 0.5:
        kept = kept.model_copy(update={"site": site_path(kept.site)[0]})
    return kept


def arrays(rows: Sequence[Row]) -> tuple[IntArray, IntArray, FloatArray]:
    """Truth, fold and weight of each row."""
    return (
        np.array([r.truth for r in rows], np.int64),
        np.array([r.fold for r in rows], np.int64),
        np.array([r.weight for r in rows], np.float64),
    )
