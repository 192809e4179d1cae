"""Which figures does an experiment have, and what does each say in words?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from dxtree.binary import SCORE_TITLES
from dxtree.evaluation.intervals import Interval
from dxtree.experiment.judging import level_yardstick
from dxtree.experiment.looking import examples, last_features
from dxtree.experiment.plan import Plan, read_metrics
from dxtree.experiment.results import JUDGED, LEVELS, Results
from dxtree.experiment.unseen import Unseen, unseen
from dxtree.figures import (
    class_size_figure,
    confusion_counts,
    confusion_figure,
    embed,
    embedding_figure,
    reliability_figure,
    saliency_figure,
    sensitivity_specificity_figure,
    training_figure,
)

LEAST = 10
"""Images that t-SNE needs at least."""


@dataclass(frozen=True)
class Drawn:
    """A figure with what it shows in words."""

    figure: Figure
    alt: str
    caption: str
    kind: Literal["svg", "png"] = "svg"


def draw(plan: Plan, results: Results) -> dict[str, Drawn]:
    """Every figure by the name of its file, in the order of the report."""
    found: dict[str, Drawn] = {}
    for modality in plan.config.modalities:
        found.update(_sweep(plan, results, modality))
    found.update(_tasks(results))
    for modality in plan.config.modalities:
        table = unseen(plan, modality).get(plan.config.reference)
        if table is not None:
            found.update(_looks(plan, modality, table))
    return found


def _sweep(plan: Plan, results: Results, modality: str) -> Iterator[tuple[str, Drawn]]:
    """Accuracy against the largest class, beside nets trained on coarse labels."""
    arms = sorted((plan.config.arm(n) for n in plan.config.sweep), key=lambda a: a.max_size or 0)
    metrics = {m.name: m.title for m in JUDGED[:2]}
    series: dict[str, dict[str, list[Interval]]] = {}
    bands: dict[str, dict[str, Interval]] = {}
    for level in LEVELS:
        place = f"level {level}"
        coarse = next((a.name for a in plan.config.arms if a.level == level), None)
        for name, title in metrics.items():
            cells = [results.cell(modality, place, arm.name, name) for arm in arms]
            if not cells or any(c is None for c in cells):
                continue
            series.setdefault(place, {})[title] = [c.value for c in cells if c is not None]
            if coarse and (cell := results.cell(modality, place, coarse, name)):
                bands.setdefault(place, {})[title] = cell.value
    if not series:
        return
    sizes = [arm.max_size or 0 for arm in arms]
    classes = [len(plan.runs[arm.name, modality].partition.classes) for arm in arms]
    title = f"{modality}: fine classes, summed up"
    yield (
        f"compare-{modality}-class-size",
        Drawn(
            class_size_figure(sizes, series, title=title, classes=classes, bands=bands),
            f"{modality}: accuracy and balanced accuracy at levels 1 and 2 for largest classes of "
            f"{sizes} images, "
            "beside bands for nets trained on coarse labels; the numbers stand in the tables above",
            "Accuracy against the largest training class. Bands: the same net trained on the coarse labels "
            "themselves. Bars and bands are 95 % intervals over lesions.",
        ),
    )


def _tasks(results: Results) -> Iterator[tuple[str, Drawn]]:
    for task in results.tasks:
        curve = next(iter(task.curves.values()))
        curves = {SCORE_TITLES[name]: c for name, c in task.curves.items()}
        readers = [c.reader for c in next(iter(task.readers.values()), ())]
        yield (
            f"task-{task.task.name}",
            Drawn(
                sensitivity_specificity_figure(curves, title=task.task.title, readers=readers),
                f"Specificity against sensitivity for {task.task.title}; the areas stand in the table",
                f"{task.task.title}: {curve.positives:,} against {curve.negatives:,} images.",
            ),
        )


def _looks(plan: Plan, modality: str, one: Unseen) -> Iterator[tuple[str, Drawn]]:
    taxonomy = one.partition.taxonomy
    run = plan.runs[plan.config.reference, modality]
    for level in LEVELS:
        yardstick = level_yardstick(one.images, taxonomy, level)
        values, _ = yardstick.scores(one)
        predicted = values.argmax(axis=1)
        counts = confusion_counts(yardstick.truth, predicted, len(yardstick.classes))
        yield (
            f"look-{modality}-confusion-{level}",
            Drawn(
                confusion_figure(counts, yardstick.classes, taxonomy, title=f"{modality}, level {level}"),
                f"Confusion matrix of {modality} at level {level}, rows the truth, in the order of the tree",
                f"{modality}, level {level}: shares of each row, {len(yardstick.rows):,} images.",
            ),
        )
        if level == LEVELS[-1]:
            right = np.asarray(predicted == yardstick.truth)
            yield (
                f"look-{modality}-reliability",
                Drawn(
                    reliability_figure(
                        values.max(axis=1).clip(0, 1), right, title=f"{modality}, level {level}"
                    ),
                    f"Reliability of {modality} at level {level}: share that is right against probability",
                    f"{modality}, level {level}: how often the most probable class is right; bars: Wilson's "
                    "95 % intervals. Logits as trained, without temperature.",
                ),
            )
    first = plan.config.trained_folds()[0]
    seen, labels = last_features(run, first)
    if len(labels) >= LEAST:
        yield (
            f"look-{modality}-features",
            Drawn(
                embedding_figure(embed(seen), labels, taxonomy, title=f"{modality}: the last layer", depth=2),
                f"t-SNE of the last layer's {seen.shape[1]} features, one point an image",
                f"{modality}, fold {first}: t-SNE of the last layer's {seen.shape[1]} features of images "
                "that the net had not seen, coloured by level 2. Distances between far groups mean nothing.",
                "png",
            ),
        )
    yield (
        f"look-{modality}-saliency",
        Drawn(
            saliency_figure(examples(run, first), title=f"{modality}: what moves the answer"),
            f"Pictures of {modality} beside the pixels that would move the probability of their class",
            f"{modality}, fold {first}: L1 over RGB of the gradient of log P(true node of level 2), each map "
            "in a scale of its own. A bright pixel would change the answer; it proves nothing.",
            "png",
        ),
    )
    for fold in plan.config.trained_folds()[:1]:
        rows = read_metrics(run, f"fold-{fold}")
        if rows:
            yield (
                f"look-{modality}-training",
                Drawn(
                    training_figure(rows, title=f"{plan.config.reference}, {modality}, fold {fold}"),
                    f"Loss and speed of {modality}, fold {fold}, over its steps",
                    f"How {plan.config.reference} learned {modality}, fold {fold}.",
                ),
            )
