"""How well does each segmenter outline lesions? Intersection over union with the true mask.

    python benchmarks/segmentation.py --lesions 300
    python benchmarks/segmentation.py --images data/ham10000/images --masks data/ham10000/masks

Without folders: drawn lesions, whose outline is known, in both views. With them: every image NAME.jpg whose
mask is NAME.png, NAME_segmentation.png or NAME_Segmentation.png, as HAM10000 (Tschandl et al. 2018, masks of
2020) and ISIC 2018 task 1 publish them. Images are worked at with a short side of `--side` pixels. The mean
has a 95 % interval from a bootstrap over images; `failed` is the share under .5.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.diagnosis import RESEARCH_USE
from dxtree.cohorts.synthetic import make_lesion, true_mask
from dxtree.staging import read_mask
from modalities.cnn.preprocess import shrunk
from modalities.images import decode
from modalities.stages import Mask, Pixels, outlined
from modalities.stages.segmentation import overlap
from plugins.assembly import load_registry

RESAMPLES = 2000
SUFFIXES = (".png", "_segmentation.png", "_Segmentation.png")


def main() -> None:
    """Outlines and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, help="folder of JPEGs")
    parser.add_argument("--masks", type=Path, help="folder of their masks, PNG")
    parser.add_argument("--lesions", type=int, default=300, help="drawn lesions, or images at most")
    parser.add_argument("--side", type=int, default=256)
    given = parser.parse_args()
    if (given.images is None) != (given.masks is None):
        parser.error("--images and --masks go together")
    segmenters = load_registry().segmenters.specs
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    pairs = (
        drawn(given.lesions)
        if given.masks is None
        else real(given.images, given.masks, given.lesions, given.side)
    )
    for kind, pixels, truth in pairs:
        for name, spec in segmenters.items():
            found[kind, name].append(overlap(outlined(pixels, spec), truth))
    print("| images | segmenter | n | mean IoU | median | failed |\n|---|---|---|---|---|---|")
    chance = np.random.default_rng(0)
    for (kind, name), values in found.items():
        one = np.array(values)
        means = one[chance.integers(0, len(one), (RESAMPLES, len(one)))].mean(axis=1)
        low, high = np.quantile(means, (0.025, 0.975))
        cells = (
            f"{one.mean():.3f} ({low:.3f} to {high:.3f}) | {np.median(one):.3f} | {(one < 0.5).mean():.3f}"
        )
        print(f"| {kind} | {name} | {len(one)} | {cells} |")
    print(f"\n{RESEARCH_USE}")


def drawn(lesions: int, seed: int = 7) -> Iterator[tuple[str, Pixels, Mask]]:
    """View, picture and true mask of drawn lesions."""
    for index in range(lesions):
        for view, pixels in make_lesion(seed, index).images.items():
            yield f"drawn {view}", pixels, true_mask(seed, index, view)


def real(images: Path, masks: Path, most: int, side: int) -> Iterator[tuple[str, Pixels, Mask]]:
    """The same of the images that have a mask, spread evenly over their names."""
    pairs = [
        (image, mask)
        for image in sorted(images.glob("*.jpg"))
        for mask in (masks / (image.stem + suffix) for suffix in SUFFIXES)
        if mask.is_file()
    ]
    if not pairs:
        raise SystemExit("no image of --images has a mask in --masks")
    for k in range(min(most, len(pairs))):
        image, mask = pairs[k * len(pairs) // min(most, len(pairs))]
        original = decode(image).pixels
        pixels = shrunk(original, side)
        yield images.parent.name, pixels, read_mask(mask, original, pixels)


if __name__ == "__main__":
    main()
