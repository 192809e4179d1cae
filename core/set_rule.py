"""Which diagnoses pass the thresholds that were fitted for a coverage?

Split conformal prediction (Vovk et al. 2005) on the tree: a rule is fitted on lesions that nothing else was
fitted on, and on new lesions of the same kind its sets hold the truth at least as often as asked, however
good the model. `fusion.prediction_sets` fits one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np

from core.cells import BoolArray, Cells
from core.errors import ContractError
from core.partition import Partition
from core.prediction_set import Member, PredictionSet, Score
from core.probabilities import TreeProbabilities
from core.tree import FloatArray

ROUNDING = 1e-8
"""A score nearer to its quantile than this passes, as in MAPIE, so that rounding excludes no cell."""

FORMAT = 1
"""Of what `SetRule.to_dict` gives."""


@dataclass(frozen=True)
class Quantile:
    """The score that a cell may have, in [0, 1], and the lesions behind it.

    `shared_at`: the node whose lesions it was taken from; `None` where it is the cell's own.
    """

    value: float
    lesions: int
    shared_at: str | None = None


@dataclass(frozen=True)
class SetRule:
    """Fitted thresholds over the cells of a level, one quantile a cell, in order.

    A set holds every cell whose score passes its quantile, and always the most probable one: no set is empty,
    coverage only grows by that, and sets grow with coverage. Over all lesions the truth is held as often as
    asked. `per_class`: so it is for each class with its own quantile (Vovk 2012); nothing is promised
    for one that shares the quantile of a node above. Raises `ContractError` for a coverage outside (0, 1), an
    unknown score, or quantiles that do not fit the cells.
    """

    cells: Cells
    coverage: float
    score: Score
    quantiles: tuple[Quantile, ...]
    per_class: bool
    lesions: int
    seed: int = 0
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.coverage < 1:
            raise ContractError(f"coverage is {self.coverage!r}; a number between 0 and 1 is needed")
        if self.score not in get_args(Score):
            raise ContractError(f"score {self.score!r} is unknown; there are {', '.join(get_args(Score))}")
        if len(self.quantiles) != len(self.cells.ids):
            raise ContractError(f"{len(self.quantiles)} quantiles for {len(self.cells.ids)} cells")
        for name, q in zip(self.cells.ids, self.quantiles, strict=True):
            if not 0 <= q.value <= 1 or q.lesions < 1:
                raise ContractError(
                    f"the quantile of {name!r} is {q.value!r} from {q.lesions} lesions; a number in [0, 1] "
                    "from at least one is needed"
                )
            if q.shared_at is not None:
                self.cells.partition.taxonomy.position(q.shared_at)

    def passing(self, values: FloatArray, draws: FloatArray | None = None) -> BoolArray:
        """Whether each cell's score passes: cases x cells of probabilities to cases x cells.

        `draws`: a uniform number in [0, 1) a case, for `aps_randomised` alone. Raises `ContractError` where
        they are missing or superfluous, or values are of another width.
        """
        if values.ndim != 2 or values.shape[1] != len(self.cells.ids):
            raise ContractError(f"values are cases x {len(self.cells.ids)} cells, not {values.shape}")
        if (draws is None) == (self.score == "aps_randomised"):
            raise ContractError("a number is drawn for each case with aps_randomised, and with it alone")
        allowed = np.array([q.value for q in self.quantiles])
        if self.score == "lac":
            return np.asarray(1 - values - allowed <= ROUNDING)
        # Where the quantile is 1 nothing may be left out, not even a cell of probability 0.
        anything = allowed >= 1 - ROUNDING
        if draws is None:
            return np.asarray((_before(values, ties=True) < allowed - ROUNDING) | anything)
        scores = _before(values, ties=False) + (1 - draws[:, None]) * values
        return np.asarray((scores - allowed <= ROUNDING * values) | anything)

    def apply_rows(self, values: FloatArray, cases: Sequence[str] | None = None) -> BoolArray:
        """Members of each case's set: cases x training classes of probabilities to cases x cells.

        `cases`: their ids, for `aps_randomised` alone; the same id always gets the same number. Raises
        `ContractError` for other classes, or for ids that are missing or superfluous.
        """
        at_cells = self.cells.values(values)
        draws = None if cases is None else np.array([_draw(self.seed, case) for case in cases])
        members = self.passing(at_cells, draws)
        members[np.arange(len(members)), at_cells.argmax(axis=1)] = True
        return members

    def apply(self, tree: TreeProbabilities, case: str | None = None) -> PredictionSet:
        """The set of one case. Raises `ContractError` for probabilities over another partition."""
        partition = self.cells.partition
        if tree.sums.partition.fingerprint != partition.fingerprint:
            raise ContractError("the rule was fitted for other training classes than these probabilities")
        cases = None if case is None else [case]
        values = tree.leaf.values[None, :]
        at_cells = self.cells.values(values)
        draws = None if case is None else np.array([_draw(self.seed, case)])
        passed = self.passing(at_cells, draws)[0]
        members = self.apply_rows(values, cases)
        order = np.argsort(-at_cells[0], kind="stable")
        found = tuple(
            Member(
                self.cells.ids[k],
                self.cells.nodes[k],
                float(at_cells[0, k]),
                bool(passed[k]),
                self.quantiles[k].shared_at,
            )
            for k in order.tolist()
            if members[0, k]
        )
        cover = partition.taxonomy.ids[int(self.cells.cover(members)[0])]
        return PredictionSet(
            self.cells.level, self.coverage, self.score, self.per_class, found, cover, partition.taxonomy
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it back beside the partition."""
        return {
            "format": FORMAT,
            "partition": self.cells.partition.fingerprint,
            "level": self.cells.level,
            "coverage": self.coverage,
            "score": self.score,
            "per_class": self.per_class,
            "lesions": self.lesions,
            "seed": self.seed,
            "cells": [
                {"id": name, "quantile": q.value, "lesions": q.lesions, "shared_at": q.shared_at}
                for name, q in zip(self.cells.ids, self.quantiles, strict=True)
            ],
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], partition: Partition) -> SetRule:
        """What `to_dict` gave. Raises `ContractError` for another format, partition or list of cells."""
        try:
            if raw["format"] != FORMAT:
                raise ContractError(f"format {raw['format']!r} of a set rule; this version reads {FORMAT}")
            if raw["partition"] != partition.fingerprint:
                raise ContractError(
                    "the set rule was fitted for another partition; fit it again for this one"
                )
            cells = Cells(partition, raw["level"])
            if [c["id"] for c in raw["cells"]] != list(cells.ids):
                raise ContractError("the cells of the set rule are not those of its level; fit it again")
            quantiles = tuple(
                Quantile(float(c["quantile"]), int(c["lesions"]), c["shared_at"]) for c in raw["cells"]
            )
            return cls(
                cells,
                float(raw["coverage"]),
                raw["score"],
                quantiles,
                bool(raw["per_class"]),
                int(raw["lesions"]),
                int(raw["seed"]),
                dict(raw["provenance"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(f"a set rule cannot be read ({type(error).__name__}: {error})") from error


def _before(values: FloatArray, *, ties: bool) -> FloatArray:
    """Probability of the cells that are more probable; `ties`: equal cells get the same."""
    order = np.argsort(-values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    above = np.cumsum(ordered, axis=1) - ordered
    if ties:
        first = np.ones(values.shape, bool)
        first[:, 1:] = ordered[:, 1:] < ordered[:, :-1]
        above = np.maximum.accumulate(np.where(first, above, 0), axis=1)
    found = np.empty_like(above)
    np.put_along_axis(found, order, above, axis=1)
    return found


def _draw(seed: int, case: str) -> float:
    """A number in [0, 1) that the seed and the case's id alone decide."""
    digest = hashlib.sha256(f"{seed}:{case}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
