"""Is the answer the deepest node on the way up that is probable enough, and is an error counted as one?"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.errors import ContractError, UnknownNode
from core.node_rule import NodeRule, Way
from core.partition import partition_tree
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.taxonomy import Taxonomy
from core.tree import TreeSums

few = settings(max_examples=50, deadline=None)
PATHS = [("bad", "dark"), ("bad", "light", "a"), ("bad", "light", "b"), ("good",), ("good", "mole")]
TREE = Taxonomy.from_paths("paths", PATHS)
PARTITION = partition_tree(TREE, {":".join(p): 5 for p in PATHS}, max_size=5)


def answer(threshold, *weights):
    leaf = LeafProbabilities.from_weights(PARTITION.ids, weights)
    return NodeRule(PARTITION, 0.9, threshold, 10).apply(TreeProbabilities(TreeSums(PARTITION), leaf))


def drawn(data, counted_trees):
    taxonomy, counts = data.draw(counted_trees)
    partition = partition_tree(taxonomy, counts, max_size=data.draw(st.integers(1, 20)))
    assume(partition.classes)
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    return partition, generator.dirichlet(np.full(len(partition.classes), 0.5), 6)


def test_the_answer_climbs_until_it_is_probable_enough():
    assert PARTITION.ids == ("bad:dark", "bad:light:a", "bad:light:b", "good~", "good:mole")
    weights = (1, 5, 2, 1, 1)
    asked = (0.4, 0.6, 0.75, 0.85)
    assert [answer(t, *weights) for t in asked] == ["bad:light:a", "bad:light", "bad", "root"]


def test_a_residual_class_answers_with_its_node():
    assert answer(0.65, 1, 0, 1, 6, 2) == "good"
    assert answer(0.85, 1, 0, 1, 6, 2) == "root"


def test_a_node_at_the_threshold_itself_is_not_enough():
    assert answer(0.5, 2, 0, 0, 1, 1) == "root"
    assert answer(1.0, 0, 5, 0, 0, 0) == "root"


@few
@given(data=st.data(), threshold=st.floats(0, 1))
def test_every_answer_lies_above_the_most_probable_class_and_no_deeper_one_would_do(
    counted_trees, data, threshold
):
    partition, values = drawn(data, counted_trees)
    taxonomy, sums = partition.taxonomy, TreeSums(partition)
    rule = NodeRule(partition, 0.9, threshold, 10)
    for row, place in zip(values, rule.apply_rows(values), strict=True):
        tree = TreeProbabilities(sums, LeafProbabilities(partition.ids, row))
        path = taxonomy.path(partition.classes[int(row.argmax())].node)
        enough = [n for n in path if tree[n] > threshold + 1e-12]
        near = [n for n in path if tree[n] > threshold - 1e-12]
        assert taxonomy.ids[place] in {(enough or path)[-1], (near or path)[-1], *path[:1]}
        assert taxonomy.ids[place] == (enough or path[:1])[-1] or len(near) > len(enough)
        assert rule.apply(tree) in path


@few
@given(data=st.data(), threshold=st.floats(0, 1))
def test_an_answer_is_right_exactly_where_its_error_is_not_above_the_threshold(
    counted_trees, data, threshold
):
    partition, values = drawn(data, counted_trees)
    taxonomy = partition.taxonomy
    labels = [data.draw(st.sampled_from(taxonomy.ids)) for _ in values]
    errors = Way(partition).errors(values, labels)
    places = NodeRule(partition, 0.9, threshold, 10).apply_rows(values)
    for error, place, label in zip(errors, places, labels, strict=True):
        assert taxonomy.covers(taxonomy.ids[place], label) == (error <= threshold)


def test_the_error_of_a_case_is_the_highest_probability_of_a_wrong_node():
    values = np.tile([0.1, 0.5, 0.2, 0.1, 0.1], (6, 1))
    labels = ["bad:light:a", "bad:light:b", "bad:light", "bad:dark", "good", "bad"]
    assert Way(PARTITION).errors(values, labels) == pytest.approx([0, 0.5, 0.5, 0.7, 0.8, 0.7])
    with pytest.raises(UnknownNode):
        Way(PARTITION).errors(values[:1], ["evil"])


def test_a_chain_of_a_hundred_thousand_levels_is_climbed(chain):
    partition = partition_tree(chain, {"n99999": 1}, max_size=1)
    assert NodeRule(partition, 0.9, 0.5, 10).apply_rows(np.ones((1, 1))).tolist() == [0]


def test_a_rule_survives_json_and_refuses_another_partition():
    rule = NodeRule(PARTITION, 0.9, 0.6, 40, {"cohort": "clinic"})
    raw = json.loads(json.dumps(rule.to_dict()))
    assert NodeRule.from_dict(raw, PARTITION) == rule
    other = partition_tree(TREE, {":".join(p): 5 for p in PATHS}, max_size=50)
    with pytest.raises(ContractError, match="another partition"):
        NodeRule.from_dict(raw, other)
    flat = LeafProbabilities.from_weights(other.ids, np.ones(len(other.ids)))
    with pytest.raises(ContractError, match="other training classes"):
        rule.apply(TreeProbabilities(TreeSums(other), flat))


@pytest.mark.parametrize(
    "change",
    [
        {"format": 9},
        {"threshold": 1.1},
        {"threshold": float("nan")},
        {"coverage": 0},
        {"lesions": 0},
        {"lesions": []},
    ],
)
def test_a_rule_that_does_not_fit_is_refused(change):
    raw = {**NodeRule(PARTITION, 0.9, 0.6, 40).to_dict(), **change}
    with pytest.raises(ContractError):
        NodeRule.from_dict(raw, PARTITION)
