"""Do our own plugins keep the contract, by the class that a stranger's author subclasses?"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.conformance import PluginContract

ROOT = Path(__file__).parents[2]


class TestClinical(PluginContract):
    plugin = "clinical"


class TestDermoscopy(PluginContract):
    plugin = "dermoscopy"


class TestDermoscopyOfTheDefaultSet(PluginContract):
    plugin, models = "dermoscopy", "default"


class TestFusion(PluginContract):
    plugin, models = "fusion", "default"
    expected_failures = {  # noqa: RUF012 - as an author would write it
        f"{name}.fitted": "the shipped set holds others of our fusers"
        for name in ("boosted_monotone", "joint_concat", "joint_metablock")
    }


class TestModels(PluginContract):
    plugin = "models"


class TestCohorts(PluginContract):
    plugin = "cohorts"


class TestConfocal(PluginContract):
    plugin = ROOT / "examples" / "confocal" / "confocal_plugin.py"


PAGE = """
from plugins.conformance import PluginContract

class TestMine(PluginContract):
    plugin = {plugin!r}
    expected_failures = {expected!r}
"""


def outcome(
    folder: Path, plugin: str, expected: dict[str, str] | None = None
) -> tuple[subprocess.CompletedProcess[str], str]:
    (folder / "test_mine.py").write_text(PAGE.format(plugin=plugin, expected=expected or {}))
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", "test_mine.py"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return ran, " ".join(ran.stdout.split())


KEEPS = "class Model(Base):\n    kept = []\n    def one(self, image):\n        self.kept.append(image)\n" + (
    "        return super().one(image)\n"
)


@pytest.mark.parametrize(
    ("body", "expected", "code", "told"),
    [
        (KEEPS, {}, 1, "FAILED test_mine.py::TestMine::test_it_keeps[colposcopy: it keeps no image]"),
        (KEEPS, {"forgets": "a cache of ours"}, 0, "1 xfailed"),
        ("class Model(Base):\n    pass\n", {"forgets": "a cache of ours"}, 1, "take it out"),
    ],
    ids=["broken", "expected", "kept after all"],
)
def test_pytest_reports_each_promise_and_expected_failures_are_strict(
    body: str,
    expected: dict[str, str],
    code: int,
    told: str,
    tmp_path: Path,
    plugin: Callable[[str, str], str],
    source: Callable[..., str],
) -> None:
    ran, text = outcome(tmp_path, plugin("mine", source("colposcopy", body)), expected)
    assert ran.returncode == code, ran.stdout
    assert told in text


def test_a_plugin_that_does_not_load_has_one_failed_test(
    tmp_path: Path, plugin: Callable[[str, str], str]
) -> None:
    ran, text = outcome(tmp_path, plugin("mine", "raise OSError('gone')"))
    assert ran.returncode == 1
    assert "OSError: gone" in text
    assert "1 failed" in text
