"""Which thresholds make sets that hold the truth as often as asked? Split conformal prediction, by MAPIE.

`fit_rule` needs the extra `trust`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from core.cells import LEAVES, Cells
from core.errors import ContractError, LeakageError, MissingExtra, TrainingError
from core.node_rule import NodeRule, Way
from core.partition import Partition
from core.prediction_set import Score
from core.set_rule import Quantile, SetRule
from core.taxonomy import IntArray
from core.tree import FloatArray


def least_lesions(coverage: float) -> int:
    """Lesions that a quantile needs: with fewer, no score of theirs reaches the coverage (MAPIE's own rule).

    10 at a coverage of .9, 20 at .95. Raises `TrainingError` for a coverage outside [.5, 1).
    """
    if not 0.5 <= coverage < 1:
        raise TrainingError(f"coverage is {coverage!r}; a number from .5 to below 1 is needed")
    # In decimals, as MAPIE counts: 1 / (1 - .9) is a little more than 10 in binary.
    return math.ceil(1 / (1 - Decimal(str(coverage))))


def fit_rule(
    cells: Cells,
    values: FloatArray,
    truth: IntArray,
    lesions: Sequence[str],
    *,
    coverage: float = 0.9,
    score: Score = "lac",
    per_class: bool = False,
    seed: int = 0,
    provenance: Mapping[str, str] | None = None,
) -> SetRule:
    """Fits the thresholds of a level on calibration lesions, which nothing else may have been fitted on.

    `values`: lesions x cells of probabilities, rows summing to 1 (`cells.values` makes them from those of
    training classes); `truth`: the cell of each; `lesions`: their ids, one row a lesion. With `per_class`
    every cell gets a quantile from its own lesions (Mondrian, Vovk 2012). One with fewer than
    `least_lesions` shares that of all lesions at or below the nearest node above that has enough; the rule
    and its sets name the node.

    Raises `LeakageError` where a lesion stands twice, `ContractError` for arrays that do not fit,
    `TrainingError` for too few lesions, and `MissingExtra` without MAPIE.
    """
    _check(cells, values, truth, lesions)
    least = least_lesions(coverage)
    if len(truth) < least:
        raise TrainingError(f"{len(truth)} lesions; a coverage of {coverage:g} needs at least {least}")
    root = cells.partition.taxonomy.root
    found: dict[str, Quantile] = {}

    def at(rows: npt.NDArray[np.bool_], shared_at: str) -> Quantile:
        if shared_at not in found:
            value = _quantile(values[rows], truth[rows], coverage, score, seed)
            found[shared_at] = Quantile(value, int(rows.sum()), shared_at)
        return found[shared_at]

    everyone = np.ones(len(truth), bool)
    quantiles: list[Quantile] = []
    for k in range(len(cells.ids)):
        own = truth == k
        if not per_class:
            quantiles.append(at(everyone, root))
        elif own.sum() >= least:
            value = _quantile(values[own], truth[own], coverage, score, seed)
            quantiles.append(Quantile(value, int(own.sum())))
        else:
            node, rows = _nearest(cells, k, truth, least)
            quantiles.append(at(rows, node))
    return SetRule(
        cells, coverage, score, tuple(quantiles), per_class, len(truth), seed, dict(provenance or {})
    )


def fit_node_rule(
    partition: Partition,
    values: FloatArray,
    labels: Sequence[str],
    lesions: Sequence[str],
    *,
    coverage: float = 0.9,
    provenance: Mapping[str, str] | None = None,
) -> NodeRule:
    """Fits how far to climb, so that one node holds the label as often as asked on lesions of the same kind.

    `values`: lesions x training classes of probabilities, of lesions on which nothing else was fitted;
    `labels`: the node of each; `lesions`: their ids, one row a lesion. The threshold is the
    ceil((n + 1) coverage)-th smallest of the highest probabilities of a wrong node on the way up (Vovk et al.
    2005). Needs no extra.

    Raises what `fit_rule` raises, and `UnknownNode` for a foreign label.
    """
    cells = Cells(partition, LEAVES)
    _check(cells, values, np.zeros(len(labels), np.int64), lesions)
    least = least_lesions(coverage)
    if len(labels) < least:
        raise TrainingError(f"{len(labels)} lesions; a coverage of {coverage:g} needs at least {least}")
    errors = np.sort(Way(partition).errors(values, labels))
    rank = math.ceil((len(errors) + 1) * Decimal(str(coverage)))
    threshold = min(float(errors[rank - 1]), 1.0)
    return NodeRule(partition, coverage, threshold, len(errors), dict(provenance or {}))


def _nearest(cells: Cells, cell: int, truth: IntArray, least: int) -> tuple[str, npt.NDArray[np.bool_]]:
    """The deepest node at or above a cell's with enough lesions at or below it, and those lesions."""
    taxonomy = cells.partition.taxonomy
    for node in reversed(taxonomy.path(cells.nodes[cell])):
        below = [k for k, at in enumerate(cells.nodes) if taxonomy.covers(node, at)]
        rows = np.isin(truth, below)
        if rows.sum() >= least:
            return node, rows
    raise AssertionError("the root holds every lesion")


def _check(cells: Cells, values: FloatArray, truth: IntArray, lesions: Sequence[str]) -> None:
    shape = (len(truth), len(cells.ids))
    if values.shape != shape or truth.ndim != 1 or len(lesions) != len(truth):
        raise ContractError(
            f"values {values.shape}, truth {truth.shape} and {len(lesions)} lesions do not fit "
            f"{shape[1]} cells"
        )
    if not np.isfinite(values).all() or (values < 0).any() or (np.abs(values.sum(axis=1) - 1) > 1e-6).any():
        raise ContractError("probabilities of cells must be finite, >= 0 and sum to 1 within 1e-6")
    if (truth < 0).any() or (truth >= shape[1]).any():
        raise ContractError(f"the truth is a cell from 0 to {shape[1] - 1}; leave out lesions without one")
    if len(set(lesions)) < len(lesions):
        raise LeakageError("a lesion stands twice among the calibration lesions; give one row a lesion")


def _quantile(values: FloatArray, truth: IntArray, coverage: float, score: Score, seed: int) -> float:
    """MAPIE's quantile of the scores of these lesions, in [0, 1]."""
    try:
        from mapie.classification import SplitConformalClassifier
        from mapie.conformity_scores import APSConformityScore, LACConformityScore
    except ImportError as error:
        raise MissingExtra("fitting prediction sets", "trust") from error
    scores = LACConformityScore() if score == "lac" else APSConformityScore()
    with warnings.catch_warnings():
        # That some cells have no lesion here is the very reason why quantiles are shared.
        warnings.filterwarnings(
            "ignore", message=".*conformalization dataset has less labels", category=UserWarning
        )
        conformal = SplitConformalClassifier(
            estimator=cast("Any", _AsGiven(values.shape[1])),
            confidence_level=coverage,
            conformity_score=scores,
            prefit=True,
            random_state=seed,
        ).conformalize(values, truth)
    conformal.predict_set(values[:1])
    # A sum of probabilities may be 1 and a rounding.
    return min(max(float(scores.quantiles_[0]), 0.0), 1.0)


class _AsGiven:
    """What MAPIE asks for the probabilities that it is given: they are their own features."""

    _estimator_type = "classifier"

    def __init__(self, width: int) -> None:
        self.classes_ = np.arange(width)
        self.n_features_in_ = width

    def fit(self, *_data: object) -> _AsGiven:
        """Nothing is learned; scikit-learn takes nothing for an estimator that lacks this."""
        return self

    def predict(self, values: FloatArray) -> IntArray:
        """The most probable cell."""
        return np.asarray(values.argmax(axis=1))

    def predict_proba(self, values: FloatArray) -> FloatArray:
        """What was given."""
        return values
