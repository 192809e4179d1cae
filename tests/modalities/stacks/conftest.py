"""A modality of stacks that is small enough to fit in seconds: stripes of two widths, as multi-page TIFF."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from modalities.stacks import reading

TOY = '''
"""Stripes."""
import io
import numpy as np
from pathlib import Path
from PIL import Image, ImageSequence
from core.errors import UnsupportedFormat
from modalities.stacks.limits import check_room
from modalities.stacks.stack import Channel, Stack


def parse(data, limits):
    if data == b"die":
        import os
        os._exit(3)
    if data == b"sleep":
        import time
        time.sleep(60)
    if data == b"eat":
        np.zeros(1 << 31, np.float64)
    if data == b"nan":
        return Stack(np.full((1, 32, 32, 1), np.nan, np.float32))
    if data == b"refuse":
        raise UnsupportedFormat("no file of stripes; send another")
    image = Image.open(io.BytesIO(data))
    check_room(image.n_frames, image.height, image.width, 1, limits)
    planes = np.stack([np.asarray(page, np.float32) for page in ImageSequence.Iterator(image)])
    depths = tuple(3.0 * k if k else None for k in range(len(planes)))
    channels = (Channel("stripes", 780.0, "nm"),)
    return Stack(planes[..., None], "depth", depths, (0.5, 0.25), channels, 8, ("toy",))
'''

RECIPE = '''
"""The recipe of stripes."""
import io
import numpy as np
from PIL import Image
from modalities.stacks import StackRecipe
from modalities.stacks.reading import read_in_child


def read(source):
    return read_in_child("stripes_parse", source)


def views(stack):
    return np.ascontiguousarray((stack.values[:4].transpose(0, 3, 1, 2) - 128) / 64)


def draw(kind, rng):
    period = {"wide": 12, "narrow": 5}[kind]
    pages = []
    for _ in range(rng.integers(2, 5)):
        x = np.arange(32) + rng.uniform(0, period)
        grey = 128 + 60 * np.sin(2 * np.pi * x / period) + rng.normal(0, 40, (32, 32))
        pages.append(Image.fromarray(grey.clip(0, 255).astype(np.uint8)))
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    return file.getvalue()


def recipe(pooling="attention"):
    kinds = (
        ("wide", ("Malignant:Melanoma:Nodular melanoma",)),
        ("narrow", ("Benign:Melanocytic nevus:Common nevus",)),
    )
    return StackRecipe("stripes", "Stripes", read, views, 1, 32, 4, pooling, draw, kinds)


RECIPE = recipe()
'''

PLUGIN = '''
"""The toy as a plugin."""
from plugins import ModalitySpec, hookimpl


def load(request):
    from stripes_recipe import RECIPE
    from modalities.stacks.model import load_stack_model
    return load_stack_model(request, RECIPE)


@hookimpl
def dxtree_modalities():
    return [ModalitySpec("stripes", "Stripes", load, needs_bundle=True)]
'''


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module of the toy's recipe; `recipe()` makes one."""
    folder: Path = tmp_path_factory.mktemp("stripes")
    (folder / "stripes_parse.py").write_text(TOY)
    (folder / "stripes_recipe.py").write_text(RECIPE)
    (folder / "stripes_plugin.py").write_text(PLUGIN)
    sys.path.insert(0, str(folder))
    reading._pools.clear()  # a running worker would not know the folder
    import stripes_recipe

    yield stripes_recipe
    sys.path.remove(str(folder))
    del sys.modules["stripes_recipe"]
    reading._pools.clear()
