"""From training runs to a model set: cases with out-of-fold evidence, fitted fusers, one folder.

A fuser is never fitted on evidence of images that the net was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from core.cohort import lesions
from core.errors import TrainingError, did_you_mean
from core.partition import Partition
from dxtree.benchmark.collecting import from_runs
from dxtree.benchmark.evidence import HELD_OUT
from fusion.calibrating.answers import answers_of
from fusion.calibrating.fit import calibration_bundle
from fusion.training import fit_fuser
from modalities.training.run import Run
from plugins.model_set import UNCALIBRATED, BundleFiles
from plugins.registry import Registry, guarded
from plugins.specs import FusionCase

POOLED = "all"
"""Name of the calibration that is fitted on the lesions of all cohorts."""


def out_of_fold_evidence(runs: Sequence[Run]) -> list[FusionCase]:
    """One case a lesion and cohort, with evidence of every modality that has images of it.

    Logits are divided by the temperature of the run's bundle. Raises what `from_runs` raises.
    """
    every = [image for run in runs for image in run.images]
    return [case for case in from_runs(runs).cases(lesions(every)) if case.fold != HELD_OUT]


def fit_fusers(
    registry: Registry,
    names: Sequence[str],
    cases: Sequence[FusionCase],
    partition: Partition,
    seed: int,
    licence: str,
    progress: Callable[[str], None],
) -> dict[str, BundleFiles]:
    """Fits every named fuser that learns something, `licence` being that of its data.

    Raises `PluginError` for an unknown name and what `fusion.training.fit_fuser` raises.
    """
    fitted = {}
    for name in names:
        spec = registry.fusers.get(name)
        if spec.fit is not None:
            progress(name)
            fit = partial(fit_fuser, spec, cases, partition, seed, licence)
            fitted[name] = guarded(f"fitting {name!r}", fit)
    return fitted


def check_calibration(name: str, cases: Sequence[FusionCase]) -> None:
    """Raises `TrainingError` where `fit_calibrations` will make none of this name, unless it is "none"."""
    known = (UNCALIBRATED, *(sorted(parts_of(cases)) if cases else ()))
    if name not in known:
        raise TrainingError(
            f"no calibration {name!r} can be fitted; there are {', '.join(known)}{did_you_mean(name, known)}"
        )


def parts_of(cases: Sequence[FusionCase]) -> tuple[str, ...]:
    """Names of the calibrations: `POOLED`, and each cohort where there are several."""
    cohorts = sorted({c.cohort for c in cases})
    return (POOLED, *cohorts) if len(cohorts) > 1 else (POOLED,)


def fit_calibrations(
    registry: Registry,
    names: Sequence[str],
    cases: Sequence[FusionCase],
    partition: Partition,
    seed: int,
    licence: str,
    progress: Callable[[str], None],
) -> dict[str, dict[str, BundleFiles]]:
    """For every named fuser a calibration on each cohort's lesions and one, `POOLED`, on those of all.

    All are fitted on what the fuser says about lesions of other folds than it was fitted on. With one cohort
    there is the pooled one alone. Raises `PluginError` for an unknown name and what `answers_of` and
    `calibration_bundle` raise.
    """
    found: dict[str, dict[str, BundleFiles]] = {}
    for name in names:
        spec = registry.fusers.get(name)
        progress(name)
        answers = guarded(f"fitting {name!r}", partial(answers_of, spec, cases, partition, seed))
        parts = {part: answers if part == POOLED else answers.of(part) for part in parts_of(cases)}
        found[name] = {
            part: calibration_bundle(some, name, part, partition, licence=licence)
            for part, some in parts.items()
        }
    return found
