"""Are channels found by what was measured, and never by their place?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import CorruptImage, UnsupportedPixels
from modalities.spectral import choose, values
from modalities.stacks.stack import Channel

WINDOWS = {"low": (690.0, 720.0), "high": (840.0, 860.0)}


def channels(*found: float | None, unit: str = "nm") -> list[Channel]:
    return [Channel(str(v), v, None if v is None else unit) for v in found]


@given(st.permutations([650.0, 701.0, 718.0, 800.0, 850.0]))
def test_order_never_counts(order: list[float]) -> None:
    chosen = choose(channels(*order), "nm", WINDOWS)
    assert {name: order[i] for name, i in chosen.items()} == {"low": 701.0, "high": 850.0}


@pytest.mark.parametrize("other", [800.0, 900.0])
def test_a_window_without_a_channel_names_all_that_is_needed(other: float) -> None:
    with pytest.raises(UnsupportedPixels, match=r"no channel for high; needed: 690 to 720 nm \(low\), 840"):
        choose(channels(700.0, other), "nm", WINDOWS)


@pytest.mark.parametrize("found", [channels(700.0, None), channels(700.0, 850.0, unit="THz")])
def test_a_channel_that_does_not_say_its_value_is_no_guess(found: list[Channel]) -> None:
    with pytest.raises(UnsupportedPixels, match="needed: 690"):
        choose(found, "nm", WINDOWS)


def test_two_channels_of_one_value_are_an_error() -> None:
    with pytest.raises(CorruptImage):
        values(channels(700.0, 700.0), "nm", "any")
