"""Which calibrator? The simplest whose log loss on other folds cannot be told from the least."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from core.errors import TrainingError
from core.tree import FloatArray
from fusion.calibrating.affine import FLOOR
from fusion.calibrating.answers import Answers

Apply = Callable[[FloatArray], FloatArray]
Fit = Callable[[Answers], Apply]


def losses(answers: Answers, fits: Mapping[str, Fit]) -> dict[str, FloatArray]:
    """Log loss of each row under each calibrator, fitted on the other folds.

    Raises `TrainingError` where all answers are of one fold.
    """
    folds = np.unique(answers.fold)
    if len(folds) < 2:
        raise TrainingError("the answers are of one fold; a calibrator is chosen on two at least")
    found = {name: np.empty(len(answers.truth)) for name in fits}
    for fold in folds.tolist():
        inside = np.flatnonzero(answers.fold == fold)
        asked, rest = answers.rows(inside), answers.rows(np.flatnonzero(answers.fold != fold))
        for name, fit in fits.items():
            said = fit(rest)(asked.probabilities)[np.arange(len(inside)), asked.truth]
            found[name][inside] = -np.log(np.maximum(said, FLOOR))
    return found


def chosen(answers: Answers, by_name: Mapping[str, FloatArray], order: Sequence[str]) -> str:
    """The first in `order`, simplest first, whose loss is within one standard error of the least.

    The standard error is that of the difference to the best, over lesions: the rule of Breiman et al. (1984)
    with paired differences, as all are judged on the same lesions.
    """
    weight = answers.weight
    mean = {name: float(weight @ loss / weight.sum()) for name, loss in by_name.items()}
    best = min(order, key=lambda name: mean[name])
    for name in order:
        excess = mean[name] - mean[best]
        spread = weight * (by_name[name] - by_name[best] - excess)
        error = np.sqrt((np.bincount(answers.lesion, spread) ** 2).sum()) / weight.sum()
        if excess <= error:
            return name
    return best
