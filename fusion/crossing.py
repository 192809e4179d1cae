"""What does a fuser say about lesions that it was not fitted on? One fit a fold, each asked about its fold.

Calibrators, prediction sets and thresholds are fitted on such answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from core.manifest import Bundle
from core.partition import Partition
from core.protocols import Fuser
from core.tree import FloatArray
from fusion.training import check_cases, fit_fuser
from plugins.specs import FuserSpec, FusionCase


def cross_fitted(
    spec: FuserSpec,
    cases: Sequence[FusionCase],
    partition: Partition,
    seed: int,
    keep: Callable[[FusionCase], FusionCase] | None = None,
) -> FloatArray:
    """Cases x classes, in the order given: each answered by the fuser fitted on the cases of other folds.

    With `keep` the fuser is shown what `keep(case)` leaves of a case; the fits see everything. A fuser that
    learns nothing is asked as it is. Raises what `check_cases` and the fit raise.
    """
    views = cross_fitted_views(spec, cases, partition, seed, lambda c: (keep(c) if keep else c,))
    return np.concatenate(views)


def cross_fitted_views(
    spec: FuserSpec,
    cases: Sequence[FusionCase],
    partition: Partition,
    seed: int,
    views: Callable[[FusionCase], Sequence[FusionCase]],
) -> list[FloatArray]:
    """As `cross_fitted`, with several ways to look at each case: views x classes for each case."""
    check_cases(cases, partition)
    others = {f: [c for c in cases if c.fold != f] for f in sorted({c.fold for c in cases})}
    fusers = {f: fuser_for(spec, renumbered(rest), partition, seed) for f, rest in others.items()}
    return [
        np.stack([fusers[case.fold].fuse(v.evidence, v.patient).values for v in views(case)])
        for case in cases
    ]


def fuser_for(spec: FuserSpec, cases: Sequence[FusionCase], partition: Partition, seed: int) -> Fuser:
    """The fuser fitted on these cases and loaded in memory; one that learns nothing as it is."""
    if spec.fit is None:
        return spec.load(partition, None)
    manifest, files = fit_fuser(spec, cases, partition, seed)
    return spec.load(partition, Bundle(manifest, files, "cross-fitted"))


def renumbered(cases: Sequence[FusionCase]) -> list[FusionCase]:
    """The same cases with folds from 0 without a gap; one fold becomes two, by a hash of the lesion."""
    folds = sorted({c.fold for c in cases})
    if len(folds) == 1:
        return [replace(c, fold=_half(c.lesion)) for c in cases]
    return [replace(c, fold=folds.index(c.fold)) for c in cases]


def _half(lesion: str) -> int:
    return hashlib.sha256(lesion.encode()).digest()[0] % 2
