"""Which few values stand for the many weights of a layer? Those that k-means finds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
ROUNDS = 40
"""At most this many rounds of k-means; it settles sooner."""


def cluster(values: npt.ArrayLike, clusters: int) -> FloatArray:
    """At most `clusters` values, ascending and different, that stand for `values` with least squared error.

    Lloyd's k-means in one dimension from centroids spread evenly over the range, which keeps the few large
    weights that matter most (Han et al. 2016, section 3.2). A centroid without a value of its own is left
    out. Empty for no values.
    """
    ordered = np.sort(np.asarray(values, np.float64).ravel())
    if not len(ordered):
        return ordered
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centroids = np.unique(np.linspace(ordered[0], ordered[-1], clusters))
    for _ in range(ROUNDS):
        edges = np.searchsorted(ordered, (centroids[1:] + centroids[:-1]) / 2)
        bounds = np.concatenate([[0], edges, [len(ordered)]])
        counts = np.diff(bounds)
        held = counts > 0
        moved = np.unique(np.diff(sums[bounds])[held] / counts[held])
        if len(moved) == len(centroids) and np.allclose(moved, centroids, rtol=1e-6, atol=0):
            return moved
        centroids = moved
    return centroids


def assign(values: npt.ArrayLike, centroids: FloatArray) -> npt.NDArray[np.int64]:
    """Index of the nearest of ascending `centroids` for every value, in the shape of `values`."""
    return np.asarray(np.searchsorted((centroids[1:] + centroids[:-1]) / 2, np.asarray(values)), np.int64)
