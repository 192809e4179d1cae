"""Does the exported graph compute what the net computes, on both engines?"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from core.errors import ContractError, TrainingError
from modalities.cnn.graph import export, state_of
from modalities.cnn.torch_net import build, logits, prepare_input
from modalities.engines import check_graph
from modalities.engines.onnxruntime_engine import OnnxRuntimeEngine
from modalities.engines.torch_engine import TorchEngine

Lively = Callable[..., torch.nn.Module]

SMALL = [
    "mobilenet_v2",
    "mobilenet_v3_small",
    "squeezenet1_1",
    "shufflenet_v2_x0_5",
    "mnasnet0_5",
]


def rounded(net: torch.nn.Module) -> torch.nn.Module:
    """The net with what the graph stores: tensors of two and more dimensions through float16."""
    twin = copy.deepcopy(net)
    with torch.no_grad():
        for tensor in twin.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim > 1:
                tensor.copy_(tensor.half().float())
    return twin


def check_equal(net: torch.nn.Module, architecture: str, size: int) -> None:
    graph, shared = export(net, size)
    images = np.random.default_rng(0).normal(size=(2, 3, size, size)).astype(np.float32)
    with torch.inference_mode():
        wanted = logits(rounded(net), torch.from_numpy(images)).numpy()
        exact = logits(net, torch.from_numpy(images)).numpy()
    by_onnx = OnnxRuntimeEngine(graph, threads=1)(images)
    by_torch = TorchEngine(graph, architecture, 5, shared)(images)
    assert wanted.shape == (2, 5)
    assert np.ptp(exact, axis=0).max() > 1e-3, "the logits must depend on the image"
    bound = 1e-4 * max(1.0, float(np.abs(wanted).max()))
    assert np.abs(by_onnx - wanted).max() <= bound
    assert np.abs(by_torch - wanted).max() <= bound
    # A random net magnifies the rounding layer by layer; a trained one does so far less.
    assert np.abs(by_onnx - exact).max() <= 0.1 * np.ptp(exact)
    single = OnnxRuntimeEngine(graph, threads=1)(images[:1])
    assert np.abs(single - by_onnx[:1]).max() <= bound


@pytest.mark.parametrize("architecture", SMALL)
def test_graph_onnx_runtime_and_torch_answer_like_the_net(architecture: str, lively: Lively) -> None:
    check_equal(lively(architecture, 5, 64), architecture, 64)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "size"),
    [
        ("googlenet", 224),
        ("densenet121", 64),
        ("swin_t", 64),
        ("convnext_tiny", 64),
        ("resnet18", 64),
        ("efficientnet_b0", 64),
        ("regnet_y_400mf", 64),
    ],
)
def test_large_nets_answer_like_their_graphs_too(architecture: str, size: int, lively: Lively) -> None:
    check_equal(lively(architecture, 5, size), architecture, size)


def test_inception_v3_at_its_own_size_answers_like_its_graph(lively: Lively) -> None:
    check_equal(lively("inception_v3", 5, 299), "inception_v3", 299)


def test_the_graph_is_the_only_copy_of_the_weights_at_two_bytes_each(lively: Lively) -> None:
    net = lively("mobilenet_v2", 5, 64)
    graph, _ = export(net, 64)
    assert len(graph) < 2.2 * sum(p.numel() for p in net.parameters())


def test_every_parameter_is_read_back_out_of_the_graph(lively: Lively) -> None:
    net = lively("mobilenet_v2", 5, 64)
    graph, shared = export(net, 64)
    read = state_of(graph, shared)
    wanted = {k: v for k, v in rounded(net).state_dict().items() if v.is_floating_point()}
    assert set(read) == set(wanted)
    assert all(np.array_equal(read[k], v.numpy()) for k, v in wanted.items())


def test_equal_parameters_are_stored_once(lively: Lively) -> None:
    graph, shared = export(lively("mobilenet_v2", 5, 64), 64)
    stored = {t.name.removesuffix(".fp16") for t in onnx.load_from_string(graph).graph.initializer}
    assert shared
    assert not set(shared) & stored
    assert set(shared.values()) <= stored


def test_export_leaves_the_net_its_weights(lively: Lively) -> None:
    net = lively("squeezenet1_1", 5, 64)
    before = copy.deepcopy(net.state_dict())
    export(net, 64)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_the_same_net_is_exported_to_the_same_bytes(lively: Lively) -> None:
    net = lively("squeezenet1_1", 5, 64)
    assert export(net, 64) == export(net, 64)


def test_a_net_without_a_graph_at_this_size_is_a_training_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TrainingError, match="AlexNet cannot be exported at 64 pixels"):
        export(build("alexnet", 5), 64)
    capfd.readouterr()  # the exporter prints the whole graph


def test_the_second_scaling_inside_inception_is_switched_off(lively: Lively) -> None:
    net = build("googlenet", 5).eval()
    net.transform_input = True  # type: ignore[assignment]
    images = torch.rand(1, 3, 64, 64)
    scaled = net._transform_input(images)  # type: ignore[operator]
    assert not torch.equal(scaled, images)
    prepare_input(net)
    assert torch.equal(net._transform_input(images), images)  # type: ignore[operator]


def test_a_net_without_such_a_switch_stays_as_it_is() -> None:
    net = build("squeezenet1_1", 5)
    prepare_input(net)
    assert not hasattr(net, "transform_input")


# graphs that are none


@pytest.fixture(scope="module")
def squeeze() -> tuple[bytes, dict[str, str]]:
    torch.manual_seed(0)
    return export(build("squeezenet1_1", 3), 64)


def engines(graph: bytes, shared: dict[str, str]) -> list[Callable[[], object]]:
    return [lambda: OnnxRuntimeEngine(graph), lambda: TorchEngine(graph, "squeezenet1_1", 3, shared)]


@pytest.mark.parametrize("what", ["nothing", "text", "half", "zeros", "shifted"])
def test_a_graph_that_cannot_be_read_is_a_contract_error(
    what: str, squeeze: tuple[bytes, dict[str, str]]
) -> None:
    graph, shared = squeeze
    garbage = {
        "nothing": b"",
        "text": b"this is no graph",
        "half": graph[: len(graph) // 2],
        "zeros": bytes(1000),
        "shifted": graph[1:],
    }
    for make in engines(garbage[what], shared):
        with pytest.raises(ContractError):
            make()


def external(graph: bytes, folder: Path) -> bytes:
    model = onnx.load_from_string(graph)
    onnx.save(model, folder / "m.onnx", save_as_external_data=True, location="w.data", size_threshold=0)
    return (folder / "m.onnx").read_bytes()


def test_external_data_is_refused_even_where_it_could_be_found(
    squeeze: tuple[bytes, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = external(squeeze[0], tmp_path)
    monkeypatch.chdir(tmp_path)
    assert (tmp_path / "w.data").is_file()
    for make in engines(graph, squeeze[1]):
        with pytest.raises(ContractError, match="refers to external data"):
            make()


@pytest.mark.parametrize(
    "entry",
    [b"\n\x08location", b"\n\x88\x00location", b"\n\x88\x80\x80\x00location", b"\x8a\x00\x08location"],
)
def test_external_data_is_found_however_its_entry_is_encoded(
    entry: bytes, squeeze: tuple[bytes, dict[str, str]], tmp_path: Path
) -> None:
    graph = external(squeeze[0], tmp_path).replace(b"\n\x08location", entry)
    with pytest.raises(ContractError, match="refers to external data"):
        check_graph(graph)


def test_a_graph_that_mentions_a_location_is_not_refused(squeeze: tuple[bytes, dict[str, str]]) -> None:
    model = onnx.load_from_string(squeeze[0])
    model.doc_string = "each location, allocation and dislocation"
    graph = model.SerializeToString()
    assert check_graph(graph) is graph


def test_images_of_another_shape_are_a_contract_error(squeeze: tuple[bytes, dict[str, str]]) -> None:
    engine = OnnxRuntimeEngine(squeeze[0], threads=1)
    with pytest.raises(ContractError, match="could not run the graph"):
        engine(np.zeros((1, 4, 64, 64), np.float32))


@pytest.mark.parametrize(
    ("architecture", "classes"), [("mobilenet_v2", 3), ("squeezenet1_0", 3), ("squeezenet1_1", 4)]
)
def test_weights_of_another_net_are_a_contract_error(
    architecture: str, classes: int, squeeze: tuple[bytes, dict[str, str]]
) -> None:
    with pytest.raises(ContractError, match=f"do not fit {architecture}"):
        TorchEngine(squeeze[0], architecture, classes, squeeze[1])
