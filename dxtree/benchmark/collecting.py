"""Where does an evidence set come from? From training runs, or from a model set over lesions it never saw."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.case import ImageInput
from core.checks import GatePolicy
from core.cohort import LabelledImage
from core.errors import CohortError, InputError, TrainingError
from core.files import write_whole
from core.manifest import read_bundle
from core.pipeline import Pipeline
from core.probabilities import LeafProbabilities
from core.protocols import ImageResult, ModalityModel
from core.split import TRAINING
from dxtree.benchmark.evidence import HELD_OUT, Answers, EvidenceSet
from modalities.training.evidence import read_evidence
from modalities.training.run import Run, read_data
from modalities.training.starting import FINAL
from plugins.model_set import MODALITY_MANIFEST, ModelSet, hashed

CHUNK = 200
"""Images that are answered between two writes: an interruption costs some seconds of work."""

TINY = 1e-300
"""Added to a probability before its logarithm, so that a probability of exactly 0 stays finite."""

Progress = Callable[[int, int, float], None]
"""Images done, images in all, images a second so far."""


def from_runs(runs: Sequence[Run]) -> EvidenceSet:
    """Out-of-fold answers of every fold's net, and the final nets' answers for the validation part.

    The temperature is the one of the run's bundle. Raises `TrainingError` where runs differ in partition or
    split, two are of one modality, or a net is not trained.
    """
    first = runs[0]
    for run in runs[1:]:
        if run.partition.fingerprint != first.partition.fingerprint or run.split != first.split:
            raise TrainingError(f"{run.folder.name} and {first.folder.name} differ in partition or split")
    if len({r.config.modality for r in runs}) < len(runs):
        raise TrainingError("two runs are of one modality; give one run a modality")
    about = {
        "source": "training runs",
        "folds": first.split.folds,
        "nets": {r.config.modality: r.config.model_dump(mode="json", exclude_unset=True) for r in runs},
        "licences": {r.config.modality: _bundle(r).get("licence", "not stated") for r in runs},
    }
    return EvidenceSet(first.partition, {r.config.modality: _of_run(r) for r in runs}, about)


def _bundle(run: Run) -> Mapping[str, Any]:
    return read_bundle(run.folder / "bundle", MODALITY_MANIFEST).manifest


def _of_run(run: Run) -> Answers:
    keys: list[tuple[str, str]] = []
    parts, folds = [], []
    priors: dict[int, LeafProbabilities] = {}
    for target in run.targets():
        if not run.is_finished(target):
            raise TrainingError(f"{target} of {run.folder.name} is not trained yet")
        if not run.evidence_images(target):
            continue
        fold = HELD_OUT if target == FINAL else int(target.removeprefix("fold-"))
        path = run.folder / ("validation.csv" if target == FINAL else f"{target}/evidence.csv")
        found, logits, classes = read_evidence(path)
        if classes != run.partition.ids:
            raise TrainingError(f"{path.name} of {run.folder.name} is over other training classes")
        prior = read_data(run.folder / target)["prior"]
        priors[fold] = LeafProbabilities.from_weights(classes, [prior[c] for c in classes])
        keys += [(cohort, hashed(image)) for image, _, cohort in found]
        parts.append(logits.astype(np.float32))
        folds += [fold] * len(found)
    temperature = float(_bundle(run)["temperature"])
    return Answers(
        run.config.modality,
        tuple(keys),
        np.concatenate(parts),
        np.array(folds, np.int64),
        temperature,
        priors,
    )


def from_models(
    images: Sequence[LabelledImage],
    models: ModelSet,
    pipeline: Pipeline,
    partial: Path,
    progress: Progress | None = None,
) -> EvidenceSet:
    """Asks a model set's nets about every image of a modality that they read and did not train on.

    Images of lesions that trained the set are left out, and so are those that a model refuses or that its
    gate stops; `about["left_out"]` counts them by reason. Finished chunks are kept in `partial`: the same
    call goes on from there. Raises `CohortError` where nothing is left.
    """
    left_out: Counter[str] = Counter()
    chosen = []
    for image in images:
        if models.part_of(image.lesion) == TRAINING:
            left_out["the lesion trained these models"] += 1
        elif image.modality not in pipeline.models:
            left_out[f"no model for {image.modality}"] += 1
        else:
            chosen.append(image)
    if not chosen:
        raise CohortError("no image is left that these models read and did not train on")
    done, start = 0, time.perf_counter()
    answers = {}
    for modality in sorted({i.modality for i in chosen}):
        own = [i for i in chosen if i.modality == modality]
        model = pipeline.models[modality]()
        rows: list[list[float]] = []
        for k, part in enumerate(_chunks(own)):
            rows += _chunk(partial / f"{modality}-{k}.json", model, part, pipeline, left_out)
            done += len(part)
            if progress is not None:
                progress(done, len(chosen), done / max(time.perf_counter() - start, 1e-9))
        kept = [(i, row) for i, row in zip(own, rows, strict=True) if row]
        if kept:
            answers[modality] = _of_model(modality, model, kept)
    if not answers:
        raise CohortError("no image of this cohort got an answer; see the reasons that the models give")
    shutil.rmtree(partial, ignore_errors=True)
    about = {
        "source": "model set",
        "models": {"name": str(models.bundle.manifest.get("name")), "digest": models.bundle.digest},
        "left_out": dict(sorted(left_out.items())),
    }
    return EvidenceSet(pipeline.partition, answers, about)


def _chunks(images: Sequence[LabelledImage]) -> Iterator[Sequence[LabelledImage]]:
    return (images[k : k + CHUNK] for k in range(0, len(images), CHUNK))


def _chunk(
    path: Path,
    model: ModalityModel,
    images: Sequence[LabelledImage],
    pipeline: Pipeline,
    left_out: Counter[str],
) -> list[list[float]]:
    """Log probabilities of each image, an empty list where there are none; kept in a file."""
    key = [[i.cohort, i.image] for i in images] + [
        dict(model.provenance),
        pipeline.partition.fingerprint,
        *([dict(sorted(pipeline.gate.actions.items()))] if pipeline.gate.actions else []),
    ]
    if path.is_file():
        document = json.loads(path.read_text("utf-8"))
        if document["key"] == key:
            left_out.update(document["left_out"])
            rows: list[list[float]] = document["rows"]
            return rows
    reasons: Counter[str] = Counter()
    rows = [_ask(model, image, pipeline.gate, reasons) for image in images]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps({"key": key, "left_out": reasons, "rows": rows}).encode())
    left_out.update(reasons)
    return rows


def _ask(model: ModalityModel, image: LabelledImage, gate: GatePolicy, reasons: Counter[str]) -> list[float]:
    try:
        result: ImageResult = model.predict([ImageInput(modality=image.modality, path=image.path)])[0]
    except InputError as error:
        reasons[f"{image.modality}: {error.code}"] += 1
        return []
    if result.concerns or gate.refuses(result.checks):
        reasons[f"{image.modality}: stopped by the quality gate"] += 1
        return []
    found: list[float] = np.log(result.probabilities.values + TINY).tolist()
    return found


def _of_model(
    modality: str, model: ModalityModel, kept: Sequence[tuple[LabelledImage, list[float]]]
) -> Answers:
    keys = tuple((i.cohort, hashed(i.image)) for i, _ in kept)
    logits = np.array([row for _, row in kept], np.float32)
    fold = np.full(len(kept), HELD_OUT, np.int64)
    return Answers(modality, keys, logits, fold, 1.0, {HELD_OUT: model.prior})
