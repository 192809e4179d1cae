"""Does the comparison find what is known to be there, and nothing where there is nothing?"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dxtree.cli.main import app
from dxtree.cohorts import SyntheticConfig, write_synthetic

EXPERIMENT = Path(__file__).parent.parent.parent / "examples" / "experiments" / "fine-signal.yaml"
WEIGHTS = os.environ.get("DXTREE_WEIGHTS")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        WEIGHTS is None, reason="DXTREE_WEIGHTS does not name MobileNetV2's ImageNet weights as safetensors"
    ),
]


def accuracies(signal: str, folder: Path) -> dict[tuple[str, str], dict[str, float]]:
    """Differences of accuracy, arm less the one on fine classes, by arm and yardstick."""
    config = SyntheticConfig(lesions=432, size=96, fine_signal=signal)  # type: ignore[arg-type]
    write_synthetic(folder / "data" / "fine_signal", config)
    words = ["experiment", EXPERIMENT, "--data", folder / "data", "--out", folder / "out", "--threads", 1]
    done = CliRunner().invoke(app, [*map(str, words), "--weights", str(WEIGHTS), "--json"])
    assert done.exit_code == 0, done.output
    return {
        (c["arm"], c["yardstick"]): c["difference"]
        for c in json.loads(done.stdout)["cells"]
        if c["metric"] == "accuracy" and c["difference"]
    }


def test_fine_classes_win_where_they_carry_a_signal(tmp_path: Path) -> None:
    found = accuracies("yes", tmp_path)
    assert found["level-1", "level 1"]["high"] < -0.1
    assert found["level-2", "level 2"]["high"] < 0


def test_fine_classes_do_not_win_where_they_carry_none(tmp_path: Path) -> None:
    """Labels at random within a node can only cost: some points of accuracy at the most."""
    found = accuracies("no", tmp_path)
    for place in (("level-1", "level 1"), ("level-2", "level 2")):
        assert -0.02 < found[place]["value"] < 0.05
        assert found[place]["high"] > 0
