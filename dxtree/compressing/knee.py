"""Up to which ratio does compression cost no more than a point?"""

from __future__ import annotations

from collections.abc import Mapping

from dxtree.evaluation.intervals import Interval

POINT = 0.01
"""Loss of balanced accuracy that must be excluded."""


def knee(changes: Mapping[float, Interval]) -> float | None:
    """The last ratio, of ascending ones, up to which every 95 % interval of the change of balanced accuracy
    lies above a loss of one point. `None` where not even the first one's does.

    Few lesions make wide intervals: the knee is what these lesions can vouch for, not where quality ends.
    """
    last = None
    for ratio in sorted(changes):
        low = changes[ratio].low
        if low is None or low <= -POINT:
            break
        last = ratio
    return last
