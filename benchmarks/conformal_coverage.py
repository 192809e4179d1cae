"""Do prediction sets hold the truth as often as asked, and how large are they with and without the tree?

    dxtree evaluate --cohort milk10k --data data/milk10k --predictions predictions.csv
    python benchmarks/conformal_coverage.py predictions.csv --pipeline image_only

Reads what `dxtree evaluate --predictions` writes. Lesions are halved at random, many times: thresholds are
fitted on one half, and sets are counted on the other. Columns:

- coverage: share of lesions whose set holds the truth, mean (lowest, highest) over the splits; within: share
  of splits that lie within .02 of what was asked;
- members: size of the set, the answer of a flat classifier over the classes of that level;
- leaves: training classes in the members, what a reader of leaves has to consider;
- one node: share of sets of one member;
- cover: mean depth of the one node above all members, the training classes below it, and how often the truth
  lies there;
- last row: the one node of `fit_node_rule`, which climbs from the most probable class as far as it must;
- by class: coverage of a class, mean over all classes with a lesion, and the lowest of those with 30 or more.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.cells import LEAVES, BoolArray, Cells, Level
from core.errors import CohortError, DxtreeError
from core.partition import RESIDUAL_MARK, Partition, PartitionReport, TrainingClass
from core.set_rule import SetRule
from core.taxonomy import IntArray, Taxonomy
from core.tree import FloatArray
from dxtree.evaluation.records import KEYS, read_predictions
from fusion.prediction_sets import fit_node_rule, fit_rule

WITHIN = 0.02
"""How near to the asked coverage a split should lie."""

JUDGED = 30
"""Lesions on the tested half that a class needs before its own coverage is listed as the lowest."""


def partition_of(path: Path, taxonomy: Taxonomy) -> Partition:
    """The training classes that the file's header names; how many images each had is not known there."""
    with path.open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file), [])
    classes = []
    for name in header[len(KEYS) :]:
        residual = name not in taxonomy and name.endswith(RESIDUAL_MARK)
        classes.append(TrainingClass(name.removesuffix(RESIDUAL_MARK) if residual else name, residual, 0))
    if not classes or (np.diff(taxonomy.positions(c.node for c in classes)) <= 0).any():
        raise CohortError(
            f"{path.name}: the columns after {KEYS[-1]} are no training classes of this taxonomy"
        )
    return Partition(taxonomy, tuple(classes), PartitionReport("read from a file", 0, 0, 0, {}, {}), ())


def pipelines_of(path: Path, partition: Partition) -> dict[str, tuple[list[str], FloatArray, list[str]]]:
    """Lesions, probabilities and labels of each pipeline in the file. Raises `CohortError` without a row."""
    rows: dict[str, list[tuple[str, list[float], str]]] = {}
    for keys, values in read_predictions(path, partition):
        name = f"{keys['cohort']}/{keys['lesion']}"
        rows.setdefault(keys["pipeline"], []).append((name, values, keys["truth"]))
    if not rows:
        raise CohortError(f"{path.name} holds no lesion")
    return {
        pipeline: ([r[0] for r in held], np.array([r[1] for r in held]), [r[2] for r in held])
        for pipeline, held in rows.items()
    }


def one_split(
    cells: Cells,
    values: FloatArray,
    truth: IntArray,
    names: Sequence[str],
    options: argparse.Namespace,
    seed: int,
) -> dict[str, float]:
    """Fits on one random half and counts on the other."""
    order = np.random.default_rng(seed).permutation(len(truth))
    fitted, tested = order[: len(order) // 2], order[len(order) // 2 :]
    rule = fit_rule(
        cells,
        cells.values(values[fitted]),
        truth[fitted],
        [names[k] for k in fitted],
        coverage=options.coverage,
        score=options.score,
        per_class=options.per_class,
        seed=seed,
    )
    cases = [names[k] for k in tested] if options.score == "aps_randomised" else None
    return counted(rule, rule.apply_rows(values[tested], cases), truth[tested])


def counted(rule: SetRule, members: BoolArray, truth: IntArray) -> dict[str, float]:
    """What the sets of one half are like."""
    cells, taxonomy = rule.cells, rule.cells.partition.taxonomy
    held = members[np.arange(len(truth)), truth]
    cover = cells.cover(members)
    places = taxonomy.positions(c.node for c in cells.partition.classes)
    below = np.searchsorted(places, taxonomy.end[cover]) - np.searchsorted(places, cover)
    true = taxonomy.positions(cells.nodes)[truth]
    lesions = np.bincount(truth, minlength=len(cells.ids))
    by_class = np.bincount(truth, weights=held, minlength=len(cells.ids)) / np.maximum(lesions, 1)
    judged = by_class[lesions >= JUDGED]
    return {
        "coverage": float(held.mean()),
        "members": float(members.sum(axis=1).mean()),
        "leaves": float((members @ cells.sizes).mean()),
        "one node": float((members.sum(axis=1) == 1).mean()),
        "cover depth": float(taxonomy.depth[cover].mean()),
        "cover leaves": float(below.mean()),
        "cover holds": float(((cover <= true) & (true < taxonomy.end[cover])).mean()),
        "by class": float(by_class[lesions > 0].mean()),
        "lowest": float(judged.min()) if len(judged) else float("nan"),
    }


def table(
    partition: Partition, held: tuple[list[str], FloatArray, list[str]], options: argparse.Namespace
) -> None:
    """Prints a row for each level."""
    names, values, labels = held
    values = values / values.sum(axis=1, keepdims=True)
    print(
        f"{'level':>7} {'classes':>7} {'coverage':>24} {'within':>6} {'members':>7} {'leaves':>6} "
        f"{'one node':>8} {'cover: depth':>12} {'leaves':>6} {'holds':>5} {'by class':>8} {'lowest':>6}"
    )
    levels: list[Level] = [*options.levels, LEAVES]
    for level in levels:
        cells = Cells(partition, level)
        truth = cells.truth(labels)
        rows = np.flatnonzero(truth >= 0)
        kept = [names[k] for k in rows]
        splits = [
            one_split(cells, values[rows], truth[rows], kept, options, seed) for seed in range(options.splits)
        ]
        mean = {key: float(np.mean([s[key] for s in splits])) for key in splits[0]}
        cover = np.array([s["coverage"] for s in splits])
        within = float((np.abs(cover - options.coverage) <= WITHIN).mean())
        span = f"({cover.min():.3f}, {cover.max():.3f})"
        print(
            f"{level!s:>7} {len(cells.ids):>7} {mean['coverage']:>8.3f} {span} {within:>6.2f} "
            f"{mean['members']:>7.2f} {mean['leaves']:>6.1f} {mean['one node']:>8.2f} "
            f"{mean['cover depth']:>12.2f} {mean['cover leaves']:>6.1f} {mean['cover holds']:>5.3f} "
            f"{mean['by class']:>8.3f} {mean['lowest']:>6.3f}"
        )
        if len(rows) < len(labels):
            print(f"        {len(labels) - len(rows)} lesions are left out: no class here holds their label")


def climbed(
    partition: Partition, held: tuple[list[str], FloatArray, list[str]], options: argparse.Namespace
) -> None:
    """Prints what one node as an answer is like, over the same kind of splits."""
    names, values, labels = held
    values = values / values.sum(axis=1, keepdims=True)
    taxonomy = partition.taxonomy
    places = taxonomy.positions(c.node for c in partition.classes)
    label = taxonomy.positions(labels)
    rows = []
    for seed in range(options.splits):
        order = np.random.default_rng(seed).permutation(len(labels))
        fitted, tested = order[: len(order) // 2], order[len(order) // 2 :]
        rule = fit_node_rule(
            partition,
            values[fitted],
            [labels[k] for k in fitted],
            [names[k] for k in fitted],
            coverage=options.coverage,
        )
        node = rule.apply_rows(values[tested])
        holds = (node <= label[tested]) & (label[tested] < taxonomy.end[node])
        below = np.searchsorted(places, taxonomy.end[node]) - np.searchsorted(places, node)
        rows.append(
            (holds.mean(), taxonomy.depth[node].mean(), below.mean(), (node > 0).mean(), rule.threshold)
        )
    cover, depth, leaves, answered, threshold = np.array(rows).T
    within = float((np.abs(cover - options.coverage) <= WITHIN).mean())
    print(
        f"   node         {cover.mean():>8.3f} ({cover.min():.3f}, {cover.max():.3f}) {within:>6.2f} depth "
        f"{depth.mean():.2f}, leaves {leaves.mean():.1f}, below the root {answered.mean():.2f}, threshold "
        f"{threshold.mean():.3f}"
    )


def main() -> None:
    """Prints a table for each pipeline of each file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("predictions", type=Path, nargs="+")
    parser.add_argument("--taxonomy", default="isic_diagnosis")
    parser.add_argument("--pipeline", action="append", help="by name; default: every one in the file")
    parser.add_argument("--levels", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--coverage", type=float, default=0.9)
    parser.add_argument("--score", choices=["lac", "aps", "aps_randomised"], default="lac")
    parser.add_argument("--per-class", action="store_true")
    parser.add_argument("--splits", type=int, default=50)
    options = parser.parse_args()
    taxonomy = Taxonomy.shipped(options.taxonomy)
    try:
        for path in options.predictions:
            partition = partition_of(path, taxonomy)
            for name, held in pipelines_of(path, partition).items():
                if options.pipeline and name not in options.pipeline:
                    continue
                kind = "a quantile a class" if options.per_class else "one quantile"
                print(
                    f"{path.name}, {name}: {len(held[0])} lesions, {options.score}, {kind}, coverage "
                    f"{options.coverage:g}, {options.splits} splits"
                )
                table(partition, held, options)
                climbed(partition, held, options)
    except DxtreeError as error:
        parser.error(error.safe_message)


if __name__ == "__main__":
    main()
