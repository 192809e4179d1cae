"""What do reading, drawing, mapping and comparing trees from files cost, and do they stay linear?

    python benchmarks/taxonomy_files.py

Random trees of at most 12 levels in a CSV of id, name and parent, with one name of four words a node. `read`
is over `parse`, which is the csv module alone on the same file; the rest in seconds: `draw` every line, `map`
by name to a tree of other ids, `propose` the same where no name agrees, so that every node is looked up among
near names, `diff` to a version in which some leaves are gone. The last line is seconds at the largest size
over seconds at the smallest, over the ratio of their nodes: 1 where the work is linear.
"""

from __future__ import annotations

import argparse
import csv
import io
import tempfile
from pathlib import Path

import numpy as np

from core.taxonomy import Taxonomy
from dxtree.speed.machine import Machine
from dxtree.speed.rounds import Interleaved, interleaved
from dxtree.taxonomies import View, difference, draw, map_trees, open_tree
from dxtree.taxonomies.source import Tree
from plugins.assembly import load_registry
from plugins.config import Settings

SIZES = (2_000, 100_000)
WORDS = np.array(["acute", "chronic", "benign", "malignant", "senile", "familial", "diffuse", "focal"])


def drawn(nodes: int) -> tuple[dict[str, str | None], dict[str, str]]:
    """Parents and names of a random tree, listed depth first."""
    random = np.random.default_rng(nodes)
    above: dict[str, str | None] = {"n0": None}
    path = ["n0"]
    for k, level in enumerate(random.integers(1, 13, nodes - 1).tolist(), start=1):
        del path[level:]
        above[f"n{k}"] = path[-1]
        path.append(f"n{k}")
    first, second = WORDS[random.integers(0, len(WORDS), (2, nodes))]
    return above, {n: f"{first[k]} {second[k]} disease {k}" for k, n in enumerate(above)}


def measure(nodes: int, rounds: int, folder: Path) -> Interleaved:
    """Seconds of every task at one size."""
    registry = load_registry(Settings())
    above, names = drawn(nodes)
    path = folder / f"tree{nodes}.csv"
    lines = (f"{n},{names[n]},{up or ''}\n" for n, up in above.items())
    path.write_text("id,name,parent\n" + "".join(lines), "utf-8")
    tree = open_tree(str(path), registry)
    other = Tree(
        Taxonomy("other", {f"m{n}": up and f"m{up}" for n, up in above.items()},
                 {f"m{n}": name.upper() for n, name in names.items()})
    )  # fmt: skip
    near = Tree(
        Taxonomy("near", {f"m{n}": up and f"m{up}" for n, up in above.items()},
                 {f"m{n}": name.replace("disease", "disorder") for n, name in names.items()})
    )  # fmt: skip
    leaves = {n for k, n in enumerate(above) if k % 100 == 99 and tree.taxonomy.is_leaf(n)}
    later = Taxonomy("later", {n: up for n, up in above.items() if n not in leaves})
    tasks = {
        "parse": lambda: list(csv.reader(io.StringIO(path.read_text("utf-8"), newline=""))),
        "read": lambda: open_tree(str(path), registry),
        "draw": lambda: sum(len(line) for line in draw(tree, View(most=nodes))),
        "map": lambda: map_trees(tree, other, propose=False),
        "propose": lambda: map_trees(tree, near),
        "diff": lambda: difference(tree.taxonomy, later),
    }
    return interleaved(tasks, rounds=rounds, warm_up=0)


def main() -> None:
    """Every size, and the machine."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    given = parser.parse_args()
    print(Machine.here())
    found: dict[int, Interleaved] = {}
    with tempfile.TemporaryDirectory() as folder:
        for nodes in given.sizes:
            found[nodes] = measure(nodes, given.rounds, Path(folder))
            times = "  ".join(f"{t} {found[nodes].median(t):.3f} s" for t in found[nodes].seconds)
            print(f"{nodes:>9,} nodes  {times}  read / parse {found[nodes].ratio('read', 'parse'):.1f}")
    small, large = min(found), max(found)
    grown = {t: found[large].median(t) / found[small].median(t) for t in found[small].seconds}
    print("growth over nodes  " + "  ".join(f"{t} {g / (large / small):.2f}" for t, g in grown.items()))


if __name__ == "__main__":
    main()
