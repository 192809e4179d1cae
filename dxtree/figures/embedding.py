"""Do lesions of one branch lie together in what the net sees? t-SNE of the features of its last layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from core.errors import ContractError
from core.taxonomy import IntArray, Taxonomy
from core.tree import FloatArray
from dxtree.figures.style import FAINT, MARKERS, PALETTE, blank, drawn, shortened, titled

MOST = 5000
"""Points that are drawn at most; more would hide each other."""

COMPONENTS = 50
"""Dimensions left by the PCA before t-SNE, as van der Maaten and Hinton (2008) advise for speed and noise."""

SHOWN = 12
"""Groups with a colour of their own; smaller ones are drawn as "other"."""

_LEAST = 10


@dataclass(frozen=True)
class Embedding:
    """`points`: rows x 2, without unit; `rows`: which rows of the features they are, rising; the seed."""

    points: FloatArray
    rows: IntArray
    of: int
    seed: int


def embed(features: FloatArray, *, seed: int = 0, most: int = MOST, perplexity: float = 30) -> Embedding:
    """t-SNE (van der Maaten and Hinton 2008, scikit-learn) of features, rows x dimensions, into a plane.

    Of more than `most` rows a draw without replacement is taken, which `seed` decides as it does all else.
    PCA to 50 dimensions comes first. Distances between far clusters and sizes of clusters mean nothing.

    Raises `ContractError` for fewer than 10 rows, another shape or a value that is not finite.
    """
    if features.ndim != 2 or len(features) < _LEAST or not features.shape[1]:
        raise ContractError(f"features {features.shape} must be at least {_LEAST} rows x dimensions")
    if not np.isfinite(features).all():
        raise ContractError("a feature is not finite; leave out the images that the net failed on")
    # Imported here: scikit-learn takes a second, and only this figure needs it.
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rows = np.arange(len(features))
    if len(features) > most:
        rows = np.sort(np.random.default_rng(seed).choice(len(features), most, replace=False))
    chosen = np.asarray(features[rows], np.float64)
    fewer = min(COMPONENTS, *chosen.shape)
    if fewer < chosen.shape[1]:
        chosen = PCA(fewer, svd_solver="full").fit_transform(chosen)
    near = min(perplexity, (len(rows) - 1) / 3)
    plane = TSNE(2, perplexity=near, init="pca", learning_rate="auto", random_state=seed, n_jobs=1)
    return Embedding(plane.fit_transform(chosen).astype(np.float64), rows, len(features), seed)


@drawn
def embedding_figure(
    embedding: Embedding, labels: Sequence[str], taxonomy: Taxonomy, *, title: str, depth: int = 1
) -> Figure:
    """One point an image, coloured and marked by the node of its label at a level of the tree.

    `labels`: a node for each row that `embed` was given, in order. At level 1 each node has a colour;
    at level 2 and below each has a shade of the colour of its level 1 and a marker. The 12 largest groups are
    told apart, the others and labels above the level are grey. Raises `ContractError` for another number of
    labels, `UnknownNode` for a label.
    """
    if len(labels) != embedding.of:
        raise ContractError(f"{len(labels)} labels for features of {embedding.of} rows; one each is needed")
    nodes = [taxonomy.ancestor_at(labels[k], depth) for k in embedding.rows]
    counted = Counter(n for n in nodes if n is not None)
    largest = {n for n, _ in counted.most_common(SHOWN)}
    order = sorted(largest, key=taxonomy.position)
    colours = _colours(order, taxonomy)
    figure = blank(height=8.2 + 0.37 * (len(order) + 1))
    axes = figure.add_subplot()
    groups: list[str | None] = [n if n in largest else None for n in nodes]
    shown = []
    for group in [None, *order]:
        here = np.flatnonzero([g == group for g in groups])
        if not len(here):
            continue
        colour, marker = (FAINT, ".") if group is None else colours[group]
        x, y = embedding.points[here].T
        axes.scatter(x, y, s=5, marker=marker, color=colour, alpha=0.6, lw=0, rasterized=True)
        name = "other" if group is None else taxonomy.label(group)
        text = f"{shortened(name, 44)} ({len(here):,})"
        shown.append(Line2D([], [], ls="", marker=marker, color=colour, label=text))
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    drawn_of = f"n = {len(nodes):,}" + (f" drawn of {embedding.of:,}" if len(nodes) < embedding.of else "")
    titled(figure, title, f"{drawn_of} images, seed {embedding.seed}")
    figure.legend(handles=[*shown[1:], shown[0]] if None in groups else shown, loc="outside lower left")
    return figure


def _colours(nodes: Sequence[str], taxonomy: Taxonomy) -> dict[str, tuple[str, str]]:
    """Colour and marker of each node: the colour of its first level, in shades where several share it."""
    families: dict[str, list[str]] = {}
    for node in nodes:
        families.setdefault(taxonomy.ancestor_at(node, 1) or node, []).append(node)
    found = {}
    for k, members in enumerate(families.values()):
        base = np.array(to_rgb(PALETTE[k % len(PALETTE)]))
        for j, node in enumerate(members):
            light = 0.5 * j / max(len(members) - 1, 1)
            shade = base + (1 - base) * light
            found[node] = (
                to_hex(tuple(shade.tolist())),
                MARKERS[(j if len(members) > 1 else k) % len(MARKERS)],
            )
    return found
