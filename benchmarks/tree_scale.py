"""What do the tree sums of a large cohort cost, and do building and partitioning stay linear?

    python benchmarks/tree_scale.py

Sums: 100,000 cases x 757 training classes in float64 to the 82 inner nodes of a tree like that of Esteva et
al. (839 readable nodes), over one copy of the matrix, interleaved. Scale: random trees of 2,000 to 2,000,000
nodes with images at a third of them; seconds to build the tree and to partition it, and the slope of each
against the number of nodes on logarithmic axes, which is 1 where the work is linear. Listed depth first,
as files list trees, a node is near its parent in memory; in no order each look-up in a large tree misses the
cache.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from core.partition import Partition, partition_tree
from core.taxonomy import Taxonomy
from core.tree import TreeSums
from dxtree.speed.machine import Machine
from dxtree.speed.rounds import interleaved

SIZES = (2_000, 6_000, 20_000, 60_000, 200_000, 600_000, 2_000_000)


def random_parents(nodes: int, seed: int, *, shuffled: bool) -> dict[str, str | None]:
    """A random tree of at most 12 levels, listed depth first as files list trees, or in no order at all."""
    random = np.random.default_rng(seed)
    above: list[int] = [-1]
    path = [0]
    for k, level in enumerate(random.integers(1, 13, nodes - 1).tolist(), start=1):
        del path[level:]
        above.append(path[-1])
        path.append(k)
    order = random.permutation(nodes).tolist() if shuffled else range(nodes)
    return {f"n{k}": f"n{above[k]}" if k else None for k in order}


def disease_tree(classes: int, inner: int, seed: int = 1) -> Partition:
    """So many leaves, each a training class, under so many inner nodes; none has a single child."""
    random = np.random.default_rng(seed)
    parents: dict[str, str | None] = {"root": None}
    parents |= {f"inner{k}": f"inner{random.integers(1, k)}" if k > 9 else "root" for k in range(1, inner)}
    above = [*range(1, inner), *range(1, inner), *random.integers(1, inner, classes)][:classes]
    parents |= {f"leaf{k}": f"inner{up}" for k, up in enumerate(above)}
    counts = {name: 1 for name in parents if name.startswith("leaf")}
    return partition_tree(Taxonomy("drawn", parents), counts, max_size=1)


def measure_sums(cases: int, classes: int, inner: int, rounds: int) -> None:
    """Prints seconds and the ratio."""
    sums = TreeSums(disease_tree(classes, inner))
    values = np.random.default_rng(2).random((cases, classes))
    values /= values.sum(axis=1, keepdims=True)
    nodes = sums.inner(values[:2]).shape[1]
    tasks = {"inner": lambda: sums.inner(values), "copy": values.copy}
    found = interleaved(tasks, rounds=rounds)
    print(f"{cases:,} cases x {classes} classes to {nodes} inner nodes, float64")
    for name in tasks:
        print(f"  {name:<8}{found.median(name):8.4f} s")
    print(f"  inner / copy: {found.ratio('inner', 'copy'):.2f}")


def measure_scale(rounds: int, largest: int, *, shuffled: bool) -> None:
    """Prints seconds by size, and the slopes."""
    print("nodes in no order" if shuffled else "nodes listed depth first")
    sizes = [n for n in SIZES if n <= largest]
    build: dict[int, list[float]] = {n: [] for n in sizes}
    cut: dict[int, list[float]] = {n: [] for n in sizes}
    for _ in range(rounds):
        for nodes in sizes:
            parents = random_parents(nodes, nodes, shuffled=shuffled)
            start = time.perf_counter()
            taxonomy = Taxonomy("random", parents)
            build[nodes].append(time.perf_counter() - start)
            random = np.random.default_rng(nodes)
            counts = random.integers(0, 50, nodes) * (random.random(nodes) < 1 / 3)
            start = time.perf_counter()
            partition_tree(taxonomy, counts, max_size=1000)
            cut[nodes].append(time.perf_counter() - start)
            del taxonomy  # else the next tree's time would hold the end of this one
    print("nodes       build, s   partition, s")
    for nodes in sizes:
        print(f"{nodes:>9,}{statistics.median(build[nodes]):12.4f}{statistics.median(cut[nodes]):15.4f}")
    for name, took in (("build", build), ("partition", cut)):
        middle = [statistics.median(took[n]) for n in sizes]
        for since in (0, 20_000):
            kept = [k for k, n in enumerate(sizes) if n >= since]
            slope = np.polyfit(np.log([sizes[k] for k in kept]), np.log([middle[k] for k in kept]), 1)[0]
            print(f"slope of {name} from {max(since, sizes[0]):,} nodes: {slope:.2f}")


def main() -> None:
    """Both, and the machine."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=757)
    parser.add_argument("--inner", type=int, default=82, help="inner nodes of the tree that is summed")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="nodes of the largest tree")
    given = parser.parse_args()
    print(Machine.here())
    measure_sums(given.cases, given.classes, given.inner, given.rounds)
    for shuffled in (False, True):
        measure_scale(max(1, given.rounds // 2), given.largest, shuffled=shuffled)


if __name__ == "__main__":
    main()
