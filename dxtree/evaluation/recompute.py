"""Does another way of reckoning find the same numbers? From the file of predictions, lesion by lesion.

Nothing of `labels`, `metrics` or what those build on is used: classes come from the tree of each lesion,
metrics from `slowly`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from core.errors import TaxonomyError
from core.partition import Partition
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.tree import TreeSums
from dxtree.cohorts.isic import official_class
from dxtree.evaluation.records import read_predictions
from dxtree.evaluation.slowly import Numbers, by_class, by_node
from plugins.specs import CohortSpec

Answers = dict[str, TreeProbabilities]
"""Lesion and cohort, as one text, to the answer for it."""


def recompute(
    path: str | Path, partition: Partition, cohort: CohortSpec, *, only: Collection[str] | None = None
) -> dict[str, dict[str, Numbers]]:
    """Pipeline, label set, metric to its value, on the lesions that every pipeline in the file answers for.

    `only` keeps the lesions of these ids, for the numbers of a subgroup. `None`: not defined there.
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
        truth.append(str(right))
        node = cohort.malignant
        if node is not None and node in tree and keys["truth"] not in taxonomy.path(node)[:-1]:
            malignant.append(tree[node])
            is_malignant.append(node in taxonomy.path(keys["truth"]))
    found = by_class(rows, truth) | by_node(malignant, is_malignant, "malignant")
    if rows and name != "official":
        found["tree_distance"] = _edges(rows, truth, sums.partition)
    return found


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


def _edges(rows: Sequence[Mapping[str, float]], truth: Sequence[str], partition: Partition) -> float:
    """Mean number of nodes that lie above, or are, one of answer and truth and not the other."""
    node = {c.id: c.node for c in partition.classes}
    apart = 0
    for row, right in zip(rows, truth, strict=True):
        said = max(row, key=row.__getitem__)
        one, other = (set(partition.taxonomy.path(node.get(c, c))) for c in (said, right))
        apart += len(one ^ other)
    return apart / len(rows)
