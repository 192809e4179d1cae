"""What does each simulated tumour do to a section of healthy skin?

Signs and sizes: Elder (ed.), Lever's Histopathology of the Skin, 11th ed. 2015, ch. 28 to 30; WHO
Classification of Skin Tumours, 4th ed. 2018. Each sign is drawn with a strength of its own, and any may be
absent, so that the kinds overlap as they do under a microscope.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from modalities.histopathology.nuclei import cells, scatter
from modalities.histopathology.skin import Mask, Section, infiltrate, smooth_noise
from modalities.stacks.stack import FloatArray


def nevus(section: Section, rng: np.random.Generator) -> None:
    """Round nests of like melanocytes, whose nuclei become smaller with depth (maturation)."""
    field = _field(section, rng)
    nests = _islands(section, rng, field, size_um=rng.uniform(35, 60), share=rng.uniform(0.4, 0.6))
    _clear(section, nests, eosin=rng.uniform(0.22, 0.32), haematoxylin=0.08)
    maturing = np.clip(1 - section.depth / 600, 0.6, 1).astype(np.float32)
    _fill(section, rng, nests, spacing=rng.uniform(8.5, 10), radius=rng.uniform(3, 3.5),
          spread=rng.uniform(0.06, 0.2), density=rng.uniform(0.75, 0.95), shrink=maturing)  # fmt: skip
    section.lesion |= nests


def melanoma(section: Section, rng: np.random.Generator) -> None:
    """Nests that join, pleomorphic nuclei with nucleoli, mitoses, no maturation, and cells that rise
    through the epidermis (pagetoid spread).
    """
    field = _field(section, rng)
    nests = _islands(section, rng, field, size_um=rng.uniform(40, 110), share=rng.uniform(0.45, 0.75))
    _clear(section, nests, eosin=rng.uniform(0.22, 0.34), haematoxylin=0.1)
    spread, radius = rng.uniform(0.18, 0.42), rng.uniform(3.4, 4.6)
    _fill(section, rng, nests, spacing=rng.uniform(8.5, 11), radius=radius, spread=spread,
          density=rng.uniform(0.85, 1.25), clumps=0.35, nucleolus=rng.uniform(0, 0.6))  # fmt: skip
    over = section.epidermis & (np.abs(section.x - section.x[field].mean()) < np.ptp(section.x[field]) / 2)
    rising = scatter(over, section.um_per_pixel, rng.uniform(22, 60), rng, 0.5)
    for x, y in zip(*rising, strict=True):
        halo = (section.x - x) ** 2 + (section.y - y) ** 2 < (1.8 * radius) ** 2
        _clear(section, halo & section.epidermis, eosin=0.1, haematoxylin=0.03)
        section.lesion |= halo & section.epidermis
    pagetoid = cells(rising, rng, radius_um=radius, spread=spread, density=1.15, clumps=0.35)
    pagetoid.paint(section.haematoxylin, section.um_per_pixel, rng)
    _mitoses(section, rng, nests, every_um=rng.uniform(55, 160))
    infiltrate(section, rng, _rim(section, nests, 25), rng.uniform(10, 40))
    section.lesion |= nests


def basal_cell_carcinoma(section: Section, rng: np.random.Generator) -> None:
    """Islands of crowded dark nuclei, those at the border side by side like a palisade, parted from a
    mucinous stroma by clefts.
    """
    field = _field(section, rng)
    islands = _islands(section, rng, field, size_um=rng.uniform(60, 130), share=rng.uniform(0.35, 0.6))
    stroma = _rim(section, islands, 30)
    section.eosin[stroma] *= rng.uniform(0.5, 0.9)
    _clear(section, islands, eosin=0.18, haematoxylin=0.22)
    inner = islands & (ndimage.distance_transform_edt(islands) * section.um_per_pixel > 9)
    radius = rng.uniform(2.9, 3.5)
    _fill(section, rng, inner, spacing=rng.uniform(6.5, 8), radius=radius, spread=rng.uniform(0.08, 0.18),
          density=rng.uniform(1, 1.3), elongation=1.5)  # fmt: skip
    if rng.random() < 0.85:
        _palisade(section, rng, islands, radius)
    else:
        _fill(section, rng, islands & ~inner, spacing=7, radius=radius, spread=0.12, density=1.1)
    if rng.random() < 0.75:
        width = rng.uniform(4, 10)
        cleft = _rim(section, islands, width) & (
            smooth_noise(rng, islands.shape, 60 / section.um_per_pixel) > -0.3
        )
        _clear(section, cleft, eosin=0.02, haematoxylin=0.0)
    _mitoses(section, rng, islands, every_um=rng.uniform(70, 160))
    section.lesion |= islands


def squamous_cell_carcinoma(section: Section, rng: np.random.Generator) -> None:
    """Islands of large cells with much eosinophilic cytoplasm and uneven nuclei, around pearls of keratin
    in rings; fewer pearls the poorer the differentiation.
    """
    field = _field(section, rng)
    islands = _islands(section, rng, field, size_um=rng.uniform(80, 150), share=rng.uniform(0.4, 0.65))
    poor = rng.beta(1.2, 2)  # 0: well differentiated, 1: poorly
    _clear(section, islands, eosin=0.62 - 0.3 * poor, haematoxylin=0.08)
    _fill(section, rng, islands, spacing=14 - 5 * poor, radius=rng.uniform(3.6, 4.4),
          spread=rng.uniform(0.15, 0.3), density=rng.uniform(0.85, 1.1), clumps=0.3,
          nucleolus=rng.uniform(0, 0.4))  # fmt: skip
    inside = ndimage.distance_transform_edt(islands) * section.um_per_pixel
    pearls = scatter(inside > 18, section.um_per_pixel, 90 + 160 * poor, rng, 0.4)
    for x, y in zip(*pearls, strict=True):
        away = np.hypot(section.x - x, (section.y - y) * rng.uniform(0.8, 1.25))
        reach = rng.uniform(16, 38)
        pearl = (away < reach) & islands
        rings = 0.85 + 0.25 * np.sin(away * 1.3 + smooth_noise(rng, away.shape, 20 / section.um_per_pixel))
        section.eosin[pearl] = rings[pearl]
        section.haematoxylin[pearl & (away < 0.8 * reach)] *= 0.15
    _mitoses(section, rng, islands, every_um=rng.uniform(70, 180))
    infiltrate(section, rng, _rim(section, islands, 25), rng.uniform(10, 30))
    section.lesion |= islands


def _field(section: Section, rng: np.random.Generator) -> Mask:
    """The part that the tumour may take: from the junction down, a third to two thirds of the width."""
    width = np.ptp(section.x[section.dermis])
    middle = section.x[section.dermis].min() + width * rng.uniform(0.3, 0.7)
    half, deep = width * rng.uniform(0.18, 0.36), rng.uniform(170, 360)
    ragged = 0.25 * smooth_noise(rng, section.tissue.shape, 70 / section.um_per_pixel)
    inside = ((section.x - middle) / half) ** 2 + (np.clip(section.depth, 0, None) / deep) ** 2 + ragged < 1
    field: Mask = inside & section.dermis
    return field


def _islands(section: Section, rng: np.random.Generator, field: Mask, size_um: float, share: float) -> Mask:
    """Blobs of about `size_um` that take `share` of the field; never none."""
    blobs = smooth_noise(rng, field.shape, 0.6 * size_um / section.um_per_pixel)
    blobs = ndimage.gaussian_filter(blobs, 0.15 * size_um / section.um_per_pixel)
    islands = field & (blobs > np.quantile(blobs[field], 1 - share))
    smooth: Mask = ndimage.binary_opening(islands, iterations=2) | (islands & (blobs >= blobs[field].max()))
    return smooth


def _clear(section: Section, where: Mask, eosin: float, haematoxylin: float) -> None:
    section.eosin[where] = eosin
    section.haematoxylin[where] = haematoxylin


def _rim(section: Section, islands: Mask, width_um: float) -> Mask:
    away = ndimage.distance_transform_edt(~islands) * section.um_per_pixel
    rim: Mask = section.dermis & (away > 0) & (away <= width_um)
    return rim


def _fill(
    section: Section,
    rng: np.random.Generator,
    where: Mask,
    *,
    spacing: float,
    radius: float,
    spread: float,
    density: float,
    elongation: float = 1.2,
    clumps: float = 0.2,
    nucleolus: float = 0.0,
    shrink: FloatArray | None = None,
) -> None:
    places = scatter(where, section.um_per_pixel, spacing, rng)
    made = cells(places, rng, radius_um=radius, spread=spread, density=density, elongation=elongation,
                 clumps=clumps, nucleolus=nucleolus)  # fmt: skip
    if shrink is not None and places[0].size:
        row, column = ((c / section.um_per_pixel).astype(int) for c in (places[1], places[0]))
        made.long[:] *= shrink[row, column]
        made.short[:] *= shrink[row, column]
    made.paint(section.haematoxylin, section.um_per_pixel, rng)


def _palisade(section: Section, rng: np.random.Generator, islands: Mask, radius: float) -> None:
    """Nuclei in one row along the border, long axes across it."""
    inside = ndimage.distance_transform_edt(islands) * section.um_per_pixel
    places = scatter((inside > 2) & (inside <= 9), section.um_per_pixel, 5.5, rng, 0.1)
    if not places[0].size:
        return
    down, right = np.gradient(ndimage.gaussian_filter(inside, 3 / section.um_per_pixel))
    row, column = ((c / section.um_per_pixel).astype(int) for c in (places[1], places[0]))
    angle = np.arctan2(down[row, column], right[row, column]).astype(np.float32)
    row_of = cells(places, rng, radius_um=radius, spread=0.08, elongation=2.2, density=1.3, angle=angle)
    row_of.paint(section.haematoxylin, section.um_per_pixel, rng)


def _mitoses(section: Section, rng: np.random.Generator, where: Mask, every_um: float) -> None:
    """Metaphase plates: short dark bars in clear cytoplasm."""
    x, y = scatter(where, section.um_per_pixel, every_um, rng, 0.5)
    for one_x, one_y in zip(x, y, strict=True):
        _clear(section, (section.x - one_x) ** 2 + (section.y - one_y) ** 2 < 36, 0.2, 0.05)
    plates = cells((x, y), rng, radius_um=2.6, spread=0.1, elongation=3.5, density=1.9, clumps=0.1)
    plates.paint(section.haematoxylin, section.um_per_pixel, rng)
