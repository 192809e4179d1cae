"""A copy of the demonstration set with a barely fitted net of one modality of stacks, made once a process,
and the kit on it.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from dxtree.simulating import add_simulated
from modalities.sets.plugin import HERE
from modalities.stacks.finding import find_recipe
from plugins.assembly import load_registry
from plugins.config import Settings
from plugins.conformance import PluginContract, check
from plugins.conformance.finding import Finding, Promise
from plugins.conformance.plan import plan
from plugins.model_set import ModelSet


@cache
def simulated_set(modality: str) -> Path:
    """Its folder, which goes when the interpreter does. What its net answers is of no worth."""
    folder = Path(tempfile.mkdtemp(prefix="simulated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    models = ModelSet.open(HERE / "demonstration")
    add_simulated(models, find_recipe(modality), folder / "set", lesions=24, seed=0, epochs=1)
    return folder / "set"


@cache
def promises_on(models: Path, plugin: str) -> dict[str, Promise]:
    """The kit's promises of the plugin of this name on the set in this folder, by title."""
    return {p.title: p for p in plan(plugin, load_registry(Settings((plugin,))), ModelSet.open(models))}


def findings_on_fitted(plugin: str) -> list[Finding]:
    """The kit's findings on the set with a net of the plugin's modality, whose name it has."""
    return check(plugin, load_registry(Settings((plugin,))), ModelSet.open(simulated_set(plugin)))


class FittedContract(PluginContract):
    """The kit on a set with a net, which is fitted when the first promise is tested and not while pytest
    collects: which promises there are does not hang on the set. `plugin` is the modality's name.
    """

    @classmethod
    def fitted(cls) -> Path:
        """The folder of the set, the same at every call."""
        return simulated_set(str(cls.plugin))

    def test_it_keeps(self, promise: Promise) -> None:
        """The same promise, of the fitted set."""
        super().test_it_keeps(promises_on(self.fitted(), str(self.plugin))[promise.title])
