"""Where is the lesion? Two classical answers, from colour and a preference for the middle of the picture.

Both look at how far a pixel's colour lies from the skin's, in CIE L*a*b*, with hair painted over and dark
corners left out. The skin is what stands at the rim of the picture, with a plane for uneven light; a lesion
that fills the rim is not found. Being darker or redder than skin counts whole, being paler in part: a scaly
lesion is paler, and so is every lamp's reflection.

`otsu` cuts that distance (Otsu, IEEE Transactions on Systems, Man and Cybernetics 9:62, 1979).
`two_means` starts there and lets each pixel go to the nearer of what is usual inside and outside, smoothed
between the rounds: Chan and Vese's piecewise constant model (IEEE TIP 10:266, 2001), medians for means and a
smoothing filter for the length of the outline.
"""

from __future__ import annotations

import numpy as np

from modalities.stages.arrays import Field, lab_of
from modalities.stages.hair import remove_hair
from modalities.stages.vignette import outside
from plugins.specs import Mask, Pixels

RIM = 0.08
"""Of each side, the rim that is taken for skin."""
PASSES, KEPT = 3, 0.7
"""The plane is fitted so many times, after the first to the share of the rim that lies nearest to it."""
PALER = 0.4
"""Weight of being lighter, or less red, than skin."""
BLUR = 1 / 90
"""Deviation of the smoothing, over the short side."""
REACH = 0.6
"""Deviation of the preference for the middle, over half of each side."""
ROUNDS = 8
SMALLEST = 2e-3
"""Of the picture, what a lesion covers at least."""
DISTINCT = 4.0
"""Distance of colours from which a lesion differs from skin; 2.3 is just noticeable."""


def otsu(pixels: Pixels) -> Mask:
    """The lesion: one region without holes; nothing where no region differs from the skin."""
    seen = ~outside(pixels)
    lab = smooth_lab(pixels, seen)
    return _tidied(_start(lab, seen), _distance(lab, seen), seen)


def two_means(pixels: Pixels) -> Mask:
    """The same, its outline moved to where inside and outside are each most of one colour."""
    from scipy.ndimage import uniform_filter

    seen = ~outside(pixels)
    lab = smooth_lab(pixels, seen)
    distance = _distance(lab, seen)
    inside = _tidied(_start(lab, seen), distance, seen)
    side = max(3, min(pixels.shape[:2]) // 40)
    for _ in range(ROUNDS):
        rest = seen & ~inside
        if not inside.any() or not rest.any():
            break
        within, without = (float(np.median(distance[part])) for part in (inside, rest))
        nearer = uniform_filter(distance, side) - (within + without) / 2
        moved = _tidied(nearer > 0, distance, seen)
        if (moved == inside).all():
            break
        inside = moved
    return inside


def smooth_lab(pixels: Pixels, seen: Mask) -> Field:
    """L*a*b* without hair, smoothed within what is `seen`."""
    from scipy.ndimage import gaussian_filter

    sigma = BLUR * min(pixels.shape[:2])
    weight = gaussian_filter(seen.astype(np.float32), sigma) + np.float32(1e-6)
    lab = lab_of(remove_hair(pixels)) * seen[..., None]
    return np.stack([gaussian_filter(lab[..., c], sigma) / weight for c in range(3)], axis=2)


def threshold(values: Field) -> float:
    """Otsu's threshold of values from 0 up, over 256 bins."""
    counts, edges = np.histogram(values, 256, (0.0, max(float(values.max()), 1e-6)))
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    mass = np.cumsum(counts * middles)
    above = below[-1] - below
    means = mass / np.maximum(below, 1), (mass[-1] - mass) / np.maximum(above, 1)
    between = below * above * (means[0] - means[1]) ** 2
    return float(edges[1 + int(np.argmax(between))])


def _distance(lab: Field, seen: Mask) -> Field:
    """From the skin's colour, a plane through the rim of the picture."""
    height, width = seen.shape
    rim = np.ones_like(seen)
    top, left = max(1, round(RIM * height)), max(1, round(RIM * width))
    rim[top:-top, left:-left] = False
    rim = rim & seen if (rim & seen).any() else seen
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    plane = np.stack([np.ones_like(x), x, y], axis=2)
    kept = rim.copy()
    for _ in range(PASSES):
        skin = plane @ np.linalg.lstsq(plane[kept], lab[kept], rcond=None)[0]
        off = ((lab - skin) ** 2).sum(axis=2)
        # What differs most from the rest of the rim is lesion or shadow there, not skin.
        kept = rim & (off <= np.quantile(off[rim], KEPT))
    away = lab - skin
    away[..., 0] *= np.where(away[..., 0] > 0, np.float32(PALER), np.float32(1))
    away[..., 1] *= np.where(away[..., 1] < 0, np.float32(PALER), np.float32(1))
    return np.asarray(np.sqrt((away**2).sum(axis=2)), np.float32)


def _start(lab: Field, seen: Mask) -> Mask:
    distance = _distance(lab, seen)
    middle = distance * _preference(seen.shape)
    cut = max(threshold(middle[seen]), DISTINCT)
    return np.asarray((middle > cut) & seen)


def _preference(shape: tuple[int, ...]) -> Field:
    height, width = shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    return np.exp(-(x**2 + y**2) / (2 * REACH**2) / 2).astype(np.float32)


def _tidied(found: Mask, distance: Field, seen: Mask) -> Mask:
    """Opened, the region of most difference near the middle alone, closed, without holes."""
    from scipy.ndimage import binary_closing, binary_fill_holes, binary_opening, label

    reach = max(1, min(found.shape) // 80)
    disc = _disc(reach)
    numbered, count = label(binary_opening(found & seen, disc))
    nothing = np.zeros_like(found)
    if not count:
        return nothing
    weight = np.bincount(numbered.ravel(), (distance * _preference(found.shape)).ravel(), count + 1)
    weight[0] = 0
    one = numbered == int(np.argmax(weight))
    framed = np.pad(one, 2 * reach)
    whole = binary_fill_holes(binary_closing(framed, _disc(2 * reach)))
    lesion: Mask = whole[2 * reach : -2 * reach, 2 * reach : -2 * reach] & seen
    return lesion if lesion.sum() >= SMALLEST * lesion.size else nothing


def _disc(reach: int) -> Mask:
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(x * x + y * y <= reach * reach)


def overlap(found: Mask, truth: Mask) -> float:
    """Intersection over union (Jaccard), 0 to 1; of two empty masks 1."""
    union = np.count_nonzero(found | truth)
    return np.count_nonzero(found & truth) / union if union else 1.0
