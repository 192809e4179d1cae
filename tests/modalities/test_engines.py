"""Nine ways to run one net: the same answers, or a refusal that says why."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from onnx import numpy_helper

from core.errors import BundleError, ContractError, MissingExtra
from core.manifest import Bundle, read_bundle, write_bundle
from modalities.cnn.graph import export
from modalities.engines import (
    GRAPH,
    INT8,
    KINDS,
    Processor,
    choose_engine,
    engine_names,
    load_engine,
    maker_of,
)
from modalities.engines.checking import LIMITS, Findings, record_of
from modalities.engines.choosing import build_engine
from modalities.engines.processor import BF16_FLAGS, INT8_FLAGS
from modalities.engines.quantising import ends, quantise
from modalities.engines.records import digests

Lively = Callable[..., torch.nn.Module]
FloatArray = npt.NDArray[np.float32]
Record = dict[str, Any]

CLASSES, SIZE = 5, 64
RUNNING = [name for name in KINDS if name != "torch-compile"]
CHECKED = [name for name in RUNNING if KINDS[name].checked]
GRAPHS = ["onnxruntime", "openvino", "openvino-bf16", "onnxruntime-int8", "openvino-int8"]
ABLE = Processor(INT8_FLAGS | BF16_FLAGS)
PLAIN = Processor(frozenset({"avx2"}))


def images(count: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).standard_normal((count, 3, SIZE, SIZE)).astype(np.float32)


def softmax(logits: FloatArray) -> npt.NDArray[np.float64]:
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def net(lively: Lively) -> tuple[bytes, dict[str, str]]:
    return export(lively("mobilenet_v3_small", CLASSES, SIZE), SIZE)


@pytest.fixture(scope="module")
def int8(net: tuple[bytes, dict[str, str]]) -> bytes:
    return quantise(net[0], images(8)[:, None])


@pytest.fixture
def bundle(net: tuple[bytes, dict[str, str]], int8: bytes, tmp_path: Path) -> Callable[..., Bundle]:
    """Writes the bundle with records of checks and reads it back."""

    def make(records: dict[str, Any] | None = None, files: dict[str, bytes] | None = None) -> Bundle:
        manifest = {
            "architecture": "mobilenet_v3_small",
            "classes": [f"c{k}" for k in range(CLASSES)],
            "preprocessing": {"size": SIZE},
            "shared_parameters": net[1],
            **({} if records is None else {"engines": records}),
        }
        content = {GRAPH: net[0], INT8: int8} if files is None else files
        write_bundle(tmp_path / "bundle", "bundle.json", manifest, content)
        return read_bundle(tmp_path / "bundle", "bundle.json")

    return make


@pytest.fixture
def passed(bundle: Callable[..., Bundle]) -> Callable[..., Record]:
    """The record of a check as `dxtree export` writes it."""

    def make(name: str, **changed: Any) -> Record:
        good = Findings(0.0, 0.0, 1.0, 0.0, 0.0)
        return record_of(KINDS[name], good, digests(bundle(), KINDS[name]), "torch", {}) | changed

    return make


# --- the same answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNNING)
def test_every_engine_gives_the_answers_of_torch(
    name: str, bundle: Callable[..., Bundle], passed: Callable[..., Record]
) -> None:
    held = bundle({name: passed(name)} if KINDS[name].checked else None)
    given = images(6, seed=5)
    wanted = softmax(load_engine(held, "torch")(given))
    engine = load_engine(held, name)
    found = softmax(engine(given))
    assert engine.name == name
    assert np.abs(wanted - wanted.mean(axis=0)).max() > 0.05  # the net is not asleep
    tolerance = {"fp32": 1e-3, "bf16": 0.05, "int8": 0.2}[KINDS[name].precision]
    assert np.abs(found - wanted).max() < tolerance


@pytest.mark.slow
def test_a_compiled_net_gives_the_answers_of_torch(
    bundle: Callable[..., Bundle], passed: Callable[..., Record]
) -> None:
    held = bundle({"torch-compile": passed("torch-compile")})
    one = images(1)
    assert load_engine(held, "torch-compile")(one) == pytest.approx(load_engine(held, "torch")(one), abs=1e-3)


@pytest.mark.parametrize("name", ["torch", *GRAPHS])
def test_a_batch_is_answered_as_its_images_one_by_one(name: str, bundle: Callable[..., Bundle]) -> None:
    engine = build_engine(bundle(), KINDS[name])
    given = images(4, seed=2)
    singles = np.concatenate([engine(given[k : k + 1]) for k in range(4)])
    # Where rounding is meant, one sum in another order may fall on another step.
    tolerance = {"fp32": 1e-4, "bf16": 0.05, "int8": 0.05}[KINDS[name].precision]
    assert np.abs(softmax(engine(given)) - softmax(singles)).max() <= tolerance


@pytest.mark.parametrize("name", GRAPHS)
def test_the_number_of_callers_does_not_change_a_bit(name: str, bundle: Callable[..., Bundle]) -> None:
    held = bundle()
    given = [images(1, seed=k) for k in range(6)]
    one = build_engine(held, KINDS[name])
    wanted = [one(image) for image in given]
    for calls in (2, 3):
        with ThreadPoolExecutor(calls) as pool:
            found = list(pool.map(maker_of(held, one)(calls), given))
        assert all(np.array_equal(a, b) for a, b in zip(wanted, found, strict=True))


def test_openvino_computes_in_fp32_unless_bf16_is_asked_for(bundle: Callable[..., Bundle]) -> None:
    held, given = bundle(), images(4, seed=3)
    source = build_engine(held, KINDS["onnxruntime"])(given)
    exact, rounded = (build_engine(held, KINDS[n])(given) for n in ("openvino", "openvino-bf16"))
    assert np.abs(exact - source).max() < 1e-4
    if Processor.here().suits("bf16"):
        assert np.abs(rounded - source).max() > 1e-3


# --- who may run -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHECKED)
def test_an_engine_that_was_not_checked_is_refused(name: str, bundle: Callable[..., Bundle]) -> None:
    with pytest.raises(ContractError, match=f"{name} was not checked on this bundle's net; check it with"):
        load_engine(bundle(), name)


@pytest.mark.parametrize("name", CHECKED)
def test_an_engine_that_failed_its_check_is_refused(
    name: str, bundle: Callable[..., Bundle], passed: Callable[..., Record]
) -> None:
    with pytest.raises(ContractError, match=f"{name} failed its check"):
        load_engine(bundle({name: passed(name, passed=False)}), name)


@pytest.mark.parametrize("entry", ["graph", "source"])
@pytest.mark.parametrize("name", CHECKED)
def test_a_check_of_another_graph_is_refused(
    name: str, entry: str, bundle: Callable[..., Bundle], passed: Callable[..., Record]
) -> None:
    with pytest.raises(ContractError, match="is of another graph than this one"):
        load_engine(bundle({name: passed(name, **{entry: "0" * 64})}), name)


@pytest.mark.parametrize("verdict", [None, 1, "true", [True]])
def test_only_true_means_passed(
    verdict: object, bundle: Callable[..., Bundle], passed: Callable[..., Record]
) -> None:
    with pytest.raises(ContractError, match="failed its check"):
        load_engine(bundle({"openvino": passed("openvino", passed=verdict)}), "openvino")


@pytest.mark.parametrize("records", [[], "passed", 3])
def test_records_that_are_no_table_are_a_contract_error(records: Any, bundle: Callable[..., Bundle]) -> None:
    with pytest.raises(ContractError, match="needs 'engines' as dict"):
        load_engine(bundle(records), "openvino")


def test_a_record_that_is_no_table_is_of_another_graph(bundle: Callable[..., Bundle]) -> None:
    with pytest.raises(ContractError, match="another graph"):
        load_engine(bundle({"openvino": True}), "openvino")


def test_an_int8_engine_without_an_int8_graph_says_how_to_make_one(
    bundle: Callable[..., Bundle], net: tuple[bytes, dict[str, str]]
) -> None:
    held = bundle(files={GRAPH: net[0]})
    for name in ("onnxruntime-int8", "openvino-int8"):
        with pytest.raises(ContractError, match=r"has no model\.int8\.onnx.*dxtree export"):
            load_engine(held, name)


def test_records_survive_the_disk(bundle: Callable[..., Bundle], passed: Callable[..., Record]) -> None:
    record = passed("openvino-int8")
    assert bundle({"openvino-int8": record}).manifest["engines"]["openvino-int8"] == record
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["passed"] is True
    assert set(record["versions"]) == {"openvino", "torch"}
    assert len(record["graph"]) == len(hashlib.sha256().hexdigest())


def test_an_unknown_engine_says_which_there_are_and_what_was_meant(bundle: Callable[..., Bundle]) -> None:
    with pytest.raises(BundleError, match=r"'openvin' is unknown; there are auto, torch.*did you mean"):
        load_engine(bundle(), "openvin")


@pytest.mark.parametrize("calls", [0, -1])
def test_an_engine_without_callers_is_refused(calls: int, bundle: Callable[..., Bundle]) -> None:
    with pytest.raises(BundleError, match="at least one thread"):
        load_engine(bundle(), "onnxruntime", calls=calls)


# --- what auto takes ---------------------------------------------------------------------------------------


def test_auto_takes_the_fastest_that_passed_and_suits_the_processor(
    bundle: Callable[..., Bundle], passed: Callable[..., Record]
) -> None:
    every = {name: passed(name) for name in CHECKED}
    no_int8 = {n: r for n, r in every.items() if KINDS[n].precision != "int8"}
    failed = every | {"openvino-int8": passed("openvino-int8", passed=False)}
    assert choose_engine(bundle(every), ABLE) == "openvino-int8"
    assert choose_engine(bundle(failed), ABLE) == "onnxruntime-int8"
    assert choose_engine(bundle(no_int8), ABLE) == "openvino-bf16"
    assert choose_engine(bundle(every), PLAIN) == "openvino"
    assert choose_engine(bundle(every), Processor(frozenset({"avx512_bf16"}))) == "openvino-bf16"
    assert choose_engine(bundle(), ABLE) == "onnxruntime"


def test_auto_passes_over_what_is_not_installed(
    bundle: Callable[..., Bundle], passed: Callable[..., Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = bundle({name: passed(name) for name in CHECKED})
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert choose_engine(held, ABLE) == "onnxruntime-int8"
    assert choose_engine(held, PLAIN) == "onnxruntime"
    with pytest.raises(MissingExtra, match=r"dxtree\[openvino\]"):
        load_engine(held, "openvino")


def test_auto_is_a_name_and_no_engine() -> None:
    assert engine_names() == ("auto", *KINDS)
    assert "auto" not in KINDS


# --- the int8 graph ----------------------------------------------------------------------------------------


def initializers(graph: bytes) -> dict[str, npt.NDArray[Any]]:
    return {t.name: numpy_helper.to_array(t) for t in onnx.load_from_string(graph).graph.initializer}


def test_the_same_images_give_the_same_int8_graph(net: tuple[bytes, dict[str, str]], int8: bytes) -> None:
    assert quantise(net[0], images(8)[:, None]) == int8
    assert quantise(net[0], images(8, seed=1)[:, None]) != int8


def test_weights_are_bytes_with_a_scale_for_each_output_channel(int8: bytes) -> None:
    found = initializers(int8)
    weights = {n: v for n, v in found.items() if v.dtype == np.int8 and v.ndim == 4}
    assert len(weights) > 20
    scales = [v for n, v in found.items() if n.endswith("_scale") and v.ndim == 1 and v.size > 1]
    assert len(scales) >= len(weights)
    assert not [n for n, v in found.items() if v.dtype in (np.float32, np.float16) and v.ndim == 4]


def test_what_is_kept_stays_in_fp32(net: tuple[bytes, dict[str, str]]) -> None:
    kept = ends(net[0])
    assert len(kept) == 2
    found = initializers(quantise(net[0], images(2)[:, None], keep=kept))
    floats = [v for v in found.values() if v.dtype == np.float32 and v.ndim in (2, 4) and v.size > 100]
    assert sorted(v.ndim for v in floats) == [2, 4]


def test_calibration_needs_an_image(net: tuple[bytes, dict[str, str]]) -> None:
    with pytest.raises(ContractError, match="no calibration image"):
        quantise(net[0], [])


def test_calibration_images_of_another_size_than_the_net_takes_are_a_contract_error(
    net: tuple[bytes, dict[str, str]],
) -> None:
    with pytest.raises(ContractError, match="cannot be quantised"):
        quantise(net[0], [np.zeros((1, 4, SIZE, SIZE), np.float32)])


def test_progress_is_told_once_an_image(net: tuple[bytes, dict[str, str]]) -> None:
    told: list[int] = []
    quantise(net[0], images(3)[:, None], progress=lambda: told.append(1))
    assert len(told) == 3


# --- the limits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "findings", "passes"),
    [
        ("fp32", Findings(1e-3, 1e-5, 1.0, -0.5, -0.5), True),
        ("fp32", Findings(1.1e-3, 1e-5, 1.0, 0.1, 0.1), False),
        ("int8", Findings(0.9, 0.1, 0.9, -0.005, -0.002), True),
        ("int8", Findings(0.9, 0.1, 0.9, 0.02, 0.02), True),
        ("int8", Findings(0.0, 0.0, 1.0, -0.0051, 0.0), False),
        ("bf16", Findings(0.0, 0.0, 1.0, 0.0, -0.0021), False),
        ("bf16", Findings(0.0, 0.0, 1.0, None, 0.0), False),
        ("int8", Findings(0.0, 0.0, 1.0, 0.0, None), False),
        ("fp32", Findings(fault="NonFiniteOutput"), False),
    ],
)
def test_an_engine_passes_within_its_limits_and_what_is_not_defined_passes_none(
    precision: Any, findings: Findings, passes: bool
) -> None:
    assert findings.passed(LIMITS[precision]) is passes


# --- hostile graphs ----------------------------------------------------------------------------------------


def spoiled(graph: bytes) -> list[bytes]:
    """Truncated, emptied, another format, and noise behind a good beginning."""
    noise = np.random.default_rng(0).bytes(len(graph) // 2)
    cuts = [graph[: len(graph) * k // 7] for k in range(1, 7)]
    return [b"", b"\0" * 64, b"{}", b"\x80\x04N.", *cuts, graph[: len(graph) // 2] + noise]


@pytest.mark.parametrize("name", ["torch", "onnxruntime", "openvino", "openvino-bf16"])
def test_a_spoiled_graph_is_a_contract_error(
    name: str, bundle: Callable[..., Bundle], net: tuple[bytes, dict[str, str]]
) -> None:
    for content in spoiled(net[0]):
        held = bundle(files={GRAPH: content})
        with pytest.raises(ContractError):
            build_engine(held, KINDS[name])(images(1))


@pytest.mark.parametrize("name", ["onnxruntime-int8", "openvino-int8"])
def test_a_spoiled_int8_graph_is_a_contract_error(
    name: str, bundle: Callable[..., Bundle], net: tuple[bytes, dict[str, str]], int8: bytes
) -> None:
    for content in spoiled(int8):
        held = bundle(files={GRAPH: net[0], INT8: content})
        with pytest.raises(ContractError):
            build_engine(held, KINDS[name])(images(1))


@pytest.mark.parametrize("name", [n for n in RUNNING if not n.startswith("torch-")])
def test_a_graph_with_weights_in_another_file_is_refused(
    name: str, bundle: Callable[..., Bundle], net: tuple[bytes, dict[str, str]]
) -> None:
    model = onnx.load_from_string(net[0])
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    away = model.SerializeToString()
    held = bundle(files={GRAPH: away, INT8: away})
    with pytest.raises(ContractError, match="external data"):
        build_engine(held, KINDS[name])


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("shape", [(1, 4, SIZE, SIZE), (3, SIZE, SIZE)])
def test_an_image_of_another_shape_is_a_contract_error(
    shape: tuple[int, ...], name: str, bundle: Callable[..., Bundle]
) -> None:
    engine = build_engine(bundle(), KINDS[name])
    with pytest.raises(ContractError, match="could not run"):
        engine(np.zeros(shape, np.float32))
    assert engine(images(1)).shape == (1, CLASSES)


def test_an_answer_is_the_caller_s_own_and_no_later_call_changes_it(bundle: Callable[..., Bundle]) -> None:
    engine = build_engine(bundle(), KINDS["openvino"])
    first = engine(images(1))
    before = first.copy()
    engine(images(1, seed=9))
    assert np.array_equal(first, before)


def test_threads_that_end_leave_an_engine_that_answers(bundle: Callable[..., Bundle]) -> None:
    engine = build_engine(bundle(), KINDS["openvino"], calls=2)
    found: list[FloatArray] = []
    for _ in range(3):
        worker = threading.Thread(target=lambda: found.append(engine(images(1))))
        worker.start()
        worker.join()
    assert all(np.array_equal(found[0], other) for other in found)


DROPPED_ELSEWHERE = """
import os, pathlib, signal, sys, threading, time
from modalities.engines.openvino_engine import OpenVinoEngine
held = [OpenVinoEngine(pathlib.Path(sys.argv[1]).read_bytes())]
other = threading.Thread(target=held.clear)
other.start()
other.join()
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    time.sleep(20)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no second stack for signals")
def test_ctrl_c_is_survived_after_another_thread_dropped_the_last_openvino_engine(
    net: tuple[bytes, dict[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "net.onnx").write_bytes(net[0])
    command = [sys.executable, "-X", "faulthandler", "-c", DROPPED_ELSEWHERE, str(tmp_path / "net.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
