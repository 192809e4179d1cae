"""Which few values stand for a layer's weights, and how these are trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from modalities.compression.codebooks import Codebooks
from modalities.compression.sharing import assign, cluster

Values = npt.NDArray[Any]
weights = arrays(np.float64, st.integers(1, 60), elements=st.floats(-4, 4, width=32))


def error(values: Values, centroids: Values) -> float:
    return float(((values - centroids[assign(values, centroids)]) ** 2).sum())


@given(values=weights, clusters=st.integers(1, 32))
def test_centroids_ascend_and_are_no_more_than_asked(values: Values, clusters: int) -> None:
    found = cluster(values, clusters)
    assert 1 <= len(found) <= clusters
    assert (np.diff(found) > 0).all()
    assert values.min() - 1e-9 <= found[0]
    assert found[-1] <= values.max() + 1e-9


@given(values=weights, clusters=st.integers(1, 32))
def test_the_error_is_no_larger_than_that_of_even_centroids(values: Values, clusters: int) -> None:
    even = np.unique(np.linspace(values.min(), values.max(), clusters))
    assert error(values, cluster(values, clusters)) <= error(values, even) + 1e-9


@given(values=weights, clusters=st.integers(1, 32), seed=st.integers(0, 99))
def test_order_makes_no_difference(values: Values, clusters: int, seed: int) -> None:
    other = np.random.default_rng(seed).permutation(values)
    assert (cluster(values, clusters) == cluster(other, clusters)).all()


@given(values=weights, clusters=st.integers(1, 32))
def test_every_value_goes_to_its_nearest_centroid(values: Values, clusters: int) -> None:
    found = cluster(values, clusters)
    nearest = np.abs(values[:, None] - found).min(axis=1)
    assert np.allclose(np.abs(values - found[assign(values, found)]), nearest, atol=1e-12)


@given(value=st.floats(-4, 4), count=st.integers(1, 20), clusters=st.integers(1, 32))
def test_one_value_is_its_own_centroid(value: float, count: int, clusters: int) -> None:
    assert np.allclose(cluster(np.full(count, value), clusters), [value], rtol=1e-12)


def test_evenly_spread_values_that_fit_are_kept_as_they_are() -> None:
    values = np.repeat(np.arange(-3.0, 5.0), 3)
    assert cluster(values, 8).tolist() == list(range(-3, 5))


def test_nothing_has_no_centroid() -> None:
    assert cluster([], 8).tolist() == []


def made(bits: int = 2) -> tuple[dict[str, nn.Parameter], Codebooks]:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(6, 5))
    with torch.no_grad():
        weight[0] = 0
    own = {"w": weight}
    return own, Codebooks.of(own, bits)


def test_zeros_stay_zero_and_the_others_share_few_values() -> None:
    own, book = made()
    assert (own["w"][0] == 0).all()
    assert (own["w"][1:] != 0).all()
    assert len(torch.unique(own["w"][1:])) <= 4
    assert int(book.places["w"].max()) == len(book.values["w"])


def test_a_shared_value_gets_the_sum_of_its_weights_gradients() -> None:
    own, book = made()
    own["w"].grad = torch.arange(30.0).reshape(6, 5)
    before = own["w"].grad.clone()
    book.take_gradients()
    assert own["w"].grad is None
    wanted = [float(before[book.places["w"] == k + 1].sum()) for k in range(len(book.values["w"]))]
    assert book.values["w"].grad is not None
    assert book.values["w"].grad.tolist() == wanted


def test_a_changed_value_reaches_all_of_its_weights() -> None:
    own, book = made()
    with torch.no_grad():
        book.values["w"][0] = 9.0
    book.spread()
    assert ((own["w"] == 9) == (book.places["w"] == 1)).all()


def test_what_a_checkpoint_keeps_gives_the_same_weights() -> None:
    own, book = made()
    kept = book.tensors()
    other = {"w": nn.Parameter(torch.full((6, 5), 7.0))}
    Codebooks(other, {"w": kept["places/w"]}, {"w": kept["values/w"]})
    assert (other["w"] == own["w"]).all()
