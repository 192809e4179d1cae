"""From a net to a file and back to the same answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from core.errors import TrainingError
from modalities.cnn.graph import export
from modalities.compression import decode, sections
from modalities.compression.canonical import canonical
from modalities.compression.codebooks import Codebooks
from modalities.compression.packing import in_float32, layers_of, pack, parameters
from modalities.compression.pruning import choose, prunable
from modalities.engines.onnxruntime_engine import OnnxRuntimeEngine
from modalities.engines.torch_engine import TorchEngine

Lively = Callable[..., nn.Module]
SIZE = 64


def sparse(net: nn.Module, sparsity: float = 0.8, bits: int = 5) -> nn.Module:
    weights = prunable(net)
    with torch.no_grad():
        for name, mask in choose(weights, sparsity).items():
            weights[name].mul_(mask)
        Codebooks.of(weights, bits)
        for weight in weights.values():
            weight.copy_(weight.half().float())
    return net


def seen(count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (count, 3, SIZE, SIZE)).astype(np.float32)


def answers(net: nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return net(torch.from_numpy(images)).numpy()


@pytest.mark.parametrize("architecture", ["mobilenet_v2", "shufflenet_v2_x0_5", "mobilenet_v3_small"])
def test_canonical_batch_norm_gives_the_same_answers_and_halves_round_them(
    architecture: str, lively: Lively
) -> None:
    net = lively(architecture, 3, SIZE)
    before = answers(net, seen())
    largest = max(1.0, float(np.abs(before).max()))
    exact, rounded = (answers(canonical(net, halves=h), seen()) for h in (False, True))
    assert np.abs(before - exact).max() < 1e-4 * largest
    # A random net passes a rounding on undamped; trained ones are several times better.
    assert 0 < np.abs(before - rounded).max() < 2e-2 * largest


def test_canonical_batch_norm_has_mean_0_variance_1_and_halves(lively: Lively) -> None:
    net = lively("shufflenet_v2_x0_5", 3, SIZE)
    norms = [m for m in canonical(net).modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    for norm in norms:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert (norm.running_mean == 0).all()
        assert (norm.running_var == 1).all()
        assert torch.equal(norm.weight, norm.weight.half().float())
        assert torch.equal(norm.bias, norm.bias.half().float())


def test_the_net_itself_is_not_changed(lively: Lively) -> None:
    net = lively("shufflenet_v2_x0_5", 3, SIZE)
    before = answers(net, seen())
    canonical(net)
    assert np.array_equal(answers(net, seen()), before)


def test_a_scale_that_float16_would_spoil_stays_float32() -> None:
    norm = nn.BatchNorm2d(2).eval()
    assert norm.running_var is not None
    norm.running_var.copy_(torch.tensor([1e-30, 1.0]))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([3e3, 1.0]))
    images = torch.full((1, 2, 2, 2), 1e-3)
    done = canonical(norm)
    assert torch.allclose(done(images), norm(images), rtol=1e-5)
    assert isinstance(done, nn.BatchNorm2d)
    assert float(done.weight[0].detach()) > 65504


def test_batch_norm_without_scale_or_statistics_stays_as_it_is() -> None:
    for norm in (nn.BatchNorm2d(2, affine=False), nn.BatchNorm2d(2, track_running_stats=False)):
        images = torch.randn(4, 2, 3, 3)
        assert torch.equal(canonical(norm)(images), norm.eval()(images))


@pytest.mark.parametrize("architecture", ["shufflenet_v2_x0_5", "mobilenet_v3_small"])
def test_the_file_answers_like_the_net_in_both_runtimes(architecture: str, lively: Lively) -> None:
    net = sparse(lively(architecture, 3, SIZE))
    packed = pack(net, SIZE)
    graph = decode(packed.file)
    assert graph == packed.graph
    wanted = answers(canonical(net), seen())
    assert OnnxRuntimeEngine(graph)(seen()) == pytest.approx(wanted, abs=1e-4, rel=1e-4)
    torch_engine = TorchEngine(graph, architecture, 3, dict(packed.shared))
    assert np.array_equal(torch_engine(seen()), wanted)


def test_every_layer_is_stored_as_shared_values_and_batch_norm_costs_next_to_nothing(lively: Lively) -> None:
    net = sparse(lively("shufflenet_v2_x0_5", 3, SIZE))
    file = pack(net, SIZE).file
    found = {s.name.removesuffix(".fp16"): s for s in sections(file) if s.shape is not None}
    assert found.keys() == prunable(net).keys()
    for name, weight in prunable(net).items():
        assert found[name].nonzero == int((weight != 0).sum())
    other = sum(s.total for s in sections(file) if s.name == "(other tensors)")
    channels = sum(m.num_features for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    assert other < 5 * channels


def test_a_tensor_of_many_values_is_no_layer(lively: Lively) -> None:
    graph, _ = export(lively("shufflenet_v2_x0_5", 3, SIZE), SIZE)
    assert not [n for n, t in layers_of(graph).items() if len(t.codebook) > 256]
    assert "conv5.0.weight.fp16" not in layers_of(graph)


def test_a_dense_net_is_packed_as_well(lively: Lively) -> None:
    packed = pack(lively("shufflenet_v2_x0_5", 3, SIZE), SIZE)
    assert decode(packed.file) == packed.graph


def test_the_float32_graph_holds_every_parameter_in_four_bytes_and_answers_alike(lively: Lively) -> None:
    graph, _ = export(lively("shufflenet_v2_x0_5", 3, SIZE), SIZE)
    full = in_float32(graph)
    kinds = {numpy_helper.to_array(t).dtype.name for t in onnx.load_from_string(full).graph.initializer}
    assert "float16" not in kinds
    assert parameters(full) == parameters(graph)
    assert 4 * parameters(graph) < len(full) < 4 * parameters(graph) + 400_000
    assert np.array_equal(OnnxRuntimeEngine(full)(seen()), OnnxRuntimeEngine(graph)(seen()))


def test_a_net_without_a_graph_is_refused() -> None:
    class Odd(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("this net has no graph")

    with pytest.raises(TrainingError, match="cannot be exported"):
        pack(Odd(), SIZE)
