"""From training runs to a model set: cases with out-of-fold evidence, fitted fusers, one folder.

A fuser is never fitted on evidence of images that the net was trained on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from core.cohort import Lesion, lesions
from core.errors import TrainingError
from core.partition import Partition
from core.pipeline import mean
from core.probabilities import LeafProbabilities
from core.protocols import Evidence
from core.split import Split
from fusion.training import fit_fuser
from modalities.training.evidence import read_evidence
from modalities.training.run import Run, read_data
from plugins.registry import Registry, guarded
from plugins.specs import FusionCase

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
        for modality, answer in found.get((image.cohort, image.image), {}).items():
            grouped[modality].append(answer)
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
) -> dict[str, tuple[Mapping[str, Any], Mapping[str, bytes]]]:
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
