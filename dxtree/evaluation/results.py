"""What does an evaluation hold? Every number with its interval, and everything that was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.diagnosis import RESEARCH_USE
from dxtree.evaluation.bounds import CONFIDENCE, LEAST_DEFINED
from dxtree.evaluation.gathering import Predictions
from dxtree.evaluation.intervals import Interval, Verdict
from dxtree.evaluation.labels import LabelSets
from dxtree.evaluation.metrics import ALL_METRICS
from dxtree.evaluation.records import write_predictions
from dxtree.evaluation.subgroups import LEAST, Subgroup

FORMAT = 2
"""Version of `Evaluation.to_dict`: 2 since it holds all of `ALL_METRICS`."""

INTERVALS = (
    "95 % by bootstrap of whole lesions: percentiles, for ECE the basic interval, which also holds 0 where "
    "a calibrated model would give such a value by chance. In simulations of 150 to 3000 lesions those of "
    "ECE held the true value in 81 to 99 of 100 samples, those of balanced accuracy with rare classes in "
    f"90 to 97. No interval where fewer than {LEAST_DEFINED:.0%} of the resamples define a metric. Verdicts "
    "are not corrected for how many there are."
)


@dataclass(frozen=True)
class Bin:
    """One row of a reliability table: mean confidence of the top class, and how often it was right."""

    n: float
    confidence: float
    accuracy: Interval


@dataclass(frozen=True)
class Block:
    """One pipeline on one label set."""

    n: int
    malignant: int
    classes: int
    classes_present: int
    metrics: Mapping[str, Interval]
    ece_if_calibrated: float | None
    """Mean ECE that a perfectly calibrated model with these confidences would show by chance."""
    unmapped_mass: float | None
    """Mean probability that belongs to no class of the set; Brier and ECE are taken after scaling it away."""
    reliability: tuple[Bin, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the metrics stand beside the counts under their own names."""
        return {
            "n": self.n,
            **{name: found.to_dict() for name, found in self.metrics.items()},
            "n_malignant": self.malignant,
            "classes": self.classes,
            "classes_present": self.classes_present,
            "ece_if_calibrated": self.ece_if_calibrated,
            "unmapped_mass": self.unmapped_mass,
            "reliability": [
                {"n": b.n, "confidence": b.confidence, "accuracy": b.accuracy.to_dict()}
                for b in self.reliability
            ],
        }


@dataclass(frozen=True)
class Difference:
    """One pipeline minus another on the same lesions and resamples; the verdict is about `pipeline`."""

    label_set: str
    metric: str
    pipeline: str
    against: str
    n: int
    found: Interval
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "label_set": self.label_set,
            "metric": self.metric,
            "pipeline": self.pipeline,
            "against": self.against,
            "n": self.n,
            **self.found.to_dict(),
            "verdict": self.verdict,
        }


Table = Mapping[str, Mapping[str, Block]]
"""Pipeline, then label set."""


@dataclass(frozen=True)
class Evaluation:
    """Pipelines of one cohort on identical lesions.

    `pipelines` is the headline: lesions that every pipeline answers for. `available` holds the pipelines
    that answer for more lesions, each on all it has; its rows are not comparable with each other.
    `headline_set` is the label set of the subgroups and of the differences that are printed.
    """

    cohort: str
    part: str
    predictions: Predictions
    labels: LabelSets
    malignant: str | None
    pipelines: Table
    available: Table
    differences: tuple[Difference, ...]
    headline_set: str
    subgroups: Mapping[str, tuple[Subgroup, ...]]
    resamples: int
    seed: int
    provenance: Mapping[str, Any]

    @property
    def n_common(self) -> int:
        """Lesions that every pipeline answers for: those of the headline."""
        return int(self.predictions.common().sum())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without NaN: `None` and a `reason` stand where a number is not defined."""
        lesions = self.predictions.lesions
        return {
            "format": FORMAT,
            "cohort": self.cohort,
            "lesions": self.part,
            "n_lesions": len(lesions),
            "n_images": sum(len(lesion.images) for lesion in lesions),
            "n_common": self.n_common,
            "pipelines": _table(self.pipelines),
            "available": _table(self.available),
            "differences": [d.to_dict() for d in self.differences],
            "subgroups": {
                "label_set": self.headline_set,
                "least": LEAST,
                "pipelines": {name: [s.to_dict() for s in rows] for name, rows in self.subgroups.items()},
            },
            **self._left_out(),
            "malignant": self.malignant,
            "grouped_by": "lesion; no patient id is known, so lesions of one patient count as independent",
            "resamples": self.resamples,
            "seed": self.seed,
            "confidence": CONFIDENCE,
            "intervals": INTERVALS,
            "definitions": {m.name: m.definition for m in ALL_METRICS},
            "provenance": dict(self.provenance),
            "research_use": RESEARCH_USE,
        }

    def write_predictions(self, path: str | Path) -> None:
        """Writes the raw probabilities behind every number; see `records.write_predictions`."""
        write_predictions(self.predictions, path)

    def failed_by_code(self) -> dict[tuple[str, str], int]:
        """Lesions by (modality or pipeline, code) that gave no answer or lost an image."""
        return dict(sorted(Counter((f.source, f.code) for f in self.predictions.failures).items()))

    def _left_out(self) -> dict[str, Any]:
        labels = self.labels
        return {
            "excluded": [asdict(e) for e in labels.excluded],
            "unavailable": dict(labels.unavailable),
            "unmapped_labels": [
                {"label": e.label, "lesions": e.lesions, "reason": e.reason} for e in labels.unmapped_labels
            ],
            "unreadable_nodes": [asdict(u) for u in labels.unreadable],
            "unscored_classes": list(labels.unscored),
            "disagreeing_labels": [
                {"label": label, "official": official, "by_node": node, "lesions": n}
                for (label, official, node), n in (labels.disagreeing or {}).items()
            ],
            "failed": [asdict(f) for f in self.predictions.failures],
        }


def _table(table: Table) -> dict[str, dict[str, Any]]:
    return {name: {key: block.to_dict() for key, block in row.items()} for name, row in table.items()}
