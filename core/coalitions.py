"""How is a game's value shared among its players, by how much each adds to those who came before?

The Shapley value (Shapley 1953): the mean of what a player adds, over every order in which they can come.
A coalition is a whole number whose bit i says that player i is in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

MOST_EXACT = 10
"""Players up to which every order counts: 1,024 coalitions. Above, orders are drawn."""

_DRAWN_COALITIONS = 1024
"""About as many coalitions are drawn, so that drawing takes no longer."""

_LEAST_PAIRS = 8
"""Orders drawn for any number of players, each with its reverse."""


@dataclass(frozen=True)
class Weights:
    """For every player the coalitions that it may come after, with their weights, which sum to 1."""

    before: tuple[Mapping[int, float], ...]
    exact: bool


def weights(players: int, seed: int) -> Weights:
    """Every order up to `MOST_EXACT` players, else random orders.

    Each random order comes with its reverse (antithetic) and turned by even steps, so that every player is
    early and late about equally often; what the first one adds varies most. Random orders share the whole
    value among the players as exactly as all orders do.
    """
    if players <= MOST_EXACT:
        return Weights(_all_orders(players), exact=True)
    found: list[dict[int, float]] = [{} for _ in range(players)]
    orders = _drawn_orders(players, seed)
    for order in orders:
        before = 0
        for player in order:
            found[player][before] = found[player].get(before, 0.0) + 1 / len(orders)
            before |= 1 << player
    return Weights(tuple(found), exact=False)


def _drawn_orders(players: int, seed: int) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    pairs = _DRAWN_COALITIONS // (2 * players)
    turns = min(players, max(_LEAST_PAIRS, pairs))
    found: list[list[int]] = []
    for _ in range(max(1, pairs // turns)):
        order = generator.permutation(players)
        for turn in range(turns):
            one: list[int] = np.roll(order, turn * players // turns).tolist()
            found += [one, one[::-1]]
    return found


def shapley(orders: Weights, value: Callable[[int], float]) -> list[float]:
    """What each player adds to the value of a coalition, on average; value(0) to value(all) in sum."""
    found: list[float] = []
    for player, before in enumerate(orders.before):

        def gain(coalition: int, bit: int = 1 << player) -> float:
            return value(coalition | bit) - value(coalition)

        found.append(added(before, gain))
    return found


def added(before: Mapping[int, float], gain: Callable[[int], float]) -> float:
    """The weighted mean of a gain over the coalitions that a player may come after."""
    return math.fsum(weight * gain(coalition) for coalition, weight in before.items())


def _all_orders(players: int) -> tuple[dict[int, float], ...]:
    by_size = [1 / (players * math.comb(players - 1, size)) for size in range(players)]
    return tuple(
        {c: by_size[c.bit_count()] for c in range(1 << players) if not c >> player & 1}
        for player in range(players)
    )
