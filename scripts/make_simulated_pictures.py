"""Makes the pictures of docs/how-to/simulate.md: a simulated file of each modality before and after.

    python scripts/make_simulated_pictures.py [MODALITY ...]

Writes `docs/images/simulated-MODALITY.png`, in few shades to keep them small. Needs the extras report, dicom,
oct, slides and spectral.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from dxtree.simulating import draw_before_after
from modalities.stacks.finding import find_recipe

OUT = Path(__file__).parents[1] / "docs" / "images"
SHOWN = {
    "confocal": ("melanoma", 1),
    "dermoscopy_sequence": ("melanoma", 1),
    "histopathology": ("basal cell carcinoma", 2),
    "multiphoton": ("superficial spreading melanoma", 1),
    "oct": ("basal cell carcinoma", 3),
    "photoacoustic": ("nodular melanoma", 1),
    "terahertz": ("basal cell carcinoma", 1),
    "ultrasound": ("melanoma", 1),
}
"""Modality to the kind and the seed of the lesion that is drawn."""
DPI = 64
GREYS, COLOURS = 20, 48


def main(names: list[str]) -> None:
    """Writes the pictures of these modalities, of all without a name."""
    for name in names or SHOWN:
        recipe, (kind, seed) = find_recipe(name), SHOWN[name]
        data = recipe.draw(kind, np.random.default_rng(seed))
        path = OUT / f"simulated-{name.replace('_', '-')}.png"
        draw_before_after(recipe, data, path, dpi=DPI)
        with Image.open(io.BytesIO(path.read_bytes())) as drawn:
            plain = drawn.convert("RGB")
        is_grey = not np.ptp(np.asarray(plain), axis=2).any()
        plain.quantize(GREYS if is_grey else COLOURS).save(path, optimize=True)
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
