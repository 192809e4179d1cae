"""Is a game's value shared as every order of its players would share it?"""

from __future__ import annotations

import itertools
import math
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import coalitions
from core.coalitions import MOST_EXACT, shapley, weights


def by_every_order(players, value):
    """The definition, word for word."""
    found = [0.0] * players
    for order in itertools.permutations(range(players)):
        before = 0
        for player in order:
            found[player] += value(before | 1 << player) - value(before)
            before |= 1 << player
    return [f / math.factorial(players) for f in found]


def test_the_glove_game_of_the_textbook():
    """Players 0 and 1 have a left glove, 2 a right one; a pair is worth 1."""
    shared = shapley(weights(3, 0), lambda c: float(bool(c & 3) and bool(c & 4)))
    assert shared == pytest.approx([1 / 6, 1 / 6, 4 / 6])


@given(values=st.lists(st.floats(-20, 20), min_size=32, max_size=32), players=st.integers(1, 5))
def test_any_game_is_shared_as_every_order_shares_it(values, players):
    shared = shapley(weights(players, 0), values.__getitem__)
    assert shared == pytest.approx(by_every_order(players, values.__getitem__), abs=1e-9)


@pytest.mark.parametrize("players", [1, 2, MOST_EXACT, MOST_EXACT + 1, 20, 64])
def test_the_weights_of_every_player_sum_to_one_and_no_coalition_holds_the_player(players):
    found = weights(players, 0)
    assert found.exact == (players <= MOST_EXACT)
    assert len(found.before) == players
    for player, before in enumerate(found.before):
        assert math.fsum(before.values()) == pytest.approx(1, abs=1e-12)
        assert not any(c >> player & 1 for c in before)


@pytest.mark.parametrize("players", [9, 20, 64])
def test_drawn_orders_share_the_whole_value_too(players):
    def value(coalition):
        return math.sin(coalition % 1009) * 20

    shared = shapley(weights(players, 0), value)
    assert math.fsum(shared) == pytest.approx(value((1 << players) - 1) - value(0), abs=1e-9)


def test_drawn_orders_are_exact_where_two_players_at_a_time_interact():
    """An order and its reverse put each of two players first once, so no draw is needed to be right."""
    players = 12

    def value(coalition):
        inside = [i for i in range(players) if coalition >> i & 1]
        return sum(inside) + sum(a * b for a, b in itertools.combinations(inside, 2))

    pairs = [i + i * (sum(range(players)) - i) / 2 for i in range(players)]
    assert shapley(weights(players, 0), value) == pytest.approx(pairs)


def test_drawn_orders_come_near_to_every_order(monkeypatch):
    """Within .2 of 13 in all where the first player adds most, which is the hard case."""

    @cache
    def value(coalition):
        return math.log1p(sum(i + 1 for i in range(12) if coalition >> i & 1)) * 3

    drawn = shapley(weights(12, 0), value)
    monkeypatch.setattr(coalitions, "MOST_EXACT", 12)
    assert drawn == pytest.approx(shapley(weights(12, 0), value), abs=0.2)


def test_a_seed_draws_the_same_orders_again_and_another_seed_others():
    assert weights(12, 3) == weights(12, 3)
    assert weights(12, 3) != weights(12, 4)
