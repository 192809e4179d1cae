"""How do a few chosen arms answer: calibrated, at which depth, and what is acting on it worth?

Everything that is fitted here (calibrators, thresholds of sets) is fitted on lesions of other folds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from core.cells import LEAVES, Cells
from core.errors import TaxonomyError
from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.benchmark.config import BenchmarkConfig
from dxtree.benchmark.field import Field, Part
from dxtree.benchmark.judging import Court, scored_of
from dxtree.benchmark.looks import Closer, SetCoverage
from dxtree.evaluation.decision_curve import decision_curve
from dxtree.evaluation.intervals import Interval, group_index, wilson
from dxtree.evaluation.metrics import MALIGNANT
from dxtree.evaluation.selective import answer_by_depth, risk_coverage
from fusion.calibrating.fit import fit_calibrator
from fusion.prediction_sets import fit_rule, least_lesions

ACT_AT = tuple(k / 20 for k in range(1, 20))
"""Thresholds of the net benefit."""


def chosen_arms(field: Field, config: BenchmarkConfig) -> list[str]:
    """Titles of the arms of `closer`, each with its calibrated variants behind it."""
    found = []
    for one in config.closer:
        for title in field.title_of(one.fuser, one.inputs):
            found += [title, *(f"{title}, {kind}" for kind in config.calibrations)]
    return [t for t in dict.fromkeys(found) if t in field.arms]


def with_calibrated(field: Field, config: BenchmarkConfig) -> Field:
    """The field with the arms of `closer` calibrated by each calibrator, fitted on lesions of other folds."""
    judged, fitting = dict(field.judged.values), dict(field.fitting.values)
    arms = dict(field.arms)
    for one in config.closer:
        for title in field.title_of(one.fuser, one.inputs):
            for kind in config.calibrations:
                name = f"{title}, {kind}"
                arms[name] = replace(arms[title], variant=kind)
                judged[name] = _calibrated(field, title, kind, field.judged)
                if not field.crossed:
                    fitting[name] = _calibrated(field, title, kind, field.fitting)
    part = replace(field.judged, values=judged)
    return replace(
        field,
        arms=arms,
        judged=part,
        fitting=part if field.crossed else replace(field.fitting, values=fitting),
    )


def _calibrated(field: Field, title: str, kind: str, part: Part) -> FloatArray:
    found = np.full_like(part.values[title], np.nan)
    truth = _truth(field.fitting, field)
    for known, asked in field.pairs(title, part):
        known = known[truth[known] >= 0]
        fitted = fit_calibrator(kind, field.fitting.values[title][known], truth[known], field.partition)
        found[asked] = fitted.apply_rows(part.values[title][asked])
    return found


def _truth(part: Part, field: Field) -> IntArray:
    """Place of each lesion's training class, -1 where none holds its label."""
    return Cells(field.partition, LEAVES).truth([x.label for x in part.lesions])


def look_closer(court: Court) -> Closer:
    """Sets, risk over coverage, depth and net benefit of the chosen arms, on lesions that all arms answer."""
    field, config = court.field, court.config
    arms = chosen_arms(field, config)
    rows = np.flatnonzero(court.common)
    groups = group_index(court.lesions(rows))
    labels = [field.judged.lesions[k].label for k in rows.tolist()]
    plain = [a for a in arms if field.arms[a].variant is None]
    risks, benefits = {}, {}
    headline = court.headline
    told = court.rows(headline)
    for arm in plain:
        confidence, correct = scored_of(court, headline, told, arm).top_label()
        inside = group_index(court.lesions(told))
        risks[arm] = risk_coverage(confidence, correct, inside, resamples=config.resamples, seed=config.seed)
    if MALIGNANT in court.nodes:
        node = court.nodes[MALIGNANT]
        truth = court.node_truth[MALIGNANT][rows]
        for arm in arms:
            scores = court.sums.of(field.judged.values[arm][rows], (node,))[:, 0]
            benefits[arm] = decision_curve(
                scores, truth, groups, thresholds=ACT_AT, resamples=config.resamples, seed=config.seed
            )
    depths = {}
    for arm in plain:
        values = field.judged.values[arm][rows]
        depths[arm] = answer_by_depth(
            court.sums, values, labels, groups, resamples=config.resamples, seed=config.seed
        )
    return Closer(tuple(_sets(court, arms)), risks, depths, benefits)


def _sets(court: Court, arms: Sequence[str]) -> Iterator[SetCoverage]:
    for arm in arms:
        for level in (1, 2, LEAVES):
            try:
                cells = Cells(court.field.partition, level)
            except TaxonomyError:  # the tree has no such level
                continue
            for per_class in (False, True):
                found = _covered(court, arm, cells, per_class)
                if found is not None:
                    yield found


def _covered(court: Court, arm: str, cells: Cells, per_class: bool) -> SetCoverage | None:
    """`None` where a fold has too few lesions for a threshold."""
    field, coverage = court.field, court.config.coverage
    fit_truth = cells.truth([x.label for x in field.fitting.lesions])
    truth = cells.truth([x.label for x in field.judged.lesions])
    held, sizes, below = [], [], []
    taxonomy = field.partition.taxonomy
    classes = taxonomy.positions([c.node for c in field.partition.classes])
    for known, asked in field.pairs(arm, field.judged):
        known, asked = known[fit_truth[known] >= 0], asked[(truth[asked] >= 0) & court.common[asked]]
        if len(known) < least_lesions(coverage):
            return None
        if not len(asked):
            continue
        lesions = [
            f"{field.fitting.lesions[k].cohort}/{field.fitting.lesions[k].lesion}" for k in known.tolist()
        ]
        values = cells.values(field.fitting.values[arm][known])
        rule = fit_rule(cells, values, fit_truth[known], lesions, coverage=coverage, per_class=per_class)
        members = rule.apply_rows(field.judged.values[arm][asked])
        held.append(members[np.arange(len(asked)), truth[asked]])
        sizes.append(members.sum(axis=1))
        cover = cells.cover(members)
        inside = (classes[None, :] >= cover[:, None]) & (classes[None, :] < taxonomy.end[cover][:, None])
        below.append(inside.sum(axis=1))
    if not held:
        return None
    right, size = np.concatenate(held), np.concatenate(sizes)
    low, high = wilson(np.array([right.mean()]), len(right))
    return SetCoverage(
        arm,
        str(cells.level),
        per_class,
        len(right),
        Interval(float(right.mean()), float(low[0]), float(high[0])),
        float(size.mean()),
        float(np.concatenate(below).mean()),
        float((size == 1).mean()),
    )
