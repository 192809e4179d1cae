"""Do plugins and the registry stay light until a model is needed?"""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "torchvision",
    "onnx",
    "onnxruntime",
    "sklearn",
    "scipy",
    "xgboost",
    "safetensors",
    "pandas",
)

STEPS = {
    "import plugins": "import plugins",
    "load the registry": "from plugins.assembly import load_registry\nload_registry()",
    "ask for every spec": (
        "from plugins.assembly import load_registry\nr = load_registry()\n"
        "[r.modalities.get(n) for n in r.modalities.names()]\n[r.fusers.get(n) for n in r.fusers.names()]\n"
        "[r.cohorts.get(n) for n in r.cohorts.names()]\n[r.taxonomies.get(n) for n in r.taxonomies.names()]"
    ),
    "import the conformance kit": "import plugins.conformance",
}


@pytest.mark.parametrize("step", STEPS)
def test_nothing_heavy_is_imported_to(step: str) -> None:
    code = f"{STEPS[step]}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
    assert found.stderr == ""
