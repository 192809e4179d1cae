"""How much of each answer goes into the whole? Convex weights with the least log loss on unseen lesions.

    P(c) = sum over b of w_b * P_b(c),   w_b >= 0, sum of w_b = 1

The answers P_b are cross-fitted. It is the Super Learner of van der Laan, Polley and Hubbard, Statistical
Applications in Genetics and Molecular Biology 6(1), 2007, for log loss. `stack` mixes fusers so. Every other
fitted fuser is mixed so with `image_only` where that is better beyond noise, which keeps it from being worse
than the images where its fit went wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.tree import FloatArray

STEPS = 1000
"""Most steps of expectation and maximisation; the loss stands still to five digits by then."""

NEGLIGIBLE = 0.01
"""A smaller weight becomes 0: it changes no answer that anyone sees, and leaves a base out of the bundle."""

BEYOND_NOISE = 2.0
"""Standard errors over lesions by which a mixture must be better than the fuser alone. Without it 2,087
lesions of MILK10k choose shares of 5 to 15 %, under which the loss of other lesions rises by up to .004."""

TINY = 1e-12
"""Added to probabilities, so that an answer that gave the truth 0 has a loss, about 28, and not infinity."""


def convex_weights(said: FloatArray, weight: FloatArray) -> FloatArray:
    """Weights of the columns with the least `-weight @ log(said @ weights)`; they sum to 1.

    `said` is rows x answers, the probability that each answer gave the truth. The loss is convex; the steps
    are those of Dempster, Laird and Rubin (1977) for the shares of a mixture, from even shares.
    """
    share, given = weight / weight.sum(), said + TINY
    found = np.full(said.shape[1], 1 / said.shape[1])
    for _ in range(STEPS):
        before = found
        found = found * (share @ (given / (given @ found)[:, None]))
        if np.abs(found - before).max() < 1e-6:
            break
    found = np.where(found < NEGLIGIBLE, 0.0, found)
    return np.asarray(found / found.sum())


def own_weight(own: FloatArray, images: FloatArray, lesions: Sequence[str], weight: FloatArray) -> float:
    """Share of a fuser's own answers beside those of the images; 1 unless less is better beyond noise.

    `own` and `images` are the probabilities of the truth, one a row; the rows of a lesion are one draw.
    """
    both = np.stack([own, images], axis=1)
    shares = convex_weights(both, weight)
    gain = weight * np.log((both @ shares + TINY) / (own + TINY))
    names, at = np.unique(lesions, return_inverse=True)
    by_lesion = np.bincount(at, gain, len(names))
    noise = np.sqrt(len(names)) * by_lesion.std()
    return float(shares[0]) if by_lesion.sum() > BEYOND_NOISE * noise else 1.0
