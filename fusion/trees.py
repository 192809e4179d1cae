"""How are trees grown and read? On one thread of xgboost, from a margin that something else gave.

One thread, because sums in another order would change bits. What is missing is NaN, and every split has
learned a side for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from core.errors import ContractError, MissingExtra
from core.tree import FloatArray
from fusion.rows import IntArray
from fusion.training import BoolArray, Fitting

MAX_ROUNDS = 40
"""Rounds that are tried; the number with the least cross-fitted loss is kept, 1 at least. On 2,100 lesions
of MILK10k it is about 20."""

PARAMETERS: Mapping[str, Any] = {
    "tree_method": "hist",
    "max_depth": 3,
    "eta": 0.1,
    "min_child_weight": 10.0,
    "lambda": 5.0,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "base_score": 0.0,
    "nthread": 1,
}
"""Small trees and strong shrinkage: they correct an answer that is good already."""

LIBRARIES = ("scipy", "xgboost", "xgboost-cpu")
"""Distributions that take part in a fit."""

Loss = Callable[[FloatArray, IntArray, FloatArray], float]
"""Margins (rows x width), labels and weights to their mean loss."""


class Trees(Protocol):
    """What is used of xgboost's `Booster`, which has no complete types of its own."""

    def predict(self, data: object, *, output_margin: bool, iteration_range: tuple[int, int]) -> FloatArray:
        """Rows x classes, or rows where there is one margin a row; float32."""
        ...

    def save_raw(self, raw_format: str) -> bytearray:
        """The model as bytes."""
        ...

    def num_features(self) -> int:
        """Length of the rows it reads."""
        ...


def xgboost(who: str) -> Any:
    """The library. Raises `MissingExtra`, which names the fuser, where it is not installed."""
    try:
        import xgboost as found
    except ImportError as error:
        raise MissingExtra(f"the {who} fuser", "boosted") from error
    return found


class Grower:
    """Grows trees on the rows of one fit: `table` rows x entries, `base` rows x width, `label` rows.

    `parameters` add to `PARAMETERS`, the objective at least.
    """

    def __init__(
        self,
        data: Fitting,
        table: FloatArray,
        base: FloatArray,
        label: IntArray,
        parameters: Mapping[str, Any],
        library: Any,
    ) -> None:
        self.data, self.table, self.base, self.label = data, table, base, label
        self._parameters = {**PARAMETERS, **parameters, "seed": data.seed}
        self._library = library

    def grow(self, rounds: int, without: int | None = None) -> Trees:
        """Trees of so many rounds on the rows outside a fold, or on all."""
        seen = self.data.fold != (-1 if without is None else without)
        rows = self._library.DMatrix(
            self.table[seen], label=self.label[seen], weight=self.data.weight[seen], nthread=1
        )
        rows.set_base_margin(self.base[seen])
        trees: Trees = self._library.train(self._parameters, rows, num_boost_round=rounds)
        return trees

    def best(self, loss: Loss) -> tuple[int, FloatArray]:
        """The number of rounds with the least cross-fitted loss, and the cross-fitted margins after them."""
        losses, grown = np.zeros(MAX_ROUNDS), []
        for fold in range(self.data.folds):
            inside = self.data.fold == fold
            label, weight, total = self.label[inside], self.data.weight[inside], self.base[inside]
            grown.append(self.grow(MAX_ROUNDS, fold))
            for k in range(MAX_ROUNDS):
                total = total + self._added(grown[fold], inside, k, k + 1)
                losses[k] += loss(total, label, weight) * weight.sum()
        rounds = int(np.argmin(losses)) + 1
        crossed = self.base.copy()
        for fold, trees in enumerate(grown):
            inside = self.data.fold == fold
            crossed[inside] += self._added(trees, inside, 0, rounds)
        return rounds, crossed

    def _added(self, trees: Trees, inside: BoolArray, start: int, stop: int) -> FloatArray:
        return margins(self._library, trees, self.table[inside], self.base.shape[1], start, stop)


def margins(
    library: Any, trees: Trees, table: FloatArray, width: int, start: int = 0, stop: int = 0
) -> FloatArray:
    """What the rounds from `start` to `stop` add: rows x width. 0 to 0 means all."""
    rows = library.DMatrix(table, nthread=1)
    rows.set_base_margin(np.zeros((len(table), width), np.float32))
    found = trees.predict(rows, output_margin=True, iteration_range=(start, stop))
    return np.asarray(found, np.float64).reshape(len(table), width)


def read_trees(library: Any, content: bytes, entries: int, who: str) -> Trees:
    """The trees. Raises `ContractError` where they read rows of another length.

    The bytes must be those whose sha256 was checked: a damaged file crashes xgboost's parser.
    """
    trees: Trees = library.Booster({"nthread": 1}, model_file=bytearray(content))
    if trees.num_features() != entries:
        raise ContractError(
            f"the trees of the {who} fuser read {trees.num_features()} entries, not {entries}"
        )
    return trees
