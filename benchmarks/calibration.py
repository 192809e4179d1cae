r"""How well calibrated is each fuser out of fold, before and after each calibrator?

    python benchmarks/calibration.py --run runs/clinical --run runs/dermoscopy \
        --cohort milk10k=data/milk10k --cohort ham10000=data/ham10000 --fuser bayes --calibrator tree

Takes the training runs and cohorts of `dxtree fit-fusion`. Fusers and calibrators are fitted on the lesions
of other folds than those they are judged on; a calibrator on one cohort or, as "all", on all of them, on
answers from all inputs and from some. Judged is the answer from everything that is known. Columns, at first
level, second level and training classes: calibration error of the top label over 15 bins of equal mass,
(what chance alone gives), Brier score, balanced accuracy; last, log loss of the training classes. The last
line of a fit names the calibrator that `dxtree fit-fusion` chooses. Research use, not a medical device.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.partition import Partition
from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.cli.options import registry_of
from dxtree.cohorts.reading import read_cohorts
from dxtree.evaluation.calibration import calibrated_errors, calibration_error
from dxtree.evaluation.counting import balanced_accuracy
from dxtree.evaluation.metrics import value_of
from dxtree.evaluation.proper import squared_error
from dxtree.fitting import POOLED, out_of_fold_evidence
from fusion.balance import ancestors
from fusion.calibrating.affine import logs
from fusion.calibrating.answers import Answers, answers_of
from fusion.calibrating.calibrator import KINDS
from fusion.calibrating.choice import Apply, chosen, losses
from fusion.calibrating.fit import CHOICES, fit_calibrator
from modalities.training.run import open_run
from plugins.registry import Registry
from plugins.specs import FusionCase

LEVELS = {"level 1": 1, "level 2": 2, "classes": 99}
RESAMPLES = 500


def main() -> None:
    """Prints one row a fuser, calibrator, cohort of its fit and cohort it is judged on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--run", action="append", required=True, type=Path)
    parser.add_argument("--cohort", action="append", required=True)
    parser.add_argument("--fuser", action="append", required=True)
    parser.add_argument("--calibrator", action="append", choices=KINDS)
    parser.add_argument("--taxonomy", default="isic_diagnosis")
    given = parser.parse_args()
    registry = registry_of(None)
    cases, partition = evidence(registry, given.run, given.cohort, given.taxonomy)
    for fuser in given.fuser:
        answers = answers_of(registry.fusers.get(fuser), cases, partition, 0)
        cohorts = sorted(set(answers.cohort))
        for fitted in (*cohorts, *([POOLED] if len(cohorts) > 1 else [])):
            judge(fuser, fitted, answers, partition, given.calibrator or CHOICES)


def evidence(
    registry: Registry, folders: Sequence[Path], cohorts: Sequence[str], taxonomy: str
) -> tuple[list[FusionCase], Partition]:
    """Cases of the runs, as `dxtree fit-fusion` has them."""
    tree = registry.taxonomies.get(taxonomy).load()
    images = read_cohorts(registry, cohorts, tree)
    runs = [open_run(folder, tree, images) for folder in folders]
    return out_of_fold_evidence(runs), runs[0].partition


def judge(fuser: str, fitted: str, answers: Answers, partition: Partition, kinds: Sequence[str]) -> None:
    """Rows of one fuser and one cohort of the fit, and what is chosen."""
    some = answers if fitted == POOLED else answers.of(fitted)
    whole = first_views(some)
    for kind in kinds:
        rows = crossed(some, kind, partition)
        for cohort in sorted({some.cohort[k] for k in whole}):
            inside = [k for k in whole if some.cohort[k] == cohort]
            line = measured(rows[inside], some.truth[inside], partition)
            print(f"{fuser}, {kind} of {fitted}, on {len(inside):,} of {cohort}: {line}", flush=True)
    fits = {k: (lambda a, k=k: fitted_on(a, k, partition)) for k in CHOICES}
    print(f"{fuser}, chosen of {fitted}: {chosen(some, losses(some, fits), CHOICES)}", flush=True)


def first_views(answers: Answers) -> list[int]:
    """The row of each lesion of a cohort in which everything is known: the first."""
    keys = list(zip(answers.cohort, answers.lesion.tolist(), strict=True))
    return [k for k, key in enumerate(keys) if k == 0 or key != keys[k - 1]]


def fitted_on(answers: Answers, kind: str, partition: Partition) -> Apply:
    """The `apply_rows` of a calibrator of these answers."""
    return fit_calibrator(kind, answers.probabilities, answers.truth, partition, answers.weight).apply_rows


def crossed(answers: Answers, kind: str, partition: Partition) -> FloatArray:
    """Every row calibrated by a calibrator of the other folds."""
    found = np.empty_like(answers.probabilities)
    for fold in np.unique(answers.fold):
        inside = np.flatnonzero(answers.fold == fold)
        rest = answers.rows(np.flatnonzero(answers.fold != fold))
        found[inside] = fitted_on(rest, kind, partition)(answers.probabilities[inside])
    return found


def measured(rows: FloatArray, truth: IntArray, partition: Partition) -> str:
    """One line of numbers."""
    told = []
    for name, level in LEVELS.items():
        groups = list(ancestors(partition, level).values()) if level < 99 else list(partition.ids)
        names = sorted(set(groups), key=groups.index)
        place = np.array([names.index(g) for g in groups])
        sums = rows @ (place[:, None] == np.arange(len(names))).astype(np.float64)
        right = sums.argmax(axis=1) == place[truth]
        error = value_of(calibration_error(sums.max(axis=1), right), len(truth))
        chance = calibrated_errors(sums.max(axis=1), resamples=RESAMPLES, seed=0).mean()
        brier = squared_error(sums, place[truth]).mean()
        recall = value_of(balanced_accuracy(right, place[truth]), len(truth))
        told.append(f"{name} {error:.3f} ({chance:.3f}) {brier:.3f} {recall:.3f}")
    loss = -logs(rows[np.arange(len(truth)), truth]).mean()
    return f"{'; '.join(told)}; {loss:.3f}"


if __name__ == "__main__":
    main()
