"""What an app is told: enough to sum up the tree, and only of a bundle that belongs to it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ContractError
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.tree import TreeSums
from modalities.phone import card
from plugins.model_set import ModelSet

SETS = Path(__file__).parents[2] / "modalities" / "sets"
DEMONSTRATION = ModelSet.open(SETS / "demonstration")
DEFAULT = ModelSet.open(SETS / "default")


@pytest.mark.parametrize("models", [DEMONSTRATION, DEFAULT], ids=["demonstration", "default"])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_sums_over_the_ranges_are_the_trees_own(models: ModelSet, seed: int) -> None:
    bundle = models.modality_bundle("dermoscopy")
    assert bundle is not None
    told = json.loads(json.dumps(card(bundle, models.partition)))
    values = np.random.default_rng(seed).dirichlet(np.full(len(told["classes"]), 0.1))
    leaf = LeafProbabilities(models.partition.ids, values)
    own = TreeProbabilities(TreeSums(models.partition), leaf).to_dict()
    summed = {n["id"]: values[slice(*n["classes"])].sum() for n in told["nodes"]}
    assert list(summed) == list(own)
    assert summed == pytest.approx(own)


def test_parents_stand_before_their_children_and_hold_their_classes() -> None:
    bundle = DEFAULT.modality_bundle("clinical")
    assert bundle is not None
    nodes = card(bundle, DEFAULT.partition)["nodes"]
    seen = {}
    for node in nodes:
        seen[node["id"]] = node
        if node["parent"] is None:
            assert node["depth"] == 0
            continue
        above = seen[node["parent"]]
        assert above["depth"] == node["depth"] - 1
        assert above["classes"][0] <= node["classes"][0] < node["classes"][1] <= above["classes"][1]


def test_the_card_says_licence_source_notice_and_temperature() -> None:
    bundle = DEFAULT.modality_bundle("dermoscopy")
    assert bundle is not None
    told = card(bundle, DEFAULT.partition)
    assert told["licence"] == "CC BY-NC 4.0"
    assert told["source"]["bundle"] == bundle.digest
    assert "research use only" in told["research_use"]
    assert told["temperature"] == bundle.manifest["temperature"]
    assert told["input"]["shape"] == [1, 224, 224, 3]


def test_a_bundle_of_another_tree_is_a_contract_error() -> None:
    bundle = DEFAULT.modality_bundle("dermoscopy")
    assert bundle is not None
    with pytest.raises(ContractError, match="belong together"):
        card(bundle, DEMONSTRATION.partition)
