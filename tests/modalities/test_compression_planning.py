"""How sparse a net must become, and in which steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from core.errors import TrainingError
from modalities.compression.codebooks import Codebooks
from modalities.compression.packing import in_float32, pack
from modalities.compression.planning import phases, planned_sparsity
from modalities.compression.pruning import choose, prunable, sparsity_of
from modalities.compression.settings import CompressionConfig


def test_phases_follow_one_another_without_a_gap() -> None:
    config = CompressionConfig(pruning_epochs=3, retraining_epochs=0, sharing_epochs=2, pruning_size=48)
    found = phases(config, 64, 10)
    assert [(p.name, p.first, p.steps, p.size) for p in found] == [
        ("prune", 0, 30, 48),
        ("retrain", 30, 0, 64),
        ("share", 30, 20, 64),
    ]


def random_net() -> nn.Sequential:
    """Normal weights, which trained ones resemble."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 128, 3), nn.BatchNorm2d(128), nn.ReLU(), nn.Conv2d(128, 512, 3), nn.BatchNorm2d(512),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 900, bias=False),
    ).eval()  # fmt: skip
    with torch.no_grad():
        for weight in prunable(net).values():
            weight.normal_(0, 0.05)
    return net


def test_a_larger_ratio_needs_more_sparsity() -> None:
    net = random_net()
    found = [planned_sparsity(net, CompressionConfig(target_ratio=r)) for r in (12, 20, 35)]
    assert 0 < found[0] < found[1] < found[2] < 1


def test_dense_weights_of_one_bit_reach_a_small_ratio() -> None:
    assert planned_sparsity(random_net(), CompressionConfig(target_ratio=1.5, bits=1)) == 0


def test_a_ratio_that_what_is_no_weight_forbids_is_refused() -> None:
    with pytest.raises(TrainingError, match="target_ratio 200 cannot be reached"):
        planned_sparsity(nn.Conv2d(3, 4, 3), CompressionConfig(target_ratio=200))


def test_planning_changes_no_weight() -> None:
    net = random_net()
    before = {name: w.detach().clone() for name, w in net.named_parameters()}
    planned_sparsity(net, CompressionConfig(target_ratio=12))
    assert all(torch.equal(w, before[name]) for name, w in net.named_parameters())


def test_a_sparsity_that_is_given_is_taken() -> None:
    assert planned_sparsity(nn.Conv2d(3, 4, 3), CompressionConfig(sparsity=0.25)) == 0.25


@pytest.mark.parametrize(("ratio", "bits"), [(12, 5), (35, 4)])
def test_the_bytes_of_a_net_reach_the_ratio_and_pass_it_by_a_tenth_at_most(ratio: float, bits: int) -> None:
    net = random_net()
    dense = len(in_float32(pack(net, 32).graph))
    config = CompressionConfig(target_ratio=ratio, bits=bits)
    wanted = planned_sparsity(net, config)
    with torch.no_grad():
        for name, mask in choose(prunable(net), wanted).items():
            prunable(net)[name].mul_(mask)
        Codebooks.of(prunable(net), bits)
    assert sparsity_of(prunable(net)) == pytest.approx(wanted, abs=1e-4)
    assert ratio <= dense / len(pack(net, 32).file) <= 1.1 * ratio


@pytest.mark.parametrize(
    "field",
    [{"target_ratio": 1}, {"sparsity": 1.0}, {"bits": 0}, {"bits": 9}, {"learning_rate": 0.0}, {"bit": 5}],
    ids=lambda f: next(iter(f)),
)
def test_what_cannot_be_is_refused(field: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        CompressionConfig.model_validate(field)


@settings(max_examples=20)
@given(seconds=st.floats(1, 1e6), bits=st.integers(1, 8))
def test_only_what_changes_a_weight_is_in_the_fingerprint(seconds: float, bits: int) -> None:
    one = CompressionConfig(bits=bits)
    assert one.fingerprint() == one.model_copy(update={"checkpoint_seconds": seconds}).fingerprint()
    assert np.unique([CompressionConfig(bits=b).fingerprint() for b in range(1, 9)]).size == 8
