"""Does the plugin keep every promise of the kit, and does its net learn what is simulated?"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from modalities.histopathology.recipe import RECIPE
from modalities.sets.plugin import HERE
from modalities.stacks.fitting import fit_simulated
from plugins.conformance import PluginContract
from plugins.model_set import ModelSet
from tests.modalities.simulated import findings_on_fitted


class TestHistopathology(PluginContract):
    plugin = "histopathology"
    expected_failures: ClassVar = {"offered": "no bundle ships: none was trained on patients"}


@pytest.mark.slow
def test_with_a_fitted_bundle_it_keeps_every_promise() -> None:
    pytest.importorskip("torch")
    findings = findings_on_fitted("histopathology")
    assert [f for f in findings if not f.passed] == []
    assert len(findings) > 30


@pytest.mark.slow
def test_a_net_tells_other_simulated_slides_apart(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    partition = ModelSet.open(HERE / "demonstration").partition
    judged = fit_simulated(RECIPE, partition, tmp_path / "bundle", lesions=320, epochs=14).judged
    assert judged.low > judged.chance == 0.25
