"""Does ONNX Runtime report to nobody?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = (
    "import os\nbefore = dict(os.environ)\n{}\n"
    "from modalities.engines.silent import onnxruntime\nonnxruntime().SessionOptions()\n"
    "assert dict(os.environ) == before\n"
)


def run(code: str, folder: Path, **environment: str) -> list[str]:
    given = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    subprocess.run(
        [sys.executable, "-c", code], env={**given, "TMPDIR": str(folder), **environment}, check=True
    )
    return [p.name for p in folder.iterdir()]


@pytest.mark.parametrize("environment", [{}, {"ORT_DISABLE_TELEMETRY": "0"}])
def test_importing_it_leaves_no_file_of_session_ids_and_no_variable(
    environment: dict[str, str], tmp_path: Path
) -> None:
    assert run(CODE.format(""), tmp_path, **environment) == []


def test_no_module_of_ours_imports_it_otherwise() -> None:
    root = Path(__file__).parents[2]
    packages = ("core", "plugins", "modalities", "fusion", "dxtree")
    sources = [p for name in packages for p in (root / name).rglob("*.py")]
    bare = [p.name for p in sources if "import onnxruntime" in p.read_text("utf-8") and p.name != "silent.py"]
    assert bare == []
