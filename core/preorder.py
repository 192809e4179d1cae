"""In which order does a walk meet the nodes of a tree, each before all below it? Linear, no recursion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from core.errors import TaxonomyError

IntArray = npt.NDArray[np.int64]


def preorder(ids: Sequence[str], parents: Mapping[str, str | None]) -> tuple[list[int], IntArray, IntArray]:
    """Original indices in depth-first preorder, with depth and parent position of each node in that order.

    Children keep the order of `ids`; the root has depth 0 and parent -1. Raises `TaxonomyError` naming the
    culprit for what is no tree.
    """
    ups, root = _upward(ids, parents)
    # Children of one parent lie side by side, the last of them first; no list a node, which would keep the
    # garbage collector busy.
    size = len(ids)
    below = (size - 1 - np.argsort(ups[::-1], kind="stable"))[1:].tolist()
    starts = np.concatenate([[0], np.cumsum(np.bincount(ups[ups >= 0], minlength=size))]).tolist()
    order: list[int] = []
    stack = [root]
    while stack:
        here = stack.pop()
        order.append(here)
        stack += below[starts[here] : starts[here + 1]]
    if len(order) != size:
        lost = next(iter(set(range(size)) - set(order)))
        raise TaxonomyError(f"node {ids[lost]!r} lies on or below a cycle: it never reaches the root")
    place = np.empty(size, np.int64)
    place[order] = np.arange(size)
    parent = np.full(size, -1, np.int64)
    parent[1:] = place[ups[order[1:]]]
    levels = [0] * size
    for i, up in enumerate(parent[1:].tolist(), start=1):
        levels[i] = levels[up] + 1
    return order, np.array(levels, np.int64), parent


def _upward(ids: Sequence[str], parents: Mapping[str, str | None]) -> tuple[IntArray, int]:
    """Index of every node's parent, -1 for the root, and the index of the root."""
    wrong = next((node for node in ids if not isinstance(node, str) or not node), None)
    if wrong is not None or None in parents:
        raise TaxonomyError(f"a node id must be a text that is not empty: {wrong!r}")
    index: dict[str | None, int] = {node: i for i, node in enumerate(ids)}
    index[None] = -1
    try:
        ups = np.fromiter(map(index.__getitem__, parents.values()), np.int64, len(ids))
    except (KeyError, TypeError):
        strange = next(
            (n, up) for n, up in parents.items() if not isinstance(up, str | None) or up not in index
        )
        raise TaxonomyError(
            f"node {strange[0]!r} names the parent {strange[1]!r}, which does not exist"
        ) from None
    roots = np.flatnonzero(ups < 0).tolist()
    if len(roots) != 1:
        raise TaxonomyError(
            f"two roots: {ids[roots[0]]!r} and {ids[roots[1]]!r}; a tree has one"
            if roots
            else "no root: one node needs the parent null" + (f" ({ids[0]!r} has one)" if ids else "")
        )
    return ups, roots[0]


def subtree_ends(depth: IntArray) -> IntArray:
    """For each position of a preorder, the next position whose depth is not greater."""
    ends = [len(depth)] * len(depth)
    levels = depth.tolist()
    open_nodes: list[int] = []
    for i, level in enumerate(levels):
        while open_nodes and levels[open_nodes[-1]] >= level:
            ends[open_nodes.pop()] = i
        open_nodes.append(i)
    return np.array(ends, np.int64)
