"""How near a phone's logits are, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import ContractError, NonFiniteOutput
from modalities.phone import LIMITS, PRECISIONS, Agreement, Limit, compare

LOGITS = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(2, 5)), elements=st.floats(-20, 20))


@settings(deadline=None)
@given(LOGITS, st.floats(0.05, 20))
def test_a_net_agrees_with_itself(logits: np.ndarray, temperature: float) -> None:
    found = compare(logits, logits, temperature)
    assert (found.max_dp, found.mean_dp, found.top_class) == (0, 0, 1)
    assert found.cosine == pytest.approx(1)


@settings(deadline=None)
@given(LOGITS, st.floats(-5, 5))
def test_a_constant_added_to_all_logits_changes_nothing(logits: np.ndarray, constant: float) -> None:
    found = compare(logits, logits + constant, 1)
    assert found.max_dp == pytest.approx(0, abs=1e-9)


def test_differences_are_of_calibrated_probabilities() -> None:
    source, phone = [[np.log(3), 0], [0, 0]], [[0, 0], [0, 0]]
    found = compare(source, phone, 1)
    assert found.max_dp == pytest.approx(0.25)
    assert found.mean_dp == pytest.approx(0.125)
    assert compare(source, phone, 100).max_dp < 0.01


def test_a_constant_offset_hides_no_reversed_order_from_the_cosine() -> None:
    found = compare([[100, 101.0]], [[101, 100.0]], 1)
    assert found.cosine == pytest.approx(-1)
    assert found.top_class == 0


def test_a_net_that_always_says_the_same_has_cosine_zero() -> None:
    assert compare([[1, 2.0]], [[5, 5.0]], 1).cosine == 0


@pytest.mark.parametrize(("a", "b"), [([[1.0]], [[1.0, 2.0]]), ([1.0], [1.0]), (np.empty((0, 3)),) * 2])
def test_logits_that_are_no_pair_are_a_contract_error(a: object, b: object) -> None:
    with pytest.raises(ContractError, match="N x classes"):
        compare(a, b, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_logit_that_is_not_finite_is_an_error(wrong: float) -> None:
    with pytest.raises(NonFiniteOutput):
        compare([[1.0, 2.0]], [[wrong, 2.0]], 1)


def test_every_precision_has_a_limit_and_a_smaller_number_never_a_stricter_one() -> None:
    assert set(LIMITS) == set(PRECISIONS)
    order = [LIMITS[p] for p in ("fp32", "fp16", "int8")]
    assert [x.mean_dp for x in order] == sorted(x.mean_dp for x in order)


def test_a_fault_names_what_was_found_and_what_was_needed() -> None:
    limit = Limit(mean_dp=0.05, top_class=0.9)
    assert limit.fault(Agreement(10, 0.9, 0.05, 0.1, 0.9)) is None
    fault = limit.fault(Agreement(10, 0.9, 0.061, 0.99, 0.8))
    assert fault is not None
    assert "0.061" in fault
    assert "0.05" in fault
    assert "80.0%" in fault
    assert limit.fault(Agreement(10, 0.9, float("nan"), 0.99, 1)) is not None
