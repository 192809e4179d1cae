"""Does `docs/how-to/serve.md` say what is so, and do its examples run?"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dxtree.service import Judge, ServiceSettings
from dxtree.service.settings import MIB
from tests.dxtree.service.conftest import running

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/how-to/serve.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8000"
RUN = {"sh": ("bash", "-e"), "python": (sys.executable,), "js": ("node", "--input-type=module")}


@pytest.fixture(scope="module")
def address(judge: Judge) -> Iterator[str]:
    with running(judge) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("language", RUN)
def test_each_example_gets_the_answer(
    address: str, jpegs: dict[str, bytes], tmp_path: Path, language: str
) -> None:
    needed = "curl" if language == "sh" else RUN[language][0]
    if shutil.which(needed) is None:
        pytest.skip(f"needs {needed}")
    for modality, data in jpegs.items():
        (tmp_path / f"{modality}.jpg").write_bytes(data)
    (source,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert ADDRESS in source
    done = subprocess.run(
        RUN[language],
        input=source.replace(ADDRESS, address),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert (answer["case_id"], answer["status"]) == ("lesion-1", "complete")
    assert {"clinical", "dermoscopy", "age_years", "site"} <= set(answer["used"])
    assert "sex" in answer["missing"]


def test_the_table_of_limits_is_that_of_the_settings() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+)( MiB)? \|", PAGE, re.MULTILINE)
    told = {name: float(value) * (MIB if mib else 1) for name, value, mib in rows}
    limits = {
        name: field.default
        for name, field in ServiceSettings.model_fields.items()
        if isinstance(field.default, int | float) and not isinstance(field.default, bool) and name != "port"
    }
    assert told == limits


def test_every_code_of_the_service_and_every_meter_is_named() -> None:
    sources = [p.read_text("utf-8") for p in (ROOT / "dxtree/service").glob("*.py")]
    codes = {c for s in sources for c in re.findall(r'Problem\(\s*\d{3},\s*"(\w+)"', s)}
    assert len(codes) > 10
    assert [c for c in sorted(codes) if f"`{c}`" not in PAGE] == []
    meters = {m for s in sources for m in re.findall(r'"(dxtree_\w+)"', s)}
    assert [m for m in sorted(meters) if m not in PAGE] == []
