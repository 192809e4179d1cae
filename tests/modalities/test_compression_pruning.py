"""Which weights go."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from modalities.compression.pruning import choose, lamp, prunable, sparsity_at, sparsity_of

layers = st.lists(st.integers(1, 60), min_size=1, max_size=4)


def drawn(sizes: list[int], seed: int) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    scales = rng.uniform(1e-3, 10, len(sizes))
    return {f"layer{k}": torch.from_numpy(rng.normal(0, scales[k], n)) for k, n in enumerate(sizes)}


def test_lamp_is_the_share_of_what_is_left_of_the_layer() -> None:
    # Squares 1, 4, 9: 1/14, 4/13, 9/9.
    assert lamp(torch.tensor([[3.0, -1.0, 2.0]])).tolist() == [pytest.approx([1, 1 / 14, 4 / 13])]


@given(sizes=layers, seed=st.integers(0, 999), scale=st.floats(1e-4, 1e4))
def test_scores_do_not_depend_on_a_layers_scale_or_order(sizes: list[int], seed: int, scale: float) -> None:
    weights = drawn(sizes, seed)["layer0"]
    scores = lamp(weights)
    assert torch.allclose(lamp(weights * scale), scores, rtol=1e-5)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(weights)))
    assert torch.allclose(lamp(weights[order]), scores[order], rtol=1e-6)
    assert scores.max() == 1
    assert (scores.argsort() == weights.abs().argsort()).all()


@given(sizes=layers, seed=st.integers(0, 999), sparsity=st.floats(0, 0.999))
def test_exactly_the_share_goes_and_no_layer_is_emptied(sizes: list[int], seed: int, sparsity: float) -> None:
    weights = drawn(sizes, seed)
    masks = choose(weights, sparsity)
    kept = round((1 - sparsity) * sum(sizes))
    assert sum(int(m.sum()) for m in masks.values()) == max(kept, len(sizes))
    assert all(m.any() for m in masks.values())


@given(sizes=layers, seed=st.integers(0, 999), low=st.floats(0, 0.9), step=st.floats(0, 0.09))
def test_what_goes_stays_gone_as_sparsity_grows(sizes: list[int], seed: int, low: float, step: float) -> None:
    weights = drawn(sizes, seed)
    first = choose(weights, low)
    left = {name: w * first[name] for name, w in weights.items()}
    again = choose(left, low + step)
    assert all((again[name] <= first[name]).all() for name in weights)


def test_equal_weights_are_no_fault_and_zeros_stay_zero() -> None:
    weights = {"same": torch.ones(100), "none": torch.zeros(20)}
    masks = choose(weights, 0.5)
    assert not masks["none"].any()
    assert 0 < int(masks["same"].sum()) <= 60


def test_within_a_layer_the_smallest_go_first() -> None:
    weights = {"a": torch.arange(1.0, 101.0)}
    assert choose(weights, 0.3)["a"].tolist() == [False] * 30 + [True] * 70


def test_sparsity_grows_fast_at_first_and_ends_at_its_goal() -> None:
    at = [sparsity_at(k, 10, 0.9) for k in range(13)]
    assert at[0] == 0
    assert at[10:] == [0.9] * 3
    steps = np.diff(at[:11])
    assert (steps > 0).all()
    assert (np.diff(steps) < 0).all()
    assert sparsity_at(0, 0, 0.9) == 0.9


def test_matrices_and_kernels_are_pruned_and_vectors_are_not() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    assert list(prunable(net)) == ["0.weight", "2.weight"]
    assert sparsity_of({"a": torch.tensor([0.0, 1.0, 0.0, 2.0])}) == 0.5
