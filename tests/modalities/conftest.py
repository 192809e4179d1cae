"""Drawn lesions, tiny nets whose logits are no rounding errors, and a folder in the archive's layout."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from core.case import PatientMetadata
from core.cohort import LabelledImage
from core.partition import Partition, partition_tree
from core.taxonomy import Taxonomy
from modalities.cnn.torch_net import build, prepare_input

Pixels = npt.NDArray[np.uint8]

CLASSES = ("benign:nevus", "benign:keratosis", "malignant:melanoma")
COLOURS = {
    "benign:nevus": (120, 84, 60),
    "benign:keratosis": (150, 140, 40),
    "malignant:melanoma": (40, 36, 70),
}
ISIC = {
    "benign:nevus": ("Benign", "Benign melanocytic proliferations", "Nevus"),
    "benign:keratosis": ("Benign", "Benign epidermal proliferations", "Seborrheic keratosis"),
    "malignant:melanoma": ("Malignant", "Malignant melanocytic proliferations (Melanoma)", "Melanoma, NOS"),
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def draw(label: str, seed: int, height: int = 96, width: int = 96) -> Pixels:
    """Skin with grain and a spot whose colour tells the class."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    cx, cy, r = rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2), rng.uniform(0.35, 0.55)
    inside = 1 / (1 + np.exp((np.hypot(x - cx, y - cy) - r) * 12))[..., None]
    skin = np.array([218, 172, 148]) + rng.normal(0, 8, 3)
    spot = np.array(COLOURS[label]) + rng.normal(0, 10, 3)
    pixels = skin + (spot - skin) * inside + rng.normal(0, 7, (height, width, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def png(pixels: Pixels, **options: Any) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def drawn() -> Callable[..., Pixels]:
    return draw


@pytest.fixture(scope="session")
def as_png() -> Callable[..., bytes]:
    return png


@pytest.fixture(scope="session")
def cells() -> Partition:
    """Three training classes."""
    tree = Taxonomy.from_paths("drawn", [c.split(":") for c in CLASSES])
    return partition_tree(tree, dict.fromkeys(CLASSES, 8), max_size=8)


@pytest.fixture(scope="session")
def lively() -> Callable[..., torch.nn.Module]:
    """A net whose normalisation layers have seen data: without it a random net's logits vanish."""

    def make(architecture: str, classes: int, size: int, seed: int = 0) -> torch.nn.Module:
        torch.manual_seed(seed)
        net = build(architecture, classes)
        prepare_input(net)
        for module in net.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.momentum = None
        net.train()
        with torch.no_grad():
            net(torch.randn(4, 3, size, size))
        return net.eval()

    return make


@pytest.fixture
def lesions(tmp_path: Path) -> Callable[..., list[LabelledImage]]:
    """Writes drawn lesions as files: `each` lesions a class, one image of each modality."""

    def make(each: int, modalities: tuple[str, ...] = ("dermoscopy",), side: int = 96) -> list[LabelledImage]:
        found = []
        for k, label in enumerate(CLASSES * each):
            for m, modality in enumerate(modalities):
                path = tmp_path / "images" / f"I{k}{modality}.png"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(png(draw(label, 100 * m + k, side, side)))
                found.append(
                    LabelledImage(
                        image=f"I{k}{modality}",
                        lesion=f"L{k}",
                        modality=modality,
                        path=path,
                        label=label,
                        patient=PatientMetadata(age_years=float(30 + 10 * (k % 3)), sex="female"),
                        cohort="drawn",
                    )
                )
        return found

    return make


@pytest.fixture(scope="session")
def isic_folder() -> Callable[[Path, int], Path]:
    """Writes a folder in the archive's layout: `each` lesions a class, a clinical and a dermoscopic image."""

    def make(folder: Path, each: int) -> Path:
        (folder / "images").mkdir(parents=True)
        levels = [f"diagnosis_{i}" for i in range(1, 6)]
        columns = ["isic_id", "lesion_id", "image_type", *levels, "age_approx", "sex", "anatom_site_general"]
        rows: list[Mapping[str, object]] = []
        for k, label in enumerate(CLASSES * each):
            for m, kind in enumerate(("clinical: close-up", "dermoscopic")):
                name = f"ISIC_{2 * k + m:07d}"
                (folder / "images" / f"{name}.png").write_bytes(png(draw(label, 1000 * m + k)))
                rows.append(
                    {
                        "isic_id": name,
                        "lesion_id": f"IL_{k:07d}",
                        "image_type": kind,
                        **dict(zip(levels, (*ISIC[label], "", ""), strict=True)),
                        "age_approx": 30 + 20 * (k % 3) if k % 5 else "",
                        "sex": ("female", "male", "")[k % 4 % 3],
                        "anatom_site_general": ("head/neck", "lower extremity", "")[k % 3],
                    }
                )
        with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        return folder

    return make
