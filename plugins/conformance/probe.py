"""What does a plugin do in a process of its own? Its import, its files and its connections, watched.

The parent's side; `probe_child` is the other. Watched are Python's own audit events, and what was left in
the working and the temporary folder: a library in C that writes elsewhere or connects is not seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

from core.errors import DxtreeError
from plugins.conformance.finding import Rule, expect
from plugins.conformance.modality import ModalityUnderTest

SECONDS = 0.3
"""What the import of a plugin may take of one core, beside what dxtree itself imports."""

HEAVY = ("torch", "torchvision", "tensorflow", "jax", "onnxruntime", "openvino", "sklearn", "xgboost")
"""What the import of a plugin may not load: a model does, once a case needs it."""

_MOST_SECONDS = 300


class Probe:
    """One plugin, switched on as `enabled` says, run once by another interpreter when the first rule asks."""

    def __init__(
        self, plugin: str, enabled: tuple[str, ...], models: Path, modalities: tuple[str, ...]
    ) -> None:
        self.plugin, self.modalities = plugin, modalities
        places = {e: str(Path(e).absolute()) if e.endswith(".py") else e for e in enabled}
        self._asked = {
            "plugin": plugin,
            "file": next((places[e] for e in enabled if e.endswith(".py") and Path(e).stem == plugin), None),
            "enabled": list(places.values()),
            "models": str(models.absolute()),
            "modalities": list(modalities),
            "heavy": list(HEAVY),
            "path": [str(Path(p).absolute()) for p in sys.path],
        }

    @cached_property
    def report(self) -> dict[str, Any]:
        """What the other process saw. Raises `DxtreeError` where it ended without a report."""
        with tempfile.TemporaryDirectory() as folder:
            here, there = Path(folder, "here"), Path(folder, "temporary")
            here.mkdir()
            there.mkdir()
            ran = subprocess.run(  # noqa: S603 - our interpreter, our module
                [sys.executable, "-c", _START, json.dumps(self._asked)],
                cwd=here,
                env={**os.environ, "TMPDIR": str(there), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                timeout=_MOST_SECONDS,
                check=False,
            )
            left = sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())
        lines = ran.stdout.splitlines()
        if ran.returncode or not lines:
            raise DxtreeError(
                f"the process that tries it ended with {ran.returncode}: {ran.stderr.strip()[-300:]}"
            )
        found: dict[str, Any] = json.loads(lines[-1])
        found["left"] = left
        return found


_START = """
import json, sys
asked = json.loads(sys.argv[1])
sys.path[:] = asked["path"]
from plugins.conformance.probe_child import main
main(asked)
"""


class ProbedModality:
    """One modality in both processes."""

    def __init__(self, here: ModalityUnderTest, probe: Probe) -> None:
        self.here, self.probe = here, probe

    @property
    def there(self) -> dict[str, Any]:
        """What the other process saw of it. Raises `Unanswerable` where it did not answer here either."""
        _ = self.here.answer
        found: dict[str, Any] = self.probe.report["modalities"][self.here.name]
        return found


def _light(it: Probe) -> None:
    heavy = it.report["heavy"]
    expect(not heavy, f"it loads {', '.join(heavy)}; import that in the function that loads the model")


def _fast(it: Probe) -> None:
    seconds = it.report["seconds"]
    expect(seconds <= SECONDS, f"it takes {seconds:.2f} s of a core; import what is slow where it is needed")


def _other_process(it: ProbedModality) -> None:
    there = it.there
    expect("error" not in there, str(there.get("error")))
    here = [[float(v).hex() for v in p.values] for p in it.here.answer]
    expect(there["bits"] == here, "another process gives other bits")


def _offline(it: ProbedModality) -> None:
    seen = it.there["connections"]
    expect(not seen, f"it used the network: {', '.join(seen)}")


def _read_only(it: ProbedModality) -> None:
    seen = [*it.there["writes"], *it.probe.report["left"]]
    expect(not seen, f"it wrote: {', '.join(seen[:5])}")


PLUGIN_RULES: tuple[Rule[Probe], ...] = (
    Rule("light", "its import loads no torch nor its kin", _light),
    Rule("fast", f"its import takes under {SECONDS} s of a core", _fast),
)
"""Every promise of a plugin that needs a process of its own."""

MODALITY_RULES: tuple[Rule[ProbedModality], ...] = (
    Rule("other_process", "another process gives the same bits", _other_process),
    Rule("offline", "it does without the network", _offline),
    Rule("read_only", "it writes nothing", _read_only),
)
"""Every promise of a modality that needs a process of its own."""
