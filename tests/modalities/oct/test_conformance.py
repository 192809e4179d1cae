"""Does the plugin keep every promise of the kit?"""

from __future__ import annotations

import pytest

from tests.modalities.simulated import FittedContract

pytest.importorskip("torch", reason="the extra train is not installed")


class TestOct(FittedContract):
    plugin = "oct"
