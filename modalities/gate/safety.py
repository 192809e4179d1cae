"""Is this image fit to be judged: sharp, well lit, uncovered, of this modality and like any training image?

Every check has a score, larger where more speaks against the image, and a threshold that a stated share of
training images exceeded. The statistics of `looks` are all that is needed: no net, and no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from core.checks import Action, Check
from core.errors import ContractError
from modalities.cnn.preprocess import ByteImage
from modalities.gate.looks import LOOKS, FloatArray, look
from modalities.gate.standard import Standard

FORMAT = 1
BLURRED, UNDER, OVER, HAIR, INK = "blurred", "under_exposed", "over_exposed", "hair", "ink"
OTHER, FAR = "other_modality", "out_of_distribution"

NAMES = (BLURRED, UNDER, OVER, HAIR, INK, OTHER, FAR)
"""Every check, in the order in which answers list them."""

ACTIONS: Mapping[str, Action] = {
    BLURRED: "refuse", UNDER: "warn", OVER: "warn", HAIR: "warn", INK: "warn", OTHER: "refuse", FAR: "refuse",
}  # fmt: skip
"""What a check proposes unless the bundle says otherwise."""

REASONS = {
    BLURRED: "it is more blurred than the images that the model was trained with; take it again in focus",
    UNDER: "it is darker than the images that the model was trained with; take it again with more light",
    OVER: "it is brighter than the images that the model was trained with; take it again with less light",
    HAIR: "hair or other thin dark lines cover much of it; move or cut the hair and take it again",
    INK: "there is ink or another colour that is not of skin in it; clean the skin and take it again",
    OTHER: "it looks like an image of another modality; check what it was given as",
    FAR: "it is unlike the images that the model was trained with; it may show no skin lesion",
}

_GREY, _SHARP, _HAIR, _INK = (LOOKS.index(name) for name in ("grey", "log_sharpness", "hair", "ink"))


@dataclass(frozen=True)
class Limit:
    """Threshold of one check. Of so many training `images` it was set on, at most `rate` are above it."""

    threshold: float
    rate: float
    images: int
    action: Action


@dataclass(frozen=True)
class SafetyGate:
    """What a bundle holds of its training images, and the limits.

    `standard` makes statistics comparable; `mean` and `precision` are those of standardised training images;
    `weights` and `bias` give the log-odds that a standardised image is of another modality; `None` where no
    image of another was at hand, and then there is no check of it.
    """

    standard: Standard
    mean: FloatArray
    precision: FloatArray
    weights: FloatArray | None
    bias: float
    limits: Mapping[str, Limit]
    fitted_on: Mapping[str, Any]

    def checks(self, square: ByteImage) -> tuple[Check, ...]:
        """Every check of a preprocessed uint8 image, H x W x 3 or planes, in the order of `NAMES`."""
        scores = self.scores(look(square)[None])
        return tuple(
            Check(name, float(scores[name][0]), limit.threshold, REASONS[name], limit.action)
            for name, limit in self.limits.items()
        )

    def scores(self, looks: FloatArray) -> dict[str, FloatArray]:
        """Score of every check for statistics N x `LOOKS`.

        `blurred` is the negative logarithm of the variance of the Laplacian (Pech-Pacheco et al., ICPR 2000),
        exposure the mean grey, or 1 less it, `out_of_distribution` a Mahalanobis distance (Lee et al.,
        NeurIPS 2018, of statistics in place of a net's features) and `other_modality` log-odds.
        """
        rows = self.standard(looks)
        off = rows - self.mean
        found = {
            BLURRED: -looks[:, _SHARP],
            UNDER: 1 - looks[:, _GREY],
            OVER: looks[:, _GREY],
            HAIR: looks[:, _HAIR],
            INK: looks[:, _INK],
            FAR: np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", off, self.precision, off), 0.0)),
        }
        if self.weights is not None:
            found[OTHER] = np.einsum("ni,i->n", rows, self.weights) + self.bias
        return {name: found[name] for name in NAMES if name in found}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the entry `checks` of a modality bundle's manifest."""
        return {
            "format": FORMAT,
            "looks": list(LOOKS),
            "fitted_on": dict(self.fitted_on),
            "centre": self.standard.centre.tolist(),
            "spread": self.standard.spread.tolist(),
            "mean": self.mean.tolist(),
            "precision": self.precision.tolist(),
            "weights": None if self.weights is None else self.weights.tolist(),
            "bias": self.bias,
            "limits": {
                name: {
                    "threshold": limit.threshold,
                    "false_alarm_rate": limit.rate,
                    "images": limit.images,
                    "action": limit.action,
                }
                for name, limit in self.limits.items()
            },
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> SafetyGate:
        """Raises `ContractError` for a newer format, other statistics or shapes, or numbers not finite."""
        try:
            if raw["format"] != FORMAT or tuple(raw["looks"]) != LOOKS:
                raise ContractError(
                    f"the checks have format {raw['format']!r} or other statistics than this version makes; "
                    "fit them again with: dxtree fit-gate"
                )
            vectors = [np.array(raw[key], np.float64) for key in ("centre", "spread", "mean")]
            precision = np.array(raw["precision"], np.float64)
            weights = None if raw["weights"] is None else np.array(raw["weights"], np.float64)
            bias, limits = float(raw["bias"]), {name: _limit(raw["limits"][name]) for name in raw["limits"]}
            fitted_on = dict(raw["fitted_on"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ContractError("the checks of the bundle cannot be read") from error
        _check_numbers([*vectors, *([] if weights is None else [weights])], precision, bias)
        wanted = [name for name in NAMES if name != OTHER or weights is not None]
        if set(limits) != set(wanted):
            raise ContractError(f"the checks need limits of {', '.join(wanted)}, and of nothing else")
        ordered = {name: limits[name] for name in wanted}
        centre, spread, mean = vectors
        return cls(Standard(centre, spread), mean, precision, weights, bias, ordered, fitted_on)


def _limit(raw: Mapping[str, Any]) -> Limit:
    found = Limit(float(raw["threshold"]), float(raw["false_alarm_rate"]), int(raw["images"]), raw["action"])
    if not np.isfinite(found.threshold) or found.action not in get_args(Action):
        raise ContractError(
            f"a limit needs a finite threshold and an action of {', '.join(get_args(Action))}"
        )
    return found


def _check_numbers(vectors: list[FloatArray], precision: FloatArray, bias: float) -> None:
    n = len(LOOKS)
    shapes = all(v.shape == (n,) for v in vectors) and precision.shape == (n, n)
    if not shapes or not all(np.isfinite(v).all() for v in (*vectors, precision, np.array(bias))):
        raise ContractError(f"the checks need finite numbers for each of {n} statistics")
    if not (vectors[1] > 0).all():
        raise ContractError("the checks need spreads above zero")
