"""A copy of the demonstration set with a barely fitted net of one modality of stacks, made once a process."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from dxtree.simulating import add_simulated
from modalities.sets.plugin import HERE
from modalities.stacks.finding import find_recipe
from plugins.model_set import ModelSet


@cache
def simulated_set(modality: str) -> Path:
    """Its folder, which goes when the interpreter does. What its net answers is of no worth."""
    folder = Path(tempfile.mkdtemp(prefix="simulated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    models = ModelSet.open(HERE / "demonstration")
    add_simulated(models, find_recipe(modality), folder / "set", lesions=24, seed=0, epochs=1)
    return folder / "set"
