"""How well are any two sets of nodes told apart, and where do readers stand beside the curve?"""

from dxtree.binary.curve import Curve, curve_of
from dxtree.binary.operating import OperatingPoint, operating_points, threshold_for
from dxtree.binary.readers import (
    Comparison,
    ReaderPoint,
    compare,
    esteva_readers,
    read_readers,
    readers_of,
)
from dxtree.binary.result import TaskResult, judge
from dxtree.binary.scores import SCORE_TITLES, TaskScores, node_score, score_task
from dxtree.binary.task import PAPER_TASKS, BinaryTask, Selection, read_tasks

__all__ = [
    "PAPER_TASKS",
    "SCORE_TITLES",
    "BinaryTask",
    "Comparison",
    "Curve",
    "OperatingPoint",
    "ReaderPoint",
    "Selection",
    "TaskResult",
    "TaskScores",
    "compare",
    "curve_of",
    "esteva_readers",
    "judge",
    "node_score",
    "operating_points",
    "read_readers",
    "read_tasks",
    "readers_of",
    "score_task",
    "threshold_for",
]
