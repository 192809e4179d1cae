"""How does a tree look as text? One line a node, in preorder; nothing recurses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from core.errors import TaxonomyError
from core.taxonomy import Taxonomy
from dxtree.exchange.codes import codes_of
from dxtree.taxonomies.names import normalised
from dxtree.taxonomies.source import Tree


@dataclass(frozen=True)
class View:
    """What is to be seen: the part below `under`, down to `depth` levels below it, only what holds `find` in
    its name, id or a synonym, with the nodes above; with ids, codes and the first `most` lines.
    """

    under: str | None = None
    depth: int | None = None
    find: str = ""
    ids: bool = False
    codes: bool = False
    most: int = 500


def draw(tree: Tree, view: View) -> Iterator[str]:
    """The lines. Says what a limit left out.

    Raises `UnknownNode`, and `TaxonomyError` where nothing is found.
    """
    taxonomy = tree.taxonomy
    start = taxonomy.position(view.under) if view.under is not None else 0
    end = int(taxonomy.end[start])
    deepest = int(taxonomy.depth[start]) + view.depth if view.depth is not None else taxonomy.max_depth
    shown = taxonomy.depth[start:end] <= deepest
    if view.find:
        shown &= _holding(tree, start, end, view.find)
    places = (np.flatnonzero(shown) + start).tolist()
    totals = _totals(taxonomy, tree.images)
    glyphs = _glyphs(taxonomy, places, start)
    for place in places[: view.most]:
        yield glyphs[place] + _line(tree, place, view, totals, deepest)
    if len(places) > view.most:
        yield f"... {len(places) - view.most:,} more lines; see --most"


def level_sizes(taxonomy: Taxonomy) -> list[tuple[int, int, int]]:
    """(depth, nodes, leaves) of every level, the root's first."""
    leaf = taxonomy.end == np.arange(1, len(taxonomy) + 1)
    nodes = np.bincount(taxonomy.depth)
    leaves = np.bincount(taxonomy.depth[leaf], minlength=len(nodes))
    return [(k, int(n), int(m)) for k, (n, m) in enumerate(zip(nodes, leaves, strict=True))]


def _holding(tree: Tree, start: int, end: int, text: str) -> np.ndarray:
    """Of the places from start to end, those whose texts hold the words, and all above them."""
    taxonomy, wanted = tree.taxonomy, normalised(text)
    found = np.zeros(end - start, bool)
    for place in range(start, end):
        node = taxonomy.ids[place]
        texts = (taxonomy.label(node), node, *tree.synonyms.get(node, ()))
        if any(wanted in normalised(t) for t in texts):
            here = place
            while here >= start and not found[here - start]:
                found[here - start] = True
                here = int(taxonomy.parent[here])
    if not found.any():
        raise TaxonomyError(f"nothing in {taxonomy.name!r} holds {text!r} in its name, id or synonyms")
    return found


def _glyphs(taxonomy: Taxonomy, places: list[int], start: int) -> dict[int, str]:
    """Guides in front of each line: a bar where a further node shown follows at that level."""
    base = int(taxonomy.depth[start])
    open_levels: set[int] = set()
    found: dict[int, str] = {}
    for place in reversed(places):
        level = int(taxonomy.depth[place]) - base
        bars = "".join("│  " if k in open_levels else "   " for k in range(1, level))
        end = "" if level == 0 else "├─ " if level in open_levels else "└─ "
        found[place] = bars + end
        open_levels = {k for k in open_levels if k <= level} | {level}
    return found


def _line(tree: Tree, place: int, view: View, totals: np.ndarray | None, deepest: int) -> str:
    taxonomy = tree.taxonomy
    node = taxonomy.ids[place]
    parts = [taxonomy.label(node)]
    if view.ids and node != parts[0]:
        parts.append(f"[{node}]")
    if totals is not None:
        parts.append(f"{int(totals[place]):,} images")
    if view.codes:
        parts += [f"{c.system.name} {c.code}" for c in codes_of(taxonomy, node)]
    below = int(taxonomy.end[place]) - place - 1
    if below and taxonomy.depth[place] == deepest:
        parts.append(f"({below:,} below)")
    return "  ".join(parts)


def _totals(taxonomy: Taxonomy, images: Mapping[str, int] | None) -> np.ndarray | None:
    """Images at or below each node."""
    if images is None:
        return None
    own = np.array([images.get(node, 0) for node in taxonomy.ids], np.int64)
    summed = np.concatenate([[0], np.cumsum(own)])
    totals: np.ndarray = summed[taxonomy.end] - summed[:-1]
    return totals
