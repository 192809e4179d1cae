"""How well does a model set's gate tell what should not be judged, and what does it cost on valid lesions?

Everything is measured on held-out lesions. Intervals are 95 %, from resamples of whole lesions and, for
foreign images, of their sources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from core.case import ImageInput
from core.cohort import LabelledImage
from core.errors import CohortError, InputError
from core.pipeline import Pipeline
from core.probabilities import TreeProbabilities
from core.protocols import ImageResult
from core.split import VALIDATION
from dxtree.gating.foreign import Foreign
from dxtree.gating.looking import chosen, look_at, preprocessings
from modalities.cnn.preprocess import Preprocessing, planes_of
from modalities.gate import SafetyGate, look
from modalities.gate.looks import FloatArray
from plugins.model_set import ModelSet

BLUR = 4.0
"""Standard deviation of the strong blur, pixels of the net's square."""
BLURRED_MOST = 200
RESAMPLES = 1000

Range = tuple[float, float, float]
"""A value with the ends of its 95 % interval."""


@dataclass(frozen=True)
class Rates:
    """What a modality's gate does to `images` of one `kind`, the own held-out images being kind `own`.

    `auroc` and `fpr95` (share of the kind that passes where 95 % of the own pass) are of the score of
    `check`; both are `None` for the own. `refused` is the share that any refusing check stops, `flagged` the
    share that each check flags.
    """

    modality: str
    kind: str
    images: int
    check: str | None
    auroc: Range | None
    fpr95: Range | None
    refused: Range
    flagged: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**vars(self), "flagged": dict(self.flagged)}


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of one modality's net on held-out images, first level of the tree and training class.

    Before the gate on all of them, after it on those that it accepts.
    """

    modality: str
    images: int
    accepted: Range
    level_before: Range
    level_after: Range
    class_before: Range
    class_after: Range

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(vars(self))


@dataclass(frozen=True)
class _Scored:
    scores: Mapping[str, FloatArray]
    groups: tuple[str, ...]


def judge(
    models: ModelSet,
    pipeline: Pipeline,
    images: Sequence[LabelledImage],
    foreign: Sequence[Foreign],
    *,
    most: int = 10_000,
    seed: int = 0,
) -> tuple[list[Rates], list[Accuracy]]:
    """Both tables, for every modality whose bundle has fitted checks. Raises `CohortError` where none has."""
    parts = chosen(images, models, VALIDATION, most, seed)
    rates: list[Rates] = []
    accuracies: list[Accuracy] = []
    for modality, shown in preprocessings(models).items():
        bundle = models.modality_bundle(modality)
        raw = None if bundle is None else bundle.manifest.get("checks")
        if raw is None:
            continue
        gate = SafetyGate.from_dict(raw)
        own, accuracy = _asked(pipeline, modality, parts[modality], seed)
        accuracies.append(accuracy)
        rates.append(_rates(gate, modality, "own", None, own, own, seed))
        for other in (m for m in parts if m != modality):
            looked = look_at(parts[other], shown)
            scored = _Scored(gate.scores(looked.looks), looked.lesions)
            rates.append(_rates(gate, modality, other, "other_modality", own, scored, seed))
        blurred = _blurred(gate, parts[modality][:BLURRED_MOST], shown)
        rates.append(_rates(gate, modality, f"blur of {BLUR:g} pixels", "blurred", own, blurred, seed))
        for kind in dict.fromkeys(f.kind for f in foreign):
            some = [f for f in foreign if f.kind == kind]
            rows = np.stack([look(shown.planes(f.pixels)) for f in some])
            scored = _Scored(gate.scores(rows), tuple(f.source for f in some))
            rates.append(_rates(gate, modality, kind, "out_of_distribution", own, scored, seed))
    if not rates:
        raise CohortError("no bundle of this model set has fitted checks; see dxtree fit-gate")
    return rates, accuracies


def _asked(
    pipeline: Pipeline, modality: str, images: Sequence[LabelledImage], seed: int
) -> tuple[_Scored, Accuracy]:
    model, policy, partition = pipeline.models[modality](), pipeline.gate, pipeline.partition
    taxonomy = partition.taxonomy
    results: list[tuple[LabelledImage, ImageResult]] = []
    for image in images:
        try:
            (result,) = model.predict([ImageInput(modality=modality, path=image.path)])
        except InputError:
            continue
        results.append((image, result))
    if not results:
        raise CohortError(f"no held-out {modality} image can be read")
    names = [check.name for check in results[0][1].checks]
    scores = {n: np.array([_score(r, n) for _, r in results]) for n in names}
    lesions = tuple(image.lesion for image, _ in results)
    accepted = np.array([not policy.refuses(r.checks) for _, r in results], np.float64)
    level = np.full(len(results), np.nan)
    leaf = np.full(len(results), np.nan)
    for k, (image, result) in enumerate(results):
        tree = TreeProbabilities(pipeline.sums, result.probabilities)
        first = [n for n in taxonomy.children(taxonomy.root) if n in tree]
        truth = taxonomy.ancestor_at(image.label, 1)
        if truth in first:
            level[k] = max(first, key=tree.__getitem__) == truth
        owner = partition.class_of(image.label)
        if owner is not None:
            leaf[k] = result.probabilities.classes[int(np.argmax(result.probabilities.values))] == owner
    draws = _draws(lesions, seed)
    accuracy = Accuracy(
        modality,
        len(results),
        _share(accepted, draws),
        _share(level, draws),
        _share(np.where(accepted > 0, level, np.nan), draws),
        _share(leaf, draws),
        _share(np.where(accepted > 0, leaf, np.nan), draws),
    )
    return _Scored(scores, lesions), accuracy


def _score(result: ImageResult, name: str) -> float:
    return next(check.score for check in result.checks if check.name == name)


def _blurred(gate: SafetyGate, images: Sequence[LabelledImage], shown: Preprocessing) -> _Scored:
    from PIL import Image, ImageFilter

    rows, lesions = [], []
    for image in images:
        square = shown.read(ImageInput(modality=image.modality, path=image.path).source).padded
        sharp = Image.fromarray(np.ascontiguousarray(square[..., :3]))
        rows.append(look(planes_of(np.asarray(sharp.filter(ImageFilter.GaussianBlur(BLUR))))))
        lesions.append(image.lesion)
    return _Scored(gate.scores(np.stack(rows)), tuple(lesions))


def _rates(
    gate: SafetyGate, modality: str, kind: str, check: str | None, own: _Scored, other: _Scored, seed: int
) -> Rates:
    flagged = {n: other.scores[n] > limit.threshold for n, limit in gate.limits.items()}
    stops = [flagged[n] for n, limit in gate.limits.items() if limit.action == "refuse"]
    refused = np.any(stops, axis=0).astype(np.float64) if stops else np.zeros(len(other.groups))
    draws = _draws(other.groups, seed + 1)
    auroc = fpr = None
    if check is not None and check in own.scores:
        auroc, fpr = _separation(own.scores[check], other.scores[check], _draws(own.groups, seed), draws)
    return Rates(
        modality,
        kind,
        len(refused),
        check if auroc else None,
        auroc,
        fpr,
        _share(refused, draws),
        {n: float(f.mean()) for n, f in flagged.items()},
    )


def _separation(
    own: FloatArray, other: FloatArray, draws: FloatArray, others: FloatArray
) -> tuple[Range, Range]:
    """AUROC of telling `other` by larger scores, and the share of it that passes where 95 % of `own` pass."""
    wins = (other[None] > own[:, None]) + 0.5 * (other[None] == own[:, None])
    order = np.argsort(own)

    def at(weights: FloatArray, against: FloatArray) -> tuple[float, float]:
        auroc = float(weights @ wins @ against / (weights.sum() * against.sum()))
        reached = np.searchsorted(np.cumsum(weights[order]), 0.95 * weights.sum() - 1e-9)
        passed = other <= own[order[min(int(reached), len(own) - 1)]]
        return auroc, float(against @ passed / against.sum())

    value = at(np.ones(len(own)), np.ones(len(other)))
    sampled = np.array([at(w, a) for w, a in zip(draws, others, strict=True)])
    low, high = np.quantile(sampled, [0.025, 0.975], axis=0)
    return (value[0], float(low[0]), float(high[0])), (value[1], float(low[1]), float(high[1]))


def _draws(groups: Sequence[str], seed: int) -> FloatArray:
    """How often each row stands in each of `RESAMPLES` draws of whole groups, resamples x rows."""
    places = {name: k for k, name in enumerate(dict.fromkeys(groups))}
    index: npt.NDArray[np.int64] = np.array([places[g] for g in groups], np.int64)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(places), np.full(len(places), 1 / len(places)), RESAMPLES)
    return counts[:, index].astype(np.float64)


def _share(hits: FloatArray, draws: FloatArray) -> Range:
    """Mean of the hits that are known, with its interval."""
    known = ~np.isnan(hits)
    if not known.any():
        return (float("nan"),) * 3
    weights = draws[:, known]
    sampled = weights @ hits[known] / np.maximum(weights.sum(axis=1), 1e-9)
    low, high = np.quantile(sampled, [0.025, 0.975])
    return float(hits[known].mean()), float(low), float(high)
