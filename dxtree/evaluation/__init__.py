"""How good is it, for whom, and is the gain of fusion real? Measured on identical lesions, with intervals."""

from dxtree.evaluation.evaluate import evaluate, score
from dxtree.evaluation.gathering import Failure, Gathering, Predictions, Progress, gather, predict
from dxtree.evaluation.intervals import Interval
from dxtree.evaluation.labels import LabelSet, LabelSets, label_sets
from dxtree.evaluation.metrics import ALL_METRICS, METRICS, Metric, NodeScores, Scored, node_metrics
from dxtree.evaluation.recompute import recompute
from dxtree.evaluation.records import write_predictions
from dxtree.evaluation.report import print_evaluation
from dxtree.evaluation.results import Block, Difference, Evaluation
from dxtree.evaluation.subgroups import Subgroup

__all__ = [
    "ALL_METRICS",
    "METRICS",
    "Block",
    "Difference",
    "Evaluation",
    "Failure",
    "Gathering",
    "Interval",
    "LabelSet",
    "LabelSets",
    "Metric",
    "NodeScores",
    "Predictions",
    "Progress",
    "Scored",
    "Subgroup",
    "evaluate",
    "gather",
    "label_sets",
    "node_metrics",
    "predict",
    "print_evaluation",
    "recompute",
    "score",
    "write_predictions",
]
