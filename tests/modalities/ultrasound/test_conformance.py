"""Does the plugin keep every promise of the kit?"""

from __future__ import annotations

import pytest

from plugins.conformance import PluginContract
from plugins.conformance.finding import Promise
from tests.modalities.simulated import simulated_set

pytest.importorskip("pydicom", reason="the extra dicom is not installed")
pytest.importorskip("torch", reason="the extra train is not installed")


class TestUltrasound(PluginContract):
    plugin = "ultrasound"

    @classmethod
    def promises(cls) -> list[Promise]:
        """Those for a set with a net, which is fitted here."""
        cls.models = simulated_set("ultrasound")
        return super().promises()
