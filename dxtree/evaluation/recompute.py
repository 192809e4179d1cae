"""Does another way of reckoning find the same numbers? From the file of predictions, lesion by lesion.

Nothing of `labels`, `metrics` or `calibration` is used: classes come from the tree of each lesion, metrics
from scikit-learn or from their definitions as loops. Slow on purpose.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from core.errors import MissingExtra, TaxonomyError
from core.partition import Partition
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.tree import FloatArray, TreeSums
from dxtree.cohorts.isic import official_class
from dxtree.evaluation.records import read_predictions
from plugins.specs import CohortSpec

Numbers = dict[str, float | None]
Answers = dict[str, TreeProbabilities]
"""Lesion and cohort, as one text, to the answer for it."""


def recompute(
    path: str | Path, partition: Partition, cohort: CohortSpec, *, only: Collection[str] | None = None
) -> dict[str, dict[str, Numbers]]:
    """Pipeline, label set, metric to its value, on the lesions that every pipeline in the file answers for.

    `only` keeps the lesions of these ids, for the numbers of a subgroup. Raises `MissingExtra` without
    scikit-learn.
    """
    sums = TreeSums(partition)
    answers: dict[str, Answers] = defaultdict(dict)
    truths: dict[str, dict[str, str]] = {}
    for keys, values in read_predictions(path, partition):
        lesion = f"{keys['cohort']}/{keys['lesion']}"
        leaf = LeafProbabilities(partition.ids, np.array(values))
        answers[keys["pipeline"]][lesion] = TreeProbabilities(sums, leaf)
        truths[lesion] = keys
    common = set.intersection(*(set(found) for found in answers.values()))
    chosen = sorted(i for i in common if only is None or truths[i]["lesion"] in only)
    names = ["level1", "level2", "leaves"] + (["official"] if cohort.official_nodes else [])
    return {
        pipeline: {n: _numbers(n, [(truths[i], found[i]) for i in chosen], sums, cohort) for n in names}
        for pipeline, found in answers.items()
    }


def _numbers(
    name: str,
    lesions: Sequence[tuple[Mapping[str, str], TreeProbabilities]],
    sums: TreeSums,
    cohort: CohortSpec,
) -> Numbers:
    taxonomy = sums.partition.taxonomy
    rows, truth, malignant, is_malignant = [], [], [], []
    for keys, tree in lesions:
        scores = _scores(name, tree, cohort)
        right = _truth(name, keys, sums.partition)
        if right not in scores:
            continue
        rows.append(scores)
        truth.append(right)
        node = cohort.malignant
        if node is not None and node in tree and keys["truth"] not in taxonomy.path(node)[:-1]:
            malignant.append(tree[node])
            is_malignant.append(node in taxonomy.path(keys["truth"]))
    return _metrics(rows, truth, malignant, is_malignant)


def _scores(name: str, tree: TreeProbabilities, cohort: CohortSpec) -> dict[str, float]:
    if name in ("level1", "level2"):
        try:
            return tree.level(int(name[-1]))
        except TaxonomyError:
            return {}
    if name == "leaves":
        return tree.leaf.to_dict()
    partition = tree.sums.partition
    scores = dict.fromkeys(cohort.official_nodes, 0.0)
    for c in partition.classes:
        owner = official_class(c.node, partition.taxonomy, cohort.official_nodes)
        if owner is not None:
            scores[owner] += tree.leaf[c.id]
    return scores


def _truth(name: str, keys: Mapping[str, str], partition: Partition) -> str | None:
    if name in ("level1", "level2"):
        path = partition.taxonomy.path(keys["truth"])
        return path[int(name[-1])] if len(path) > int(name[-1]) else None
    return partition.class_of(keys["truth"]) if name == "leaves" else keys["official"] or None


def _metrics(
    rows: Sequence[Mapping[str, float]],
    truth: Sequence[str | None],
    malignant: Sequence[float],
    is_malignant: Sequence[bool],
) -> Numbers:
    try:
        from sklearn.metrics import accuracy_score, recall_score, roc_auc_score
    except ImportError:
        raise MissingExtra("recomputing an evaluation", "train") from None
    names = ("accuracy", "balanced_accuracy", "auc_malignant", "brier", "ece")
    if not rows:
        return dict.fromkeys(names)
    answer = [max(row, key=row.__getitem__) for row in rows]
    present = sorted({str(t) for t in truth})
    recall = recall_score(truth, answer, labels=present, average="macro", zero_division=0)
    both = len(set(is_malignant)) == 2
    scaled = [_scaled(row) for row in rows]
    sure = [max(row.values()) for row in scaled]
    hit = [a == t for a, t in zip(answer, truth, strict=True)]
    errors = [sum((p - (c == t)) ** 2 for c, p in row.items()) for row, t in zip(scaled, truth, strict=True)]
    return {
        "accuracy": float(accuracy_score(truth, answer)),
        "balanced_accuracy": float(recall),
        "auc_malignant": float(roc_auc_score(is_malignant, malignant)) if both else None,
        "brier": sum(errors) / len(errors),
        "ece": _ece(np.array(sure), np.array(hit, float)),
    }


def _scaled(row: Mapping[str, float]) -> dict[str, float]:
    total = sum(row.values())
    return {c: p / total if total > 0 else 1 / len(row) for c, p in row.items()}


def _ece(sure: FloatArray, hit: FloatArray, bins: int = 15) -> float:
    """Every lesion stands `bins` times in the sorted list, so that bins of equal size need no fractions."""
    pooled = np.array([hit[sure == here].mean() for here in sure])
    order = np.argsort(sure, kind="stable")
    repeated = [np.repeat(values[order], bins).reshape(bins, -1) for values in (pooled, sure)]
    return float(np.abs(repeated[0].mean(axis=1) - repeated[1].mean(axis=1)).mean())
