"""Does the plugin keep every promise of the kit?"""

from __future__ import annotations

import pytest

from plugins.conformance import PluginContract
from plugins.conformance.finding import Promise
from tests.modalities.simulated import simulated_set

pytest.importorskip("torch", reason="the extra train is not installed")


class TestOct(PluginContract):
    plugin = "oct"

    @classmethod
    def promises(cls) -> list[Promise]:
        """Those for a set with a net, which is fitted here."""
        cls.models = simulated_set("oct")
        return super().promises()
