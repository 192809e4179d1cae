"""What does a section of healthy skin look like, in optical densities of haematoxylin and eosin?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from modalities.histopathology.nuclei import cells, scatter
from modalities.stacks.stack import FloatArray

Mask = npt.NDArray[np.bool_]


@dataclass
class Section:
    """A section while it is drawn: surface up, tissue on glass.

    `haematoxylin`, `eosin`: optical densities, height x width. `tissue`, `epidermis`, `dermis`, `lesion`:
    which pixels are which; `lesion` is the truth of the simulator. `depth`: micrometres below the junction
    of epidermis and dermis, negative above it.
    """

    haematoxylin: FloatArray
    eosin: FloatArray
    tissue: Mask
    epidermis: Mask
    dermis: Mask
    depth: FloatArray
    x: FloatArray
    y: FloatArray
    um_per_pixel: float
    lesion: Mask


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], grain: float, across: float | None = None
) -> FloatArray:
    """Noise of mean 0 and spread about 1 that varies over `grain` pixels, `across` of them between rows."""
    steps = (across or grain, grain)
    coarse = rng.standard_normal([int(np.ceil(n / s)) + 3 for n, s in zip(shape, steps, strict=True)])
    coarse = ndimage.gaussian_filter(coarse, 0.5).astype(np.float32) * 2
    rows, columns = (_between(n, s, c) for n, s, c in zip(shape, steps, coarse.shape, strict=True))
    noise: FloatArray = rows @ coarse @ columns.T
    return noise


def _between(fine: int, step: float, coarse: int) -> FloatArray:
    """Linear interpolation from a grid of `coarse` points, one every `step`, as a matrix."""
    place = np.arange(fine) / step + 1
    weights: FloatArray = np.maximum(1 - np.abs(place[:, None] - np.arange(coarse)), 0).astype(np.float32)
    return weights


def healthy_skin(rng: np.random.Generator, width_um: float, height_um: float, um_per_pixel: float) -> Section:
    """Horny layer, epidermis with rete ridges, and dermis with collagen, fibroblasts and a few lymphocytes.

    Sizes: epidermis 50 to 100 micrometres, keratinocytes 9 to 11 apart with nuclei of 3 to 4 in radius,
    collagen bundles some 15 thick (Elder (ed.), Lever's Histopathology of the Skin, 11th ed. 2015, ch. 3).
    """
    shape = (round(height_um / um_per_pixel), round(width_um / um_per_pixel))
    y, x = (a.astype(np.float32) * um_per_pixel for a in np.mgrid[: shape[0], : shape[1]])
    line = (1, shape[1])
    surface = rng.uniform(60, 110) + 12 * smooth_noise(rng, line, 160 / um_per_pixel)
    ridges = rng.uniform(15, 45) * np.abs(np.sin(np.pi * x[:1] / rng.uniform(70, 120) + rng.uniform(0, 3)))
    junction = surface + rng.uniform(50, 90) + ridges + 6 * smooth_noise(rng, line, 60 / um_per_pixel)
    margin = rng.uniform(25, 70, 2)
    ragged = 12 * smooth_noise(rng, shape, 50 / um_per_pixel)
    tissue = (x > margin[0] + ragged) & (x < width_um - margin[1] + ragged) & (y > surface - 14)
    tissue &= y < height_um - rng.uniform(30, 120) + ragged
    epidermis = tissue & (y >= surface) & (y < junction)
    dermis = tissue & (y >= junction)
    section = Section(
        np.zeros(shape, np.float32), np.zeros(shape, np.float32), tissue, epidermis, dermis,
        y - junction, x, y, um_per_pixel, np.zeros(shape, bool),
    )  # fmt: skip
    _horn(section, rng)
    _dermis(section, rng)
    section.eosin[epidermis] = 0.32
    section.haematoxylin[epidermis] = 0.08
    upper = epidermis & (section.depth < -11)
    cells(scatter(upper, um_per_pixel, rng.uniform(9, 11), rng), rng, radius_um=3.3, spread=0.08).paint(
        section.haematoxylin, um_per_pixel, rng
    )
    basal = epidermis & (section.depth >= -9)
    standing = cells(
        scatter(basal, um_per_pixel, 6.5, rng, 0.15),
        rng,
        radius_um=2.9,
        spread=0.08,
        elongation=1.6,
        density=1.05,
        angle=np.pi / 2,
    )
    standing.paint(section.haematoxylin, um_per_pixel, rng)
    return section


def _horn(section: Section, rng: np.random.Generator) -> None:
    """Basket weave: eosin in thin waves."""
    horn = section.tissue & ~section.epidermis & ~section.dermis
    waves = np.sin(section.y * 1.6 + 2 * smooth_noise(rng, section.tissue.shape, 30 / section.um_per_pixel))
    section.eosin[horn] = (0.12 + 0.4 * (waves > 0.1))[horn]


def _dermis(section: Section, rng: np.random.Generator) -> None:
    """Collagen in wavy bundles with clear gaps, fine below the junction and coarse in the depth."""
    scale, shape = section.um_per_pixel, section.tissue.shape
    wave = smooth_noise(rng, shape, 120 / scale, 60 / scale) * 22
    bundle = np.sin(
        2 * np.pi * (section.y + wave) / rng.uniform(15, 22) + smooth_noise(rng, shape, 25 / scale)
    )
    patchy = smooth_noise(rng, shape, 40 / scale, 12 / scale)
    fine = np.clip(section.depth / 80, 0, 1)
    eosin = 0.38 + 0.16 * bundle * fine + 0.08 * patchy
    gaps = (bundle + 0.5 * patchy < -1.1) & (section.depth > 50)
    section.eosin[section.dermis] = np.where(gaps, 0.04, np.clip(eosin, 0.1, 0.8))[section.dermis]
    places = scatter(section.dermis, scale, rng.uniform(30, 40), rng, 0.5)
    fibroblasts = cells(places, rng, radius_um=2.6, spread=0.15, elongation=4, density=0.8,
                        angle=rng.normal(0, 0.5, places[0].size).astype(np.float32))  # fmt: skip
    fibroblasts.paint(section.haematoxylin, scale, rng)
    infiltrate(section, rng, section.dermis & (section.depth < 60), rng.uniform(25, 60))


def infiltrate(section: Section, rng: np.random.Generator, where: Mask, spacing_um: float) -> None:
    """Lymphocytes: small, round and dark."""
    places = scatter(where, section.um_per_pixel, spacing_um, rng, 0.5)
    lymphocytes = cells(places, rng, radius_um=2.8, spread=0.05, elongation=1, density=1.3)
    lymphocytes.paint(section.haematoxylin, section.um_per_pixel, rng)
