"""How often is a drift called where nothing changed, by the index alone and by `dxtree drift`?

    dxtree evaluate --cohort milk10k --data data/milk10k --predictions predictions.csv
    python benchmarks/drift_false_alarms.py predictions.csv --pipeline logistic

Lesions of one evaluation are dealt at random, without one in both, to a reference and a period, many times.
Columns:

- index alone: share of deals in which the index of any node is above .25, or .1, as it is usually read;
- dxtree drift: share in which any node has p <= .05;
- found: share in which it names a node whose odds were multiplied by two in the period alone.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from dxtree.drift import Sample, compare, of_predictions
from plugins.assembly import find_model_set, load_registry

SIZES = ((50, 50), (100, 100), (300, 100), (300, 300))
LEVEL = 0.05


def part(sample: Sample, rows: np.ndarray) -> Sample:
    """Some of its cases."""
    return replace(sample, cases=len(rows), nodes={n: v[rows] for n, v in sample.nodes.items()})


def doubled(sample: Sample, node: str) -> Sample:
    """The same with the odds of one node twice as high."""
    p = sample.nodes[node]
    return replace(sample, nodes={**sample.nodes, node: 2 * p / (1 + p)})


def main() -> None:
    """Prints one row a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("--pipeline", default="logistic")
    parser.add_argument("--models", default="default")
    parser.add_argument("--node", default="Malignant", help="the node that is shifted")
    parser.add_argument("--deals", type=int, default=200)
    asked = parser.parse_args()
    partition = find_model_set(load_registry(), asked.models).partition
    sample = of_predictions(asked.predictions, partition, asked.pipeline)
    generator = np.random.default_rng(0)
    print(f"{sample.cases} lesions, {len(sample.nodes)} nodes, {asked.deals} deals")
    print(
        "| reference | period | index > .25 | index > .1 | dxtree drift | found |\n|---|---|---|---|---|---|"
    )
    for before, now in SIZES:
        if before + now > sample.cases:
            continue
        much, some, called, found = [], [], [], []
        for deal in range(asked.deals):
            order = generator.permutation(sample.cases)
            reference, period = part(sample, order[:before]), part(sample, order[before : before + now])
            rows = compare(reference, period, level=LEVEL, permutations=199, seed=deal).rows
            much.append(any(row.index > 0.25 for row in rows))
            some.append(any(row.index > 0.1 for row in rows))
            called.append(any(row.p <= LEVEL for row in rows))
            shifted = compare(
                reference, doubled(period, asked.node), level=LEVEL, permutations=199, seed=deal
            )
            found.append(any(row.name == asked.node and row.p <= LEVEL for row in shifted.rows))
        shares = " | ".join(f"{np.mean(column):.2f}" for column in (much, some, called, found))
        print(f"| {before} | {now} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
