"""When are an engine's answers those of the source? Limits, and the record that the manifest keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from modalities.engines.kinds import Kind, Precision

SLACK = 1e-9
"""A limit counts as kept where it is passed by no more than rounding does."""


@dataclass(frozen=True)
class Limits:
    """What may differ at most. `None`: not asked.

    `largest_difference`: of the probability of any class of any image. `balanced_accuracy_loss` and
    `auc_loss`: shares of 1, source less engine, on lesions held out of training; a gain always passes.
    """

    largest_difference: float | None = None
    balanced_accuracy_loss: float | None = None
    auc_loss: float | None = None

    def to_dict(self) -> dict[str, float]:
        """JSON-ready, what is asked alone."""
        return {key: value for key, value in vars(self).items() if value is not None}


_LOSSY = Limits(balanced_accuracy_loss=0.005, auc_loss=0.002)
LIMITS: Mapping[Precision, Limits] = {
    "fp32": Limits(largest_difference=1e-3),
    "bf16": _LOSSY,
    "int8": _LOSSY,
}
"""By an engine's precision. fp32 differs by the order of sums alone; what rounds may cost half a point."""


@dataclass(frozen=True)
class Findings:
    """One engine against the source on the same images.

    Differences are of probabilities, over images x classes; changes are engine less source, shares of 1, over
    lesions, `None` where the lesions do not define them. `fault`: code of the error where the engine did not
    answer for an image; all else is then `None`.
    """

    largest_difference: float | None = None
    mean_difference: float | None = None
    same_top_class: float | None = None
    balanced_accuracy_change: float | None = None
    auc_change: float | None = None
    fault: str | None = None

    def passed(self, limits: Limits) -> bool:
        """Whether every limit that is asked is kept; what is not defined keeps none."""
        asked = (
            (limits.largest_difference, self.largest_difference),
            (limits.balanced_accuracy_loss, _loss(self.balanced_accuracy_change)),
            (limits.auc_loss, _loss(self.auc_change)),
        )
        return self.fault is None and all(
            found is not None and found <= limit + SLACK for limit, found in asked if limit is not None
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `fault` stands there only where there is one."""
        return {key: value for key, value in vars(self).items() if key != "fault" or value is not None}


def record_of(
    kind: Kind, findings: Findings, digests: Mapping[str, str], against: str, about: Mapping[str, Any]
) -> dict[str, Any]:
    """What the manifest keeps of a check: verdict, what it is bound to, findings, limits and versions.

    `digests`: as `records.digests`; `against`: the engine that stood for the source; `about`: further
    entries, such as the number of images and lesions.
    """
    limits = LIMITS[kind.precision]
    packages = {kind.package, "torch" if against.startswith("torch") else "onnxruntime"}
    return {
        "passed": findings.passed(limits),
        **digests,
        **findings.to_dict(),
        "limits": limits.to_dict(),
        "against": against,
        "versions": {name: _version(name) for name in sorted(packages)},
        **about,
    }


def _loss(change: float | None) -> float | None:
    return None if change is None else -change


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not stated"
