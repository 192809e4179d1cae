"""Which numbers do the arms of one cohort get, and which differences are real? On identical lesions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from core.errors import CohortError
from core.taxonomy import IntArray
from core.tree import FloatArray, TreeSums
from dxtree.benchmark.answers import PERMUTED
from dxtree.benchmark.config import BenchmarkConfig
from dxtree.benchmark.field import Field
from dxtree.benchmark.material import patient_of
from dxtree.benchmark.results import ByLevel, Comparison, PairTest
from dxtree.benchmark.running import Inputs
from dxtree.benchmark.sampling import FITTED_CUTS, Portion, Samples, sample_arms
from dxtree.benchmark.workers import Workers
from dxtree.evaluation.intervals import Interval, difference, group_index, interval
from dxtree.evaluation.labels import LEAVES, OFFICIAL, UNKNOWN, LabelSet, LabelSets, label_sets, malignancy
from dxtree.evaluation.metrics import ALL_METRICS, MALIGNANT, Metric, NodeScores, Scored, node_metrics
from dxtree.evaluation.results import Bin
from dxtree.evaluation.scoreboard import bins_of, class_distances
from dxtree.evaluation.significance import DeLong, bootstrap_p, delong, holm, mcnemar
from dxtree.evaluation.thresholds import fit_thresholds
from dxtree.evaluation.weighted import BoolArray
from plugins.specs import CohortSpec

TABLE = ("balanced_accuracy", "macro_f1", "auc_malignant", "brier")
"""Metrics of the comparisons that Holm's correction goes over, with each reference by itself."""


STAR = 0.05
"""Holm's p below which a difference gets a star."""


@dataclass(frozen=True)
class Court:
    """What judging one cohort needs: the field, its label sets, nodes and rows that all arms answer for."""

    field: Field
    cohort: CohortSpec
    config: BenchmarkConfig
    labels: LabelSets
    fit_labels: LabelSets
    inputs: Inputs
    nodes: Mapping[str, str]
    """Short key to node: the malignant one, then those of the configuration."""

    @cached_property
    def sums(self) -> TreeSums:
        """The sums over the partition."""
        return TreeSums(self.field.partition)

    @cached_property
    def common(self) -> BoolArray:
        """Judged lesions that every arm answers for."""
        return self.field.common()

    @cached_property
    def headline(self) -> LabelSet:
        """The official classes, else the second level, else the first, else the training classes.

        One that judges no lesion is passed over. Raises `CohortError` where none judges any.
        """
        judging = {s.name: s for s in self.labels.sets if len(self.rows(s))}
        for name in (OFFICIAL, "level2", "level1", LEAVES):
            if name in judging:
                return judging[name]
        raise CohortError(f"{self.cohort.name}: no lesion that every arm answers has a truth")

    def rows(self, label_set: LabelSet) -> IntArray:
        """Places of the lesions that a label set judges for every arm."""
        return np.flatnonzero(self.common & (label_set.truth != UNKNOWN))

    @cached_property
    def node_truth(self) -> dict[str, IntArray]:
        """Whether each judged lesion lies at or below each node: 1, 0, or -1 where nobody can tell."""
        lesions, taxonomy = self.field.judged.lesions, self.field.partition.taxonomy
        return {key: malignancy(lesions, taxonomy, node) for key, node in self.nodes.items()}

    @cached_property
    def distances(self) -> dict[str, FloatArray]:
        """Edges of the tree between the classes of each label set whose classes are nodes."""
        return class_distances(self.field.partition)

    @cached_property
    def _of_nodes(self) -> frozenset[str]:
        return frozenset(m.name for key in (MALIGNANT, *self.nodes) for m in node_metrics(key))

    def is_absent(self, label_set: LabelSet, metric: str) -> bool:
        """Whether a metric is none of this label set: one of a node, which stands by the headline."""
        return metric in self._of_nodes and label_set is not self.headline

    def metrics(self) -> tuple[Metric, ...]:
        """Every metric, those of the configured nodes included."""
        further = tuple(m for key in self.nodes if key != MALIGNANT for m in node_metrics(key))
        return (*ALL_METRICS, FITTED_CUTS, *further)

    def lesions(self, rows: IntArray) -> list[str]:
        """Patient of each row where the cohort tells, else its lesion: what the bootstrap draws."""
        return [patient_of(self.field.judged.lesions[k]) for k in rows.tolist()]


def open_court(field: Field, cohort: CohortSpec, config: BenchmarkConfig, inputs: Inputs) -> Court:
    """Builds the label sets. Raises `TaxonomyError` for a configured node without a probability."""
    partition = field.partition
    labels = label_sets(field.judged.lesions, partition, cohort)
    fit = labels if field.crossed else label_sets(field.fitting.lesions, partition, cohort)
    sums = TreeSums(partition)
    nodes = {}
    if cohort.malignant is not None and cohort.malignant in sums:
        nodes[MALIGNANT] = cohort.malignant
    for node in config.nodes:
        sums.column(node)
        nodes[node.rpartition(":")[2]] = node
    return Court(field, cohort, config, labels, fit, inputs, nodes)


def scored_of(court: Court, label_set: LabelSet, rows: IntArray, arm: str) -> Scored:
    """One arm's scores and truth on one label set; nodes, the same on every set, stand by the headline."""
    values = court.field.judged.values[arm][rows]
    nodes = {
        key: NodeScores(court.sums.of(values, (node,))[:, 0], court.node_truth[key][rows])
        for key, node in (court.nodes.items() if label_set is court.headline else ())
    }
    return Scored(label_set.scores(values), label_set.truth[rows], nodes, court.distances.get(label_set.name))


def judge_level(court: Court, label_set: LabelSet, workers: Workers) -> tuple[ByLevel, list[Comparison]]:
    """Every arm on one label set, and every comparison with the references."""
    rows, arms, config = court.rows(label_set), list(court.field.judged.values), court.config
    scored = {arm: scored_of(court, label_set, rows, arm) for arm in arms}
    bent = {}
    if label_set.name == OFFICIAL:
        known_cuts = [arm for arm in arms if arm in court.field.fitting.values]
        bent = {a: replace(scored[a], scores=folded(court, label_set, rows, a)) for a in known_cuts}
    groups = group_index(court.lesions(rows))
    portion = Portion(scored, bent, groups, config.resamples, config.seed)
    sampling = sample_arms(portion, workers)
    sampled = sampling.samples
    known = {m.name: m for m in court.metrics()}
    cells: dict[str, dict[str, Interval]] = {arm: {} for arm in arms}
    bins: dict[str, tuple[Bin, ...]] = {}
    chance: dict[str, float] = {}
    for arm in arms:
        confidence, correct = scored[arm].top_label()
        null = sampling.chance[arm]
        chance[arm] = float(null.mean()) if len(null) else 0.0
        bins[arm] = bins_of(confidence, correct)
        for (one, name), value in sampled.items():
            if one == arm and not court.is_absent(label_set, name):
                nothing = null if name == "ece" and len(null) else None
                cells[arm][name] = interval(value, known[name], null=nothing, method="bca")
    found = ByLevel(
        label_set.name,
        len(rows),
        rows_digest(court, rows),
        len(label_set.classes),
        len(np.unique(label_set.truth[rows])),
        cells,
        bins,
        chance,
    )
    return found, compare(court, label_set, sampled, known)


def compare(
    court: Court, label_set: LabelSet, sampled: Samples, metrics: Mapping[str, Metric]
) -> list[Comparison]:
    """Every arm with each reference, and fusers with themselves on permuted metadata."""
    found = []
    for arm, against in pairs(court):
        for name, metric in metrics.items():
            if (arm, name) in sampled and not court.is_absent(label_set, name):
                first, second = sampled[arm, name], sampled[against, name]
                between, verdict = difference(first, second, metric, method="bca")
                p = bootstrap_p(first, second, metric, method="bca")
                found.append(Comparison(label_set.name, name, arm, against, between, verdict, p))
    kinds = court.field.arms
    aside = {a for a in kinds if not kinds[a].inputs or kinds[a].variant not in (None, PERMUTED)}
    return corrected(found, aside)


def pairs(court: Court) -> list[tuple[str, str]]:
    """(arm, against): fixed by the configuration, none chosen by a result."""
    arms = court.field.arms
    found = [(arm, against) for against in references(court) for arm in arms if arm != against]
    for title, arm in arms.items():
        if arm.variant == PERMUTED:
            real = court.field.title_of(arm.fuser, arm.inputs, arm.evidence)
            found += [(one, title) for one in real]
    return found


def corrected(comparisons: Sequence[Comparison], aside: Collection[str]) -> list[Comparison]:
    """The same with Holm's p over the metrics of `TABLE`, for each label set and reference by itself.

    Arms that stand `aside` take no part: those without images, and calibrated ones.
    """
    found = []
    tables = {(c.label_set, c.against) for c in comparisons}
    adjusted: dict[tuple[str, str, str, str], float | None] = {}
    for table in tables:
        members = [
            c
            for c in comparisons
            if (c.label_set, c.against) == table and c.metric in TABLE and c.arm not in aside
        ]
        adjusted |= holm({(c.label_set, c.metric, c.arm, c.against): c.p for c in members})
    for one in comparisons:
        key = (one.label_set, one.metric, one.arm, one.against)
        found.append(replace(one, p_holm=adjusted.get(key)))
    return found


def references(court: Court) -> list[str]:
    """Titles of the arms that others are compared with, in the order of the configuration."""
    wanted = [t for r in court.config.references for t in court.field.title_of(r.fuser, r.inputs)]
    return list(dict.fromkeys(wanted))


def folded(court: Court, label_set: LabelSet, rows: IntArray, arm: str) -> FloatArray:
    """An arm's official probabilities, bent by the cuts of the lesions of other folds: rows x classes."""
    field = court.field
    fit_set = next(s for s in court.fit_labels.sets if s.name == label_set.name)
    judged = label_set.scores(field.judged.values[arm])
    for known, asked in field.pairs(arm, field.judged):
        chosen = known[fit_set.truth[known] != UNKNOWN]
        cuts = fit_thresholds(fit_set.scores(field.fitting.values[arm][chosen]), fit_set.truth[chosen])
        judged[asked] = cuts.fold(judged[asked])
    return judged[rows]


def pair_tests(court: Court) -> list[PairTest]:
    """McNemar on the headline's answers and DeLong on the malignant node, against each reference."""
    label_set = court.headline
    rows = court.rows(label_set)
    lesions = court.lesions(rows)
    if len(set(lesions)) < len(lesions):
        return []
    scored = {arm: scored_of(court, label_set, rows, arm) for arm in court.field.judged.values}
    found = []
    for against in references(court):
        for arm, one in scored.items():
            if arm == against:
                continue
            other = scored[against]
            split = mcnemar(one.top_label()[1], other.top_label()[1], lesions)
            found.append(PairTest(arm, against, split, _delong(one, other, lesions)))
    return found


def _delong(one: Scored, other: Scored, lesions: Sequence[str]) -> DeLong | None:
    node, base = one.nodes.get(MALIGNANT), other.nodes.get(MALIGNANT)
    if node is None or base is None or min((node.truth == 1).sum(), (node.truth == 0).sum()) < 2:
        return None
    return delong(node.scores, base.scores, node.truth, lesions)


def rows_digest(court: Court, rows: IntArray) -> str:
    """sha256 over ids, labels and folds of the lesions judged: what a later run must share."""
    part = court.field.judged
    found = sorted(
        [part.lesions[k].cohort, part.lesions[k].lesion, part.lesions[k].label, int(part.fold[k])]
        for k in rows.tolist()
    )
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def holm_floor(court: Court) -> str | None:
    """Why no comparison can get a star, where so many are made that the least p is too large after Holm."""
    arms = court.field.arms
    main = [a for a, arm in arms.items() if arm.inputs and arm.variant in (None, PERMUTED)]
    family = len(TABLE) * (len(main) - 1)
    needed = round(family / STAR)
    if court.config.resamples + 1 > needed:
        return None
    return (
        f"No difference can hold after Holm's correction: {family} comparisons with a reference need more "
        f"than {needed:,} resamples, and resamples is {court.config.resamples:,}."
    )
