"""What of the whole process did a call into a plugin change?"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

_OWN = ("PYTEST_CURRENT_TEST",)  # written by pytest between the parts of a test


@contextmanager
def watched(changed: set[str]) -> Generator[None]:
    """Adds to `changed` the name of everything that is another after the block than before."""
    # Off is the only right state, also where it was turned on when the plugin was imported.
    before = {**_state(), "ImageFile.LOAD_TRUNCATED_IMAGES": False}
    try:
        yield
    finally:
        # To import torch is no fault: what it brings is compared where it was there before.
        now = _state()
        changed |= {k for k, v in now.items() if before[k] != v and not (before[k] is None and "torch" in k)}


def _state() -> dict[str, object]:
    torch: Any = sys.modules.get("torch")
    return {
        "ImageFile.LOAD_TRUNCATED_IMAGES": ImageFile.LOAD_TRUNCATED_IMAGES,
        "Image.MAX_IMAGE_PIXELS": Image.MAX_IMAGE_PIXELS,
        "random state": random.getstate(),
        "numpy random state": str(np.random.get_state(legacy=False)),  # noqa: NPY002
        "torch random state": torch.get_rng_state().tolist() if torch else None,
        "torch threads": torch.get_num_threads() if torch else None,
        "working directory": str(Path.cwd()),
        "environment": {k: v for k, v in os.environ.items() if k not in _OWN},
    }
