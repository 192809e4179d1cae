"""What did every arm answer, once all fits are done, and which arms are one and the same?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.case import FIELDS
from core.tree import FloatArray
from dxtree.benchmark.arms import Arm
from dxtree.benchmark.material import Material
from dxtree.benchmark.running import FINAL, Fit, Inputs

PERMUTED = "metadata permuted"


@dataclass(frozen=True)
class Answered:
    """Probabilities of the training classes by arm, over one cohort's lesions.

    `judged`: judged lesions x classes. `fitting`: the cross-fitted answers for the lesions that fusers were
    fitted on, on which thresholds and calibrators are chosen; the same arrays where those are judged. NaN
    where a lesion lacks one of the arm's modalities. `same` maps an arm whose answers equal another's to the
    bit to that other one; it has no row of its own. `empty`: arms without an answer for any lesion.
    """

    material: Material
    judged: Mapping[Arm, FloatArray]
    fitting: Mapping[Arm, FloatArray]
    same: Mapping[Arm, Arm]
    empty: tuple[Arm, ...]


def gather_answers(
    materials: Sequence[Material],
    answers: Mapping[Fit, Mapping[str, FloatArray]],
    fusers: Sequence[str],
    inputs: Inputs,
    control: str | None,
) -> list[Answered]:
    """One `Answered` a material, its arms in the order of the fusers and of the inputs."""
    found = []
    whole = _largest(inputs)
    for k, material in enumerate(materials):
        fitting: dict[Arm, FloatArray] = {}
        judged: dict[Arm, FloatArray] = {}
        for name in inputs:
            for fuser in fusers:
                if Fit(k, fuser, 0) not in answers:  # nothing to learn here; see `Material.teaches`
                    continue
                arm = Arm(material.evidence, fuser, name)
                fitting[arm], judged[arm] = _joined(material, answers, k, fuser, name, control=False)
        if control is not None and whole is not None and Fit(k, control, 0, control=True) in answers:
            arm = Arm(material.evidence, control, whole, PERMUTED)
            fitting[arm], judged[arm] = _joined(material, answers, k, control, whole, control=True)
        found.append(_distinct(material, judged, fitting))
    return found


def _joined(
    material: Material,
    answers: Mapping[Fit, Mapping[str, FloatArray]],
    k: int,
    fuser: str,
    name: str,
    *,
    control: bool,
) -> tuple[FloatArray, FloatArray]:
    crossed = np.full((len(material.fitting), len(material.partition.ids)), np.nan)
    for fold in range(material.folds):
        crossed[material.fold == fold] = answers[Fit(k, fuser, fold, control)][name]
    return crossed, crossed if material.crossed else answers[Fit(k, fuser, FINAL, control)][name]


def _distinct(
    material: Material, judged: Mapping[Arm, FloatArray], fitting: Mapping[Arm, FloatArray]
) -> Answered:
    """Arms that answer, without those that another arm before them equals to the bit."""
    kept: dict[bytes, Arm] = {}
    same: dict[Arm, Arm] = {}
    empty = []
    for arm, values in judged.items():
        if np.isnan(values).all():
            empty.append(arm)
            continue
        first = kept.setdefault(values.tobytes(), arm)
        if first is not arm:
            same[arm] = first
    arms = list(kept.values())
    return Answered(material, {a: judged[a] for a in arms}, {a: fitting[a] for a in arms}, same, tuple(empty))


def _largest(inputs: Inputs) -> str | None:
    """The set with the most inputs that holds metadata; `None` where none does."""
    with_metadata = [n for n, members in inputs.items() if set(members) & set(FIELDS)]
    return max(with_metadata, key=lambda n: len(inputs[n]), default=None)
