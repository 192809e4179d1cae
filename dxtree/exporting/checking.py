"""Do engines give the answers of the source on real images? One pass, all engines side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.cohort import LabelledImage, Lesion
from core.errors import CohortError, DxtreeError, InputError
from core.probabilities import LeafProbabilities
from core.tree import FloatArray
from dxtree.evaluation.bounds import bounds
from dxtree.evaluation.intervals import group_index, sample
from dxtree.exporting.images import seen
from dxtree.exporting.truth import Judged
from modalities.cnn.preprocess import Preprocessing
from modalities.engines import Engine, finite
from modalities.engines.checking import Findings

Bounds = tuple[float, float]
Progress = Callable[[int, int], None]
"""Images done, images in all."""
MAX_BAD_FRACTION = 0.01
"""As in training: where more images cannot be read, something else is wrong."""


@dataclass(frozen=True)
class Answers:
    """Probabilities of the training classes by engine, images x classes, and the lesion of each row.

    `unread`: images that could not be read; `faults`: engine to the code of the error that ended it.
    """

    values: Mapping[str, FloatArray]
    owner: Sequence[int]
    unread: int = 0
    faults: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Checked:
    """What was found of one engine, with 95 % intervals of its changes over paired resamples of lesions.

    An interval is `None` where the lesions do not define it.
    """

    engine: str
    findings: Findings
    balanced_accuracy_interval: Bounds | None = None
    auc_interval: Bounds | None = None


def answer(
    lesions: Sequence[Lesion],
    engines: Mapping[str, Engine],
    preprocessing: Preprocessing,
    classes: tuple[str, ...],
    temperature: float,
    progress: Progress | None = None,
) -> Answers:
    """Every engine on every image, one at a time as for a diagnosis, so that no image is kept.

    An engine that raises for an image is asked no more. Raises `CohortError` where more than 1 % of the
    images cannot be read.
    """
    every = [(k, image) for k, lesion in enumerate(lesions) for image in lesion.images]
    rows: dict[str, list[FloatArray]] = {name: [] for name in engines}
    faults: dict[str, str] = {}
    owner: list[int] = []
    unread: list[LabelledImage] = []
    for done, (k, image) in enumerate(every, start=1):
        try:
            tensor = seen(image, preprocessing)
        except InputError:
            unread.append(image)
            continue
        owner.append(k)
        for name, engine in engines.items():
            if name in faults:
                continue
            try:
                logits = finite(engine(tensor))[0].astype(np.float64) / temperature
                rows[name].append(LeafProbabilities.from_logits(classes, logits).values)
            except DxtreeError as error:
                faults[name] = error.code
        if progress is not None:
            progress(done, len(every))
    if len(unread) > MAX_BAD_FRACTION * len(every):
        raise CohortError(
            f"{len(unread)} of {len(every)} images cannot be read, {unread[0].image} for one; "
            "at most 1 % may be"
        )
    values = {name: np.array(found) for name, found in rows.items() if name not in faults}
    return Answers(values, owner, len(unread), faults)


def check_engines(
    answers: Answers, against: str, judged: Judged, lesions: Sequence[Lesion], *, resamples: int, seed: int
) -> dict[str, Checked]:
    """Each engine but the one that stands for the source, held against that one.

    Lesions answer with the mean over their images and are drawn as patients' lesions: rows of one lesion in
    two cohorts go together. Raises `CohortError` where the source itself did not answer.
    """
    if against not in answers.values:
        raise CohortError(
            f"{against} did not answer for an image ({answers.faults.get(against, 'no image')})"
        )
    kept = sorted(set(answers.owner))
    part = judged.select(np.array(kept, np.int64))
    groups = group_index([lesions[k].lesion for k in kept])
    statistics = {
        (name, key): statistic
        for name, values in answers.values.items()
        for key, statistic in part.statistics(by_lesion(values, answers.owner, kept)).items()
    }
    sampled = sample(statistics, groups, resamples=resamples, seed=seed)
    source = answers.values[against]
    found = {name: Checked(name, Findings(fault=code)) for name, code in answers.faults.items()}
    for name, values in answers.values.items():
        if name == against:
            continue
        changes = {k: sampled[name, k].minus(sampled[against, k]) for k in ("balanced_accuracy", "auc")}
        limits = {k: bounds(change, "percentile") for k, change in changes.items()}
        told: dict[str, Bounds | None] = {
            k: None if b is None else (b.low, b.high) for k, b in limits.items()
        }
        findings = Findings(
            largest_difference=float(np.abs(values - source).max()),
            mean_difference=float(np.abs(values - source).mean()),
            same_top_class=float((values.argmax(axis=1) == source.argmax(axis=1)).mean()),
            balanced_accuracy_change=_defined(changes["balanced_accuracy"].value),
            auc_change=_defined(changes["auc"].value),
        )
        found[name] = Checked(name, findings, told["balanced_accuracy"], told["auc"])
    return found


def by_lesion(values: FloatArray, owner: Sequence[int], kept: Sequence[int]) -> FloatArray:
    """The mean over each lesion's images: lesions x classes."""
    place = {k: row for row, k in enumerate(kept)}
    rows = np.array([place[k] for k in owner], np.int64)
    sums = np.zeros((len(kept), values.shape[1]))
    np.add.at(sums, rows, values)
    return sums / np.bincount(rows, minlength=len(kept))[:, None]


def _defined(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
