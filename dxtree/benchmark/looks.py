"""What is seen when a few chosen arms are looked at more closely?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dxtree.evaluation.decision_curve import DecisionCurve
from dxtree.evaluation.intervals import Interval
from dxtree.evaluation.selective import DepthPoint, RiskCoverage


@dataclass(frozen=True)
class SetCoverage:
    """Prediction sets of one arm at one level, each lesion's threshold from other folds.

    `covered`: share of sets that hold the truth, with Wilson's interval; `size`: mean members of a set;
    `classes`: mean training classes below the node that covers the set; `decided`: share of sets of one.
    """

    arm: str
    level: str
    per_class: bool
    lesions: int
    covered: Interval
    size: float
    classes: float
    decided: float


@dataclass(frozen=True)
class Closer:
    """What is shown of the chosen arms of one cohort."""

    sets: tuple[SetCoverage, ...]
    risks: Mapping[str, RiskCoverage]
    depths: Mapping[str, tuple[DepthPoint, ...]]
    benefits: Mapping[str, DecisionCurve]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "prediction_sets": [
                {
                    "arm": s.arm,
                    "level": s.level,
                    "per_class": s.per_class,
                    "n": s.lesions,
                    "covered": s.covered.to_dict(),
                    "mean_size": s.size,
                    "mean_training_classes_of_cover": s.classes,
                    "single": s.decided,
                }
                for s in self.sets
            ],
            "area_under_risk_coverage": {arm: r.area.to_dict() for arm, r in self.risks.items()},
            "answer_by_depth": {
                arm: [
                    {
                        "threshold": p.threshold,
                        "answered": p.answered.to_dict(),
                        "depth": p.depth.to_dict(),
                        "error": p.error.to_dict(),
                        "untold": p.untold,
                    }
                    for p in points
                ]
                for arm, points in self.depths.items()
            },
        }
