"""How good are the images alone and each way of fusing, on the same lesions, and is the gain real?"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from core.cohort import Lesion
from core.errors import CohortError
from core.partition import Partition
from core.pipeline import Pipeline
from core.protocols import Fuser
from dxtree.evaluation.gathering import VARIANTS, Predictions, Progress, gather, predict
from dxtree.evaluation.labels import LEAVES, OFFICIAL, UNKNOWN, LabelSet, LabelSets, label_sets
from dxtree.evaluation.results import Block, Difference, Evaluation, Table
from dxtree.evaluation.scoreboard import Scoreboard
from plugins.specs import CohortSpec


def evaluate(
    lesions: Sequence[Lesion],
    pipeline: Pipeline,
    fusers: Mapping[str, Fuser],
    cohort: CohortSpec,
    *,
    part: str = "all",
    variants: Sequence[str] = tuple(VARIANTS),
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Runs the pipeline's models once over the lesions and scores every way to combine them.

    `fusers` are compared by name; the pipeline's own fuser plays no part. `part` says which lesions these
    are ("all", "validation") and is repeated in the result.

    Raises `CohortError` where there is no lesion or none gets an answer.
    """
    if not lesions:
        raise CohortError(f"{cohort.name}: there is no lesion to evaluate")
    gathering = gather(lesions, pipeline, progress=progress)
    predictions = predict(gathering, pipeline, fusers, variants=variants)
    provenance = {
        "pipeline": dict(pipeline.provenance),
        "models": gathering.models(),
        "fusers": {name: _provenance(fuser) for name, fuser in fusers.items()},
    }
    return score(predictions, cohort, part=part, resamples=resamples, seed=seed, provenance=provenance)


def score(
    predictions: Predictions,
    cohort: CohortSpec,
    *,
    part: str = "all",
    resamples: int = 1000,
    seed: int = 0,
    provenance: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Scores predictions that exist already. Raises `CohortError` where there are none."""
    if not predictions.values:
        codes = sorted({f.code for f in predictions.failures})
        raise CohortError(
            f"{cohort.name}: no lesion got an answer ({', '.join(codes) or 'no evidence'}); "
            "check that the images belong to the models' modalities"
        )
    labels = label_sets(predictions.lesions, predictions.partition, cohort)
    board = Scoreboard(predictions, cohort, resamples, seed)
    pipelines, differences = _headline(board, labels)
    chosen = _headline_set(labels.sets)
    judged = predictions.common() & (chosen.truth != UNKNOWN)
    return Evaluation(
        cohort=cohort.name,
        part=part,
        predictions=predictions,
        labels=labels,
        malignant=cohort.malignant,
        pipelines=pipelines,
        available=_available(board, labels),
        differences=differences,
        headline_set=chosen.name,
        subgroups=board.subgroups(chosen, np.flatnonzero(judged)),
        resamples=resamples,
        seed=seed,
        provenance={**environment(predictions.lesions, predictions.partition), **(provenance or {})},
    )


def environment(lesions: Sequence[Lesion], partition: Partition) -> dict[str, Any]:
    """Versions, threads and a digest of the data: ids, labels and classes, not pixels."""
    keys = [[i.cohort, i.lesion, i.label, i.official, [p.image for p in i.images]] for i in lesions]
    try:
        own = version("dxtree")
    except PackageNotFoundError:
        own = "not installed"
    return {
        "dxtree": own,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "threads": os.environ.get("OMP_NUM_THREADS", "not limited"),
        "data": hashlib.sha256(json.dumps(sorted(keys, key=str)).encode()).hexdigest(),
        "partition": partition.fingerprint,
    }


def _provenance(fuser: Fuser) -> dict[str, str]:
    try:
        return {str(key): str(value) for key, value in fuser.provenance.items()}
    except Exception as error:  # a plugin may raise anything; it costs the record, not the evaluation
        return {"error": type(error).__name__}


def _headline(board: Scoreboard, labels: LabelSets) -> tuple[Table, tuple[Difference, ...]]:
    """Every pipeline and every comparison, on the lesions that all pipelines answer for."""
    names, common = tuple(board.predictions.values), board.predictions.common()
    table: dict[str, dict[str, Block]] = {name: {} for name in names}
    differences: list[Difference] = []
    for label_set in labels.sets:
        rows = np.flatnonzero(common & (label_set.truth != UNKNOWN))
        blocks, samples = board.blocks(label_set, rows, names)
        for name, block in blocks.items():
            table[name][label_set.name] = block
        differences += board.differences(label_set.name, len(rows), samples)
    return table, tuple(differences)


def _available(board: Scoreboard, labels: LabelSets) -> Table:
    """Each pipeline that answers for more lesions than the headline holds, on all it answers for."""
    predictions, common = board.predictions, board.predictions.common()
    table: dict[str, dict[str, Block]] = {}
    for name in predictions.values:
        known = predictions.known(name)
        if (known & ~common).any():
            for label_set in labels.sets:
                rows = np.flatnonzero(known & (label_set.truth != UNKNOWN))
                blocks, _ = board.blocks(label_set, rows, (name,))
                table.setdefault(name, {})[label_set.name] = blocks[name]
    return table


def _headline_set(sets: Sequence[LabelSet]) -> LabelSet:
    """The official classes, else the second level, else the first, else the training classes."""
    by_name = {s.name: s for s in sets}
    return next(by_name[name] for name in (OFFICIAL, "level2", "level1", LEAVES) if name in by_name)
