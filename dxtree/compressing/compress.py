"""How does one bundle become compressed ones, judged side by side on the same lesions?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import DxtreeError
from dxtree.compressing.judging import Scored, score
from dxtree.compressing.making import Made, make
from dxtree.compressing.material import Material
from dxtree.compressing.rivals import Rival, field
from dxtree.exporting.checking import answer
from dxtree.exporting.truth import judge
from modalities.cnn.belonging import read_temperature
from modalities.cnn.preprocess import Preprocessing
from modalities.compression.planning import planned_sparsity
from modalities.compression.retraining import without_auxiliary
from modalities.compression.settings import CompressionConfig
from modalities.engines import Engine, threads_for
from modalities.engines.graphs import source_graph
from modalities.engines.onnxruntime_engine import OnnxRuntimeEngine
from modalities.training.starting import FINAL

Progress = Callable[[str, int, int], None]
"""What is done, steps done, steps in all."""
Learning = Callable[[CompressionConfig, dict[str, Any]], None]
"""Receives the row of each step of a compression."""
CALIBRATION = 100
"""Training images that set the ranges of the int8 graph."""


@dataclass(frozen=True)
class Compressed:
    """Compressed nets by ascending target, every way to store the net, and what its answers are worth.

    `area`: which AUC was taken, "malignant" or "macro". `skipped`: training images that cannot be read.
    """

    material: Material
    made: Sequence[Made]
    rivals: Sequence[Rival]
    scored: dict[str, Scored]
    area: str
    images: int
    lesions: int
    unread: int
    skipped: int
    resamples: int
    seed: int


def compress(
    material: Material,
    asked: Sequence[tuple[CompressionConfig, Path]],
    malignant: str | None,
    *,
    images: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
    learning: Learning = lambda *_: None,
    progress: Progress = lambda *_: None,
) -> Compressed:
    """Compresses once for every configuration, each into its folder, and judges all results.

    `images`: at most so many validation images judge. `malignant`: the node whose AUC is taken. Nothing of a
    validation lesion is trained on or calibrates. Raises what `make`, `choose` and `answer` raise.
    """
    chosen = material.chosen(CALIBRATION, images)
    # What cannot be reached is said before the first net learns.
    slim = without_auxiliary(material.dense())
    planned = []
    for done, (config, folder) in enumerate(asked):
        progress("planning", done, len(asked))
        sparsity = planned_sparsity(slim, config)
        planned.append((config.model_copy(update={"sparsity": sparsity}), folder))
    progress("planning", len(asked), len(asked))
    progress("reading training images", 0, 1)
    data, bad = material.run.training_set(FINAL)
    progress("reading training images", 1, 1)
    made = [
        make(material, data, config, folder, lambda row, config=config: learning(config, row))  # type: ignore[misc]
        for config, folder in planned
    ]
    bundle = material.bundle
    preprocessing = Preprocessing.from_dict(bundle.require("preprocessing", dict))
    dense = source_graph(bundle)
    ways = field(dense, made, chosen.calibration, preprocessing, progress)
    engines, broken = _engines(ways.graphs)
    answers = answer(
        chosen.validation,
        engines,
        preprocessing,
        tuple(bundle.require("classes", list)),
        read_temperature(bundle),
        lambda done, total: progress(f"judging {len(engines)} nets", done, total),
    )
    judged = judge(chosen.validation, material.run.partition, malignant)
    scored = score(answers, judged, chosen.validation, resamples=resamples, seed=seed)
    return Compressed(
        material=material,
        made=made,
        rivals=ways.rivals,
        scored={**scored, **broken},
        area=judged.area,
        images=len(answers.owner),
        lesions=len(set(answers.owner)),
        unread=answers.unread,
        skipped=len(bad),
        resamples=resamples,
        seed=seed,
    )


def _engines(graphs: dict[str, bytes]) -> tuple[dict[str, Engine], dict[str, Scored]]:
    """ONNX Runtime on every graph; those that it cannot read are said to be at fault."""
    engines: dict[str, Engine] = {}
    broken: dict[str, Scored] = {}
    for name, graph in graphs.items():
        try:
            engines[name] = OnnxRuntimeEngine(graph, threads_for(1))
        except DxtreeError as error:
            broken[name] = Scored({}, {}, fault=error.code)
    return engines, broken
