"""Which numbers and comparisons does one label set give, over which lesions?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from core.errors import TaxonomyError
from core.partition import Partition
from core.taxonomy import IntArray
from core.tree import FloatArray, TreeSums
from dxtree.evaluation.bounds import Sampled
from dxtree.evaluation.calibration import calibrated_errors, reliability
from dxtree.evaluation.gathering import IMAGE_ONLY, Predictions
from dxtree.evaluation.intervals import Interval, difference, group_index, interval, sample, wilson
from dxtree.evaluation.labels import LEAVES, LEVELS, UNKNOWN, LabelSet, malignancy
from dxtree.evaluation.metrics import ALL_METRICS, MALIGNANT, Metric, NodeScores, Scored
from dxtree.evaluation.proper import tree_distances
from dxtree.evaluation.results import Bin, Block, Difference
from dxtree.evaluation.subgroups import Subgroup, subgroups
from dxtree.evaluation.weighted import BoolArray
from plugins.specs import CohortSpec

BASELINE = f"{IMAGE_ONLY}:dermoscopy"
"""What everything is compared with, chosen before any result: the single modality that is best by repute."""

Samples = dict[tuple[str, str], Sampled]
"""(pipeline, metric) to its value and resamples over one set of lesions."""


class Scoreboard:
    """What every label set shares: predictions, the malignant node, resamples and seed.

    Resamples draw lesions by id alone: two cohorts may hold the same lesion.
    """

    def __init__(self, predictions: Predictions, cohort: CohortSpec, resamples: int, seed: int) -> None:
        self.predictions, self.resamples, self.seed = predictions, resamples, seed
        self.groups = [lesion.lesion for lesion in predictions.lesions]
        self.main = tuple(name for name in predictions.values if name not in predictions.variants)
        self.malignant, self.is_malignant, self.no_auc = _malignant(predictions, cohort)
        self._distances = class_distances(predictions.partition)

    def scored(self, label_set: LabelSet, rows: IntArray, name: str) -> Scored:
        """One pipeline's scores and truth over some lesions."""
        scores = label_set.scores(self.predictions.values[name][rows])
        nodes = {}
        if self.malignant:
            nodes[MALIGNANT] = NodeScores(self.malignant[name][rows], self.is_malignant[rows])
        return Scored(scores, label_set.truth[rows], nodes, self._distances.get(label_set.name))

    def blocks(
        self, label_set: LabelSet, rows: IntArray, names: Sequence[str]
    ) -> tuple[dict[str, Block], Samples]:
        """Every metric of the named pipelines on the same lesions and resamples."""
        scored = {name: self.scored(label_set, rows, name) for name in names}
        statistics = {(name, m): s for name, one in scored.items() for m, s in one.statistics().items()}
        groups = group_index([self.groups[k] for k in rows.tolist()])
        samples = sample(statistics, groups, resamples=self.resamples, seed=self.seed)
        return {name: self._block(label_set, rows, name, scored[name], samples) for name in names}, samples

    def _block(
        self, label_set: LabelSet, rows: IntArray, name: str, scored: Scored, samples: Samples
    ) -> Block:
        confidence, correct = scored.top_label()
        null = calibrated_errors(confidence, resamples=self.resamples, seed=self.seed)
        metrics = {}
        for m in ALL_METRICS:
            chance = null if m.name == "ece" and len(null) else None
            metrics[m.name] = interval(samples[name, m.name], m, self._reason(m, len(rows)), chance)
        unmapped = label_set.unmapped(self.predictions.values[name][rows])
        return Block(
            n=len(rows),
            malignant=int((self.is_malignant[rows] == 1).sum()),
            classes=len(label_set.classes),
            classes_present=len(np.unique(scored.truth)),
            metrics=metrics,
            ece_if_calibrated=float(null.mean()) if len(null) else None,
            unmapped_mass=float(unmapped.mean()) if len(rows) else None,
            reliability=bins_of(confidence, correct),
        )

    def _reason(self, metric: Metric, rows: int) -> str:
        """Why a metric has no value, if it has none."""
        if not rows:
            return "no lesion has a truth here"
        if metric.name.endswith(MALIGNANT):
            return self.no_auc or "needs malignant and other lesions"
        if metric.name == "tree_distance":
            return "these classes are no nodes of the tree"
        return "not defined on these lesions"

    def differences(self, label_set: str, n: int, samples: Samples) -> list[Difference]:
        """Every comparison that was fixed in advance, by every metric."""
        found = []
        for name, against in comparisons(self.predictions):
            for m in ALL_METRICS:
                between, verdict = difference(samples[name, m.name], samples[against, m.name], m)
                found.append(Difference(label_set, m.name, name, against, n, between, verdict))
        return found

    def subgroups(self, label_set: LabelSet, rows: IntArray) -> dict[str, tuple[Subgroup, ...]]:
        """Subgroup tables of the pipelines that have everything."""
        lesions = [self.predictions.lesions[k] for k in rows.tolist()]
        scored = {name: self.scored(label_set, rows, name) for name in self.main}
        return subgroups(lesions, scored, resamples=self.resamples, seed=self.seed)


def comparisons(predictions: Predictions) -> list[tuple[str, str]]:
    """(pipeline, against) pairs: with the baseline, fusers with all images, fusers with their variants.

    The baseline is `image_only:dermoscopy`, or the first modality where that is not there.
    """
    alone = predictions.image_only()
    together = [name for name in alone if name in (f"{IMAGE_ONLY}:both", f"{IMAGE_ONLY}:all")]
    fused = [name for name in predictions.values if name not in alone]
    baseline = BASELINE if BASELINE in alone else next(iter(alone), None)
    pairs = [(name, baseline) for name in together + fused if baseline not in (None, name)]
    pairs += [(name, whole) for whole in together for name in fused]
    pairs += [(base, name) for name, base in predictions.variants.items()]
    return [(name, against) for name, against in pairs if against is not None]


def _malignant(
    predictions: Predictions, cohort: CohortSpec
) -> tuple[dict[str, FloatArray] | None, IntArray, str | None]:
    """P(malignant) a pipeline, the truth of each lesion, and the reason where there is neither."""
    node, unknown = cohort.malignant, np.full(len(predictions.lesions), UNKNOWN, np.int64)
    if node is None:
        return None, unknown, f"cohort {cohort.name!r} names no malignant node"
    sums = TreeSums(predictions.partition)
    try:
        scores = {name: sums.of(values, (node,))[:, 0] for name, values in predictions.values.items()}
    except TaxonomyError as error:
        return None, unknown, error.safe_message
    return scores, malignancy(predictions.lesions, predictions.partition.taxonomy, node), None


def class_distances(partition: Partition) -> dict[str, FloatArray]:
    """Edges between the classes of each label set whose classes are nodes."""
    sums, taxonomy = TreeSums(partition), partition.taxonomy
    found = {LEAVES: tree_distances(taxonomy, [c.node for c in partition.classes])}
    for name, depth in LEVELS.items():
        with suppress(TaxonomyError):  # the tree has no such level, and so no such label set
            found[name] = tree_distances(taxonomy, sums.level(depth))
    return found


def bins_of(confidence: FloatArray, correct: BoolArray) -> tuple[Bin, ...]:
    """The reliability table of top answers, in bins of equal mass; none without a row."""
    if not len(confidence):
        return ()
    sure, right = reliability(confidence, correct)
    share, size = np.clip(right, 0, 1), len(confidence) / len(sure)
    low, high = wilson(share, size)
    rows = zip(sure.tolist(), share.tolist(), low.tolist(), high.tolist(), strict=True)
    return tuple(Bin(size, s, Interval(r, under, over)) for s, r, under, over in rows)
