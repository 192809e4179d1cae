"""Trees that many tests share: random small ones with counts, and a chain deeper than any recursion."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from core.partition import Partition, partition_tree
from core.taxonomy import Taxonomy

CHAIN = 100_000

Counted = tuple[Taxonomy, dict[str, int]]


@st.composite
def _counted_trees(draw: Any) -> Counted:
    size = draw(st.integers(1, 16))
    names = [f"n{k}" for k in range(size)]
    above = [None if k == 0 else names[draw(st.integers(0, k - 1))] for k in range(size)]
    order = draw(st.permutations(range(size)))
    taxonomy = Taxonomy("random", {names[k]: above[k] for k in order})
    counted = draw(st.dictionaries(st.sampled_from(names), st.integers(0, 9)))
    return taxonomy, counted


@pytest.fixture(scope="session")
def counted_trees() -> st.SearchStrategy[Counted]:
    """Trees of up to 16 nodes in any order of input, with images at inner nodes and at leaves."""
    return _counted_trees()


@pytest.fixture(scope="session")
def chain() -> Taxonomy:
    """Every node has one child: 100,000 levels."""
    return Taxonomy("chain", {f"n{k}": f"n{k - 1}" if k else None for k in range(CHAIN)})


@pytest.fixture(scope="session")
def small() -> Partition:
    """Three first-level nodes; `bad` is split and has images of its own; `odd` was never seen."""
    taxonomy = Taxonomy(
        "small",
        {"root": None, "good": "root", "bad": "root", "bad1": "bad", "bad2": "bad", "odd": "root"},
        {"good": "Good thing", "bad": "Bad thing"},
    )
    return partition_tree(taxonomy, {"good": 7, "bad": 5, "bad1": 6, "bad2": 8}, max_size=10)
