"""What does scikit-learn, or a definition written as a loop, say of the same lesions? Slow on purpose.

The second opinion behind `recompute`: it shares no line with `metrics`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from core.tree import FloatArray

Numbers = dict[str, float | None]

BY_CLASS = (
    "accuracy",
    "balanced_accuracy",
    "brier",
    "ece",
    "macro_f1",
    "official_f1",
    "macro_auc",
    "macro_average_precision",
    "log_loss",
    "tree_distance",
)
BY_NODE = ("auc", "average_precision", "sensitivity_at_90", "sensitivity_at_95", "specificity_at_95")


def by_class(rows: Sequence[Mapping[str, float]], truth: Sequence[str]) -> Numbers:
    """Metric to value; the distance in the tree is left to who has the tree. `rows`: class to score."""
    from sklearn.metrics import accuracy_score, f1_score, recall_score

    found: Numbers = dict.fromkeys(BY_CLASS)
    if not rows:
        return found
    answer = [max(row, key=row.__getitem__) for row in rows]
    present = sorted(set(truth))
    scaled = [_scaled(row) for row in rows]
    hit = [a == t for a, t in zip(answer, truth, strict=True)]
    errors = [sum((p - (c == t)) ** 2 for c, p in row.items()) for row, t in zip(scaled, truth, strict=True)]
    losses = [-math.log(max(row[t], 2.0**-52)) for row, t in zip(scaled, truth, strict=True)]
    among = {"labels": present, "average": "macro", "zero_division": 0}
    return found | {
        "accuracy": float(accuracy_score(truth, answer)),
        "balanced_accuracy": float(recall_score(truth, answer, **among)),
        "brier": sum(errors) / len(errors),
        "ece": _ece(np.array([max(row.values()) for row in scaled]), np.array(hit, float)),
        "macro_f1": float(f1_score(truth, answer, **among)),
        "official_f1": sum(_called_f1(rows, truth, c) for c in rows[0]) / len(rows[0]),
        **_against_rest(rows, truth, present),
        "log_loss": sum(losses) / len(losses),
    }


def by_node(scores: Sequence[float], positive: Sequence[bool], key: str) -> Numbers:
    """What is said of one node, its metrics ending in `key`."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    found: Numbers = {f"{name}_{key}": None for name in BY_NODE}
    if any(positive):
        found[f"average_precision_{key}"] = float(average_precision_score(positive, scores))
    if len(set(positive)) < 2:
        return found
    value, ill = np.array(scores), np.array(positive, bool)
    shares = [(float(np.mean(value[ill] >= t)), float(np.mean(value[~ill] < t))) for t in {*scores, math.inf}]
    return found | {
        f"auc_{key}": float(roc_auc_score(positive, scores)),
        f"sensitivity_at_90_{key}": max(sens for sens, spec in shares if spec >= 0.90),
        f"sensitivity_at_95_{key}": max(sens for sens, spec in shares if spec >= 0.95),
        f"specificity_at_95_{key}": max(spec for sens, spec in shares if sens >= 0.95),
    }


def _against_rest(
    rows: Sequence[Mapping[str, float]], truth: Sequence[str], present: Sequence[str]
) -> Numbers:
    from sklearn.metrics import average_precision_score, roc_auc_score

    areas, precisions = [], []
    for c in present:
        scores, positive = [row[c] for row in rows], [t == c for t in truth]
        precisions.append(float(average_precision_score(positive, scores)))
        if len(present) > 1:
            areas.append(float(roc_auc_score(positive, scores)))
    return {
        "macro_auc": sum(areas) / len(areas) if areas else None,
        "macro_average_precision": sum(precisions) / len(precisions),
    }


def _called_f1(rows: Sequence[Mapping[str, float]], truth: Sequence[str], c: str) -> float:
    called = [row[c] > 0.5 for row in rows]
    both = sum(k and t == c for k, t in zip(called, truth, strict=True))
    either = sum(called) + sum(t == c for t in truth)
    return 2 * both / either if either else 1.0


def _scaled(row: Mapping[str, float]) -> dict[str, float]:
    total = sum(row.values())
    return {c: p / total if total > 0 else 1 / len(row) for c, p in row.items()}


def _ece(sure: FloatArray, hit: FloatArray, bins: int = 15) -> float:
    """Every lesion stands `bins` times in the sorted list, so that bins of equal size need no fractions."""
    pooled = np.array([hit[sure == here].mean() for here in sure])
    order = np.argsort(sure, kind="stable")
    repeated = [np.repeat(values[order], bins).reshape(bins, -1) for values in (pooled, sure)]
    return float(np.abs(repeated[0].mean(axis=1) - repeated[1].mean(axis=1)).mean())
