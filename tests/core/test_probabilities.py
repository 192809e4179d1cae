"""Is a distribution finite, whole and addressed by name, and is a reading of the tree what it says?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.errors import BelowTrainingClass, ContractError, NonFiniteOutput, TaxonomyError, UnknownNode
from core.partition import partition_tree
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.taxonomy import Taxonomy
from core.tree import TreeSums

few = settings(max_examples=80, deadline=None)
NAN, INF = float("nan"), float("inf")


@pytest.fixture
def tree(small):
    return TreeProbabilities(TreeSums(small), LeafProbabilities(small.ids, np.array([0.45, 0.05, 0.2, 0.3])))


# --- one distribution ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [[NAN, 1], [INF, 0], [-INF, 1], [0, 0], [-0.1, 1.1], [0.5, 0.6], [0.5, 0.5 - 1e-5], [1, 1]]
)
def test_probabilities_are_finite_not_negative_and_sum_to_1(values):
    with pytest.raises(NonFiniteOutput):
        LeafProbabilities(("a", "b"), np.array(values))


def test_a_float32_softmax_is_close_enough_to_1():
    logits = np.random.default_rng(0).normal(0, 5, 757).astype(np.float32)
    soft = np.exp(logits - logits.max())
    LeafProbabilities(tuple(map(str, range(757))), soft / soft.sum())


@pytest.mark.parametrize("values", [[1.0], [0.5, 0.25, 0.25], [[0.5, 0.5]], 1.0])
def test_there_is_one_value_a_class(values):
    with pytest.raises(ContractError, match="2 training classes"):
        LeafProbabilities(("a", "b"), np.array(values))


def test_probabilities_are_addressed_by_name_in_float64_and_cannot_be_written():
    given_values = np.array([0.25, 0.75], np.float32)
    found = LeafProbabilities(("a", "b"), given_values)
    given_values[:] = 0
    assert (found["a"], found["b"]) == (0.25, 0.75)
    assert found.to_dict() == {"a": 0.25, "b": 0.75}
    assert found.values.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        found.values[0] = 1
    with pytest.raises(KeyError):
        found["c"]


def test_two_distributions_are_equal_by_names_and_values():
    one = LeafProbabilities(("a", "b"), np.array([0.25, 0.75]))
    assert one == LeafProbabilities(("a", "b"), np.array([0.25, 0.75]))
    assert one != LeafProbabilities(("b", "a"), np.array([0.25, 0.75]))
    assert one != LeafProbabilities(("a", "b"), np.array([0.75, 0.25]))
    assert one != "text"


def test_weights_are_scaled_to_1():
    assert LeafProbabilities.from_weights(["a", "b"], [1, 3]).to_dict() == {"a": 0.25, "b": 0.75}
    assert LeafProbabilities.from_weights(["a", "b"], [5e-324, 0])["a"] == 1


@pytest.mark.parametrize("weights", [[0, 0], [NAN, 1], [INF, 1], [-1, 2], [1e308, 1e308]])
def test_weights_that_cannot_be_scaled_are_refused(weights):
    with pytest.raises(NonFiniteOutput, match="finite, >= 0 and not all zero"):
        LeafProbabilities.from_weights(["a", "b"], weights)


def test_logits_go_through_one_softmax_that_does_not_overflow():
    found = LeafProbabilities.from_logits(["a", "b"], [1e300, 1e300])
    assert found.to_dict() == {"a": 0.5, "b": 0.5}
    assert LeafProbabilities.from_logits(["a", "b"], [0, np.log(3)])["b"] == pytest.approx(0.75)
    assert LeafProbabilities.from_logits(["a", "b"], np.float16([1000, -1000]))["a"] == 1


@pytest.mark.parametrize("logits", [[NAN, 0], [INF, 0], [0, -INF], []])
def test_a_logit_that_is_not_finite_is_refused_before_any_argmax(logits):
    with pytest.raises(NonFiniteOutput):
        LeafProbabilities.from_logits(["a", "b"][: len(logits)], logits)


# --- reading the tree ---------------------------------------------------------------------------------


def test_any_readable_node_has_a_probability(tree):
    assert tree.to_dict() == pytest.approx(
        {"root": 1, "good": 0.45, "bad": 0.55, "bad1": 0.2, "bad2": 0.3}, abs=1e-15
    )
    assert list(tree.to_dict()) == ["root", "good", "bad", "bad1", "bad2"]
    assert "bad" in tree
    assert "odd" not in tree
    assert 5 not in tree


def test_a_foreign_distribution_is_refused(small):
    other = LeafProbabilities(small.ids[::-1], np.full(4, 0.25))
    with pytest.raises(ContractError, match="other training classes"):
        TreeProbabilities(TreeSums(small), other)


def test_levels_read_the_same_as_nodes(tree):
    assert tree.level(0) == pytest.approx({"root": 1})
    assert tree.level(1) == {"good": tree["good"], "bad": tree["bad"]}
    assert sum(tree.level(2).values()) == pytest.approx(1 - 0.45 - 0.05)


def test_the_best_of_a_level_is_not_a_walk_down():
    """The best first-level node is `one`; the best of the second level lies below the other."""
    taxonomy = Taxonomy.from_paths("t", [("one", k) for k in "abc"] + [("two", "d"), ("two", "e")])
    partition = partition_tree(taxonomy, dict.fromkeys(taxonomy.level(2), 1), max_size=1)
    leaf = LeafProbabilities(partition.ids, np.array([0.2, 0.2, 0.2, 0.38, 0.02]))
    tree = TreeProbabilities(TreeSums(partition), leaf)
    assert tree.argmax(1) == "one"
    assert tree.argmax(2) == "two:d"
    walked = max(taxonomy.children(tree.argmax(1)), key=tree.__getitem__)
    assert walked != tree.argmax(2)


def test_among_equals_the_first_in_preorder_wins(small):
    tree = TreeProbabilities(TreeSums(small), LeafProbabilities(small.ids, np.array([0.5, 0, 0.25, 0.25])))
    assert tree.argmax(1) == "good"
    assert tree.argmax(2) == "bad1"


def test_the_most_specific_node_is_the_deepest_that_reaches_the_threshold(tree):
    assert tree.most_specific() == "bad"
    assert tree.most_specific(at_least=0.3) == "bad2"
    assert tree.most_specific(at_least=0.15) == "bad2"
    assert tree.most_specific(at_least=0.45) == "bad"
    assert tree.most_specific(at_least=0.9) == "root"


def test_at_equal_depth_the_more_probable_node_is_the_most_specific(small):
    for values, best in (([0.5, 0, 0.3, 0.2], "bad1"), ([0.5, 0, 0.2, 0.3], "bad2")):
        tree = TreeProbabilities(TreeSums(small), LeafProbabilities(small.ids, np.array(values)))
        assert tree.most_specific(at_least=0.1) == best


def test_the_root_reaches_every_threshold():
    """.1 ten times is not 1 in floating point, and the answer is still the root."""
    taxonomy = Taxonomy("t", {"r": None, **{f"n{k}": "r" for k in range(10)}})
    partition = partition_tree(taxonomy, {f"n{k}": 1 for k in range(10)}, max_size=1)
    leaf = LeafProbabilities(partition.ids, np.full(10, 0.1) - 5e-8)
    assert TreeProbabilities(TreeSums(partition), leaf).most_specific(at_least=1) == "r"


@few
@given(data=st.data(), threshold=st.floats(0.51, 1))
def test_most_specific_equals_a_search_over_all_nodes(counted_trees, data, threshold):
    taxonomy, counts = data.draw(counted_trees)
    partition = partition_tree(taxonomy, counts, max_size=data.draw(st.integers(1, 9)))
    assume(partition.classes)
    weights = data.draw(
        st.lists(st.integers(1, 50), min_size=len(partition.ids), max_size=len(partition.ids))
    )
    tree = TreeProbabilities(TreeSums(partition), LeafProbabilities.from_weights(partition.ids, weights))
    reach = [n for n in tree.to_dict() if tree[n] >= threshold] or [taxonomy.root]
    depths = [taxonomy.node(n).depth for n in reach]
    assert taxonomy.node(tree.most_specific(at_least=threshold)).depth == max(depths)
    assert depths.count(max(depths)) == 1


@pytest.mark.parametrize("at_least", [0, -0.1, 1.01, NAN, INF])
def test_a_threshold_lies_above_0_and_not_above_1(tree, at_least):
    with pytest.raises(TaxonomyError, match="at_least is"):
        tree.most_specific(at_least=at_least)


# --- conditional --------------------------------------------------------------------------------------


def test_within_a_node_probabilities_are_conditional_on_it(tree):
    bad = tree.within("bad")
    assert bad["bad"] == pytest.approx(1)
    assert bad["bad2"] == pytest.approx(0.3 / 0.55)
    assert bad["good"] == 0
    assert bad["root"] == pytest.approx(1)
    assert bad.to_dict() == pytest.approx({"bad": 1, "bad1": 0.2 / 0.55, "bad2": 0.3 / 0.55})
    assert tree["bad"] == pytest.approx(0.55)


def test_within_several_nodes_the_rest_is_zeroed_and_renormalised(tree):
    some = tree.within_any(["good", "bad1"])
    assert some.total == pytest.approx(0.65)
    assert some["good"] == pytest.approx(0.45 / 0.65)
    assert some["bad"] == some["bad1"] == pytest.approx(0.2 / 0.65)
    assert some["bad2"] == 0
    assert list(some.to_dict()) == ["good", "bad1"]


def test_within_the_root_is_no_condition(tree):
    assert tree.within("root").to_dict() == pytest.approx(tree.to_dict())


def test_conditions_that_overlap_are_empty_or_impossible_are_refused(tree, small):
    with pytest.raises(TaxonomyError, match="'bad' and 'bad1' overlap"):
        tree.within_any(["bad", "bad1"])
    with pytest.raises(TaxonomyError, match="overlap"):
        tree.within_any(["bad", "bad"])
    with pytest.raises(TaxonomyError, match="probability zero"):
        tree.within_any([])
    with pytest.raises(UnknownNode):
        tree.within("zz")
    with pytest.raises(BelowTrainingClass):
        tree.within("odd")
    none = TreeProbabilities(TreeSums(small), LeafProbabilities(small.ids, np.array([0, 0.5, 0.5, 0])))
    with pytest.raises(TaxonomyError, match="probability zero"):
        none.within("good")


# --- ranked -------------------------------------------------------------------------------------------


def test_ranked_lists_disjoint_nodes_most_probable_first(tree):
    assert [n for n, _ in tree.ranked()] == ["bad", "good"]


@few
@given(data=st.data())
def test_ranked_is_disjoint_and_sums_to_1(counted_trees, data):
    taxonomy, counts = data.draw(counted_trees)
    partition = partition_tree(taxonomy, counts, max_size=data.draw(st.integers(1, 9)))
    assume(partition.classes)
    seed = data.draw(st.integers(0, 2**32))
    values = np.random.default_rng(seed).dirichlet(np.ones(len(partition.ids)))
    tree = TreeProbabilities(TreeSums(partition), LeafProbabilities(partition.ids, values))
    nodes, shares = zip(*tree.ranked(), strict=True)
    assert sum(shares) == pytest.approx(1, abs=1e-9)
    assert list(shares) == sorted(shares, reverse=True)
    assert not any(a != b and taxonomy.covers(a, b) for a in nodes for b in nodes)
    assert len(set(nodes)) == len(nodes)
