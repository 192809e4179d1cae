"""`dxtree bench` on the demonstration set."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dxtree.speed.memory import peak_bytes

MEASURED = ("images_per_second", "p50_ms", "p99_ms", "ratio", "memory_mb")


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "dxtree",
        "bench",
        "--models",
        "demonstration",
        "--rounds",
        "3",
        *options,
    ]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def told() -> dict[str, object]:
    done = bench("--engine", "torch", "--engine", "onnxruntime", "--engine", "onnxruntime-int8", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_engine_asked_for_is_measured_or_refused_with_a_reason(told: dict[str, object]) -> None:
    engines = told["engines"]
    assert [e["engine"] for e in engines] == ["torch", "onnxruntime", "onnxruntime-int8"]
    for engine in engines:
        measured = {engine[m] is not None for m in MEASURED}
        assert measured == {engine["refused"] is None}
    assert "dxtree export" in engines[2]["refused"]


def test_ratios_are_to_torch_and_the_fastest_is_recommended(told: dict[str, object]) -> None:
    torch, onnxruntime, _ = told["engines"]
    assert torch["ratio"] == 1
    fastest = max((torch, onnxruntime), key=lambda e: e["images_per_second"])
    assert told["recommended"] == fastest["engine"]
    assert torch["p99_ms"] >= torch["p50_ms"] > 0


def test_memory_is_that_of_a_process_of_its_own(told: dict[str, object]) -> None:
    torch, onnxruntime, _ = told["engines"]
    assert onnxruntime["memory_mb"] < torch["memory_mb"] / 2


def test_machine_and_research_use_stand_beside_the_numbers(told: dict[str, object]) -> None:
    assert told["machine"]["cores"] >= 1
    assert told["machine"]["packages"]["onnxruntime"]
    assert "research use" in told["notice"].lower()
    assert told["whole"]["images"] == 16


def test_a_table_names_the_engine_to_take() -> None:
    done = bench("--engine", "onnxruntime")
    assert done.returncode == 0, done.stderr
    assert "recommended  --engine onnxruntime" in done.stdout
    assert "diagnose_many" in done.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--engine", "tensorrt"), "tensorrt"),
        (("--modality", "sonar"), "sonar"),
        (("--photographs", "."), "holds no .jpg file"),
    ],
)
def test_what_cannot_be_measured_is_said(options: tuple[str, str], says: str, tmp_path: Path) -> None:
    folder = [str(tmp_path) if o == "." else o for o in options]
    done = bench(*folder)
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_peak_grows_with_what_is_held() -> None:
    before = peak_bytes()
    if before is None:
        pytest.skip("the system does not tell")
    held = bytearray(200_000_000)
    held[::4096] = b"x" * len(held[::4096])
    assert (peak_bytes() or 0) >= before
    assert (peak_bytes() or 0) >= len(held)
