"""From training runs to a model set: cases with out-of-fold evidence, fitted fusers, one folder.

A fuser is never fitted on evidence of images that the net was trained on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from core.cohort import Lesion, lesions
from core.errors import TrainingError, did_you_mean
from core.partition import Partition
from core.probabilities import LeafProbabilities, mean
from core.protocols import Evidence
from core.split import Split
from fusion.calibrating.answers import answers_of
from fusion.calibrating.fit import calibration_bundle
from fusion.training import fit_fuser
from modalities.training.evidence import read_evidence
from modalities.training.run import Run, read_data
from plugins.model_set import UNCALIBRATED, BundleFiles
from plugins.registry import Registry, guarded
from plugins.specs import FusionCase

POOLED = "all"
"""Name of the calibration that is fitted on the lesions of all cohorts."""

ByImage = dict[tuple[str, str], dict[str, tuple[LeafProbabilities, LeafProbabilities]]]


def out_of_fold_evidence(runs: Sequence[Run], temperatures: Mapping[str, float]) -> list[FusionCase]:
    """One case a lesion and cohort, with evidence of every modality that has images of it.

    Logits are divided by the modality's temperature, as its bundle will do. Raises `TrainingError` where
    the runs differ in partition or split, or a fold is not trained.
    """
    first = runs[0]
    for run in runs[1:]:
        if run.partition.fingerprint != first.partition.fingerprint or run.split != first.split:
            raise TrainingError(f"{run.folder.name} and {first.folder.name} differ in partition or split")
    found: ByImage = defaultdict(dict)
    for run in runs:
        for target in run.targets()[1:]:
            _read_fold(run, target, temperatures[run.config.modality], found)
    every = [i for run in runs for i in run.images]
    cases = (_case(lesion, first.partition, first.split, found) for lesion in lesions(every))
    return [case for case in cases if case is not None]


def _read_fold(run: Run, target: str, temperature: float, found: ByImage) -> None:
    if not run.is_finished(target):
        raise TrainingError(f"{target} of {run.folder.name} is not trained yet")
    if not run.evidence_images(target):
        return
    keys, logits, classes = read_evidence(run.folder / target / "evidence.csv")
    prior = LeafProbabilities.from_weights(
        classes, [read_data(run.folder / target)["prior"][c] for c in classes]
    )
    for (image, _, cohort), row in zip(keys, logits, strict=True):
        answer = LeafProbabilities.from_logits(classes, row / temperature)
        found[cohort, image][run.config.modality] = (answer, prior)


def _case(lesion: Lesion, partition: Partition, split: Split, found: ByImage) -> FusionCase | None:
    truth = partition.class_of(lesion.label)
    if lesion.lesion not in split.fold or truth is None:
        return None
    grouped: dict[str, list[tuple[LeafProbabilities, LeafProbabilities]]] = defaultdict(list)
    for image in lesion.images:
        # Two runs may have read one image, each under its own modality.
        answer = found.get((image.cohort, image.image), {}).get(image.modality)
        if answer is not None:
            grouped[image.modality].append(answer)
    evidence = tuple(
        Evidence(modality, mean(a for a, _ in answers), answers[0][1], len(answers))
        for modality, answers in sorted(grouped.items())
    )
    if not evidence:
        return None
    return FusionCase(
        lesion.lesion, lesion.cohort, split.fold[lesion.lesion], evidence, lesion.patient, truth
    )


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
