"""Do probabilities of training classes add up to every node above them, and is nothing read below them?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import core.tree
from core.errors import (
    BelowTrainingClass,
    ContractError,
    IncoherentOutput,
    PartitionError,
    TaxonomyError,
    UnknownNode,
)
from core.partition import Partition, partition_tree
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.taxonomy import Taxonomy
from core.tree import TreeSums

few = settings(max_examples=100, deadline=None)
PRESETS = ("published", "reference")


def draw_sums(data, counted_trees):
    taxonomy, counts = data.draw(counted_trees)
    size, preset = data.draw(st.integers(1, 20)), data.draw(st.sampled_from(PRESETS))
    partition = partition_tree(taxonomy, counts, max_size=size, preset=preset)
    assume(partition.classes)
    return TreeSums(partition)


def dirichlet(data, cases, width):
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    return generator.dirichlet(np.full(width, generator.choice([0.05, 1.0, 20.0])), cases)


# --- the paper's example ------------------------------------------------------------------------------


def test_the_worked_example_of_the_paper_sums_to_six_tenths():
    """An inner node with seven training classes below it, at two depths: .1+.05+.05+.3+.02+.03+.05."""
    paths = (
        [("u", "x", k) for k in "abc"] + [("u", "y", k) for k in "de"] + [("u", k) for k in "fg"] + [("v",)]
    )
    taxonomy = Taxonomy.from_paths("example", paths)
    partition = partition_tree(taxonomy, {":".join(p): 1 for p in paths}, max_size=1)
    leaf = LeafProbabilities(partition.ids, np.array([0.1, 0.05, 0.05, 0.3, 0.02, 0.03, 0.05, 0.4]))
    tree = TreeProbabilities(TreeSums(partition), leaf)
    assert tree["u"] == pytest.approx(0.6, abs=1e-15)
    assert tree["u:x"] == pytest.approx(0.2, abs=1e-15)
    assert tree["u:y"] == pytest.approx(0.32, abs=1e-15)
    assert tree["root"] == pytest.approx(1, abs=1e-15)


# --- coherence ----------------------------------------------------------------------------------------


@few
@given(data=st.data())
def test_every_node_is_the_sum_of_the_classes_at_or_below_it(counted_trees, data):
    sums = draw_sums(data, counted_trees)
    partition, taxonomy = sums.partition, sums.partition.taxonomy
    values = dirichlet(data, 3, len(partition.classes))
    table = sums.of(values, sums.nodes)
    for k, node in enumerate(sums.nodes):
        inside = [i for i, c in enumerate(partition.classes) if taxonomy.covers(node, c.node)]
        np.testing.assert_allclose(table[:, k], values[:, inside].sum(axis=1), rtol=0, atol=1e-12)


@few
@given(data=st.data())
def test_children_and_residual_sum_to_their_node_and_the_root_is_1_within_1e_9(counted_trees, data):
    sums = draw_sums(data, counted_trees)
    partition, taxonomy = sums.partition, sums.partition.taxonomy
    values = dirichlet(data, 4, len(partition.classes))
    sums.check(values)
    own = {c.node: values[:, k] for k, c in enumerate(partition.classes) if c.residual}
    whole = {c.node for c in partition.classes if not c.residual}
    table = dict(zip(sums.nodes, sums.of(values, sums.nodes).T, strict=True))
    assert np.abs(table[taxonomy.root] - 1).max() < 1e-9
    for node, total in table.items():
        children = [table[c] for c in taxonomy.children(node) if c in table]
        if node in whole:
            assert not children
        else:
            assert np.abs(total - sum(children) - own.get(node, 0)).max() < 1e-9
    assert all(((t >= 0) & (t <= 1 + 1e-9)).all() for t in table.values())


@few
@given(data=st.data())
def test_many_cases_at_once_equal_one_by_one(counted_trees, data):
    sums = draw_sums(data, counted_trees)
    values = dirichlet(data, 5, len(sums.partition.classes))
    together = sums.of(values, sums.nodes)
    for k, row in enumerate(values):
        np.testing.assert_allclose(sums.of(row[None], sums.nodes)[0], together[k], rtol=0, atol=1e-15)
        tree = TreeProbabilities(sums, LeafProbabilities(sums.partition.ids, row))
        np.testing.assert_allclose([tree[n] for n in sums.nodes], together[k], rtol=0, atol=1e-15)


@few
@given(data=st.data())
def test_running_sums_give_what_the_two_stages_give(counted_trees, data):
    """Wide and deep partitions are summed the other way; no answer may depend on which."""
    sums = draw_sums(data, counted_trees)
    values = dirichlet(data, 3, len(sums.partition.classes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core.tree, "_MOST_MEMBERS", -1)
        other = TreeSums(sums.partition)
        np.testing.assert_allclose(other.inner(values), sums.inner(values), rtol=0, atol=1e-15)
        assert other._two_stage is None


@few
@given(data=st.data())
def test_float32_values_are_summed_in_float64(counted_trees, data):
    sums = draw_sums(data, counted_trees)
    values = dirichlet(data, 2, len(sums.partition.classes)).astype(np.float32)
    inner = sums.inner(values)
    assert inner.dtype == np.float64
    np.testing.assert_allclose(inner, sums.inner(values.astype(np.float64)), rtol=0, atol=1e-15)


def test_values_are_not_changed_by_summing(small):
    values = np.array([[0.1, 0.2, 0.3, 0.4]])
    sums = TreeSums(small)
    sums.of(values, sums.nodes)
    sums.check(values)
    assert values.tolist() == [[0.1, 0.2, 0.3, 0.4]]


def test_a_chain_of_100000_classes_is_summed(chain):
    """One class a node: a matrix of nodes times classes would take 80 gigabytes."""
    partition = partition_tree(chain, np.ones(len(chain), np.int64), max_size=1)
    sums = TreeSums(partition)
    values = np.full((1, len(chain)), 1 / len(chain))
    found = sums.of(values, ("n0", "n50000", "n99998", "n99999"))[0]
    np.testing.assert_allclose(found, [1, 0.5, 2e-5, 1e-5], rtol=1e-9)
    tree = TreeProbabilities(sums, LeafProbabilities(partition.ids, values[0]))
    assert tree["n25000"] == pytest.approx(0.75)
    assert tree.most_specific(at_least=0.249995) == "n75000"
    assert len(tree.to_dict()) == len(chain)


# --- what can be read ---------------------------------------------------------------------------------


def test_a_residual_counts_for_its_node_and_for_no_child(small):
    assert small.ids == ("good", "bad~", "bad1", "bad2")
    sums = TreeSums(small)
    found = dict(zip(sums.nodes, sums.of(np.array([[0.0, 1.0, 0.0, 0.0]]), sums.nodes)[0], strict=True))
    assert found == {"root": 1, "good": 0, "bad": 1, "bad1": 0, "bad2": 0}


def test_the_readable_nodes_stand_in_preorder_from_the_root(small):
    sums = TreeSums(small)
    assert sums.nodes == ("root", "good", "bad", "bad1", "bad2")
    assert sums.readable("bad")
    assert not sums.readable("odd")
    with pytest.raises(UnknownNode):
        sums.readable("zz")


@few
@given(data=st.data())
def test_below_a_class_the_error_names_the_class_and_is_never_a_zero(counted_trees, data):
    sums = draw_sums(data, counted_trees)
    partition, taxonomy = sums.partition, sums.partition.taxonomy
    tree = TreeProbabilities(sums, LeafProbabilities.from_weights(partition.ids, np.ones(len(partition.ids))))
    for node in set(taxonomy) - set(sums.nodes):
        above = [c.node for c in partition.classes if not c.residual and taxonomy.covers(c.node, node)]
        says = f"'{node}' lies inside the training class '{above[0]}'" if above else f"at or below '{node}'"
        with pytest.raises(BelowTrainingClass, match=says):
            tree[node]
        with pytest.raises(BelowTrainingClass, match=says):
            sums.of(tree.leaf.values[None], (node,))
        assert node not in tree
        assert not sums.readable(node)


def test_an_unknown_node_is_not_called_below_a_class(small):
    with pytest.raises(UnknownNode, match="'zz'"):
        TreeSums(small).column("zz")


def test_a_level_lists_its_readable_nodes_and_a_level_below_all_classes_is_an_error(small):
    assert TreeSums(small).level(1) == ("good", "bad")
    assert TreeSums(small).level(2) == ("bad1", "bad2")
    with pytest.raises(TaxonomyError, match="level 3 does not exist"):
        TreeSums(small).level(3)
    deep = partition_tree(Taxonomy("t", {"r": None, "a": "r", "b": "a"}), {"b": 1}, max_size=5)
    with pytest.raises(TaxonomyError, match="no node of level 2 can be read"):
        TreeSums(deep).level(2)


@few
@given(data=st.data())
def test_the_cover_is_disjoint_and_holds_every_class(counted_trees, data):
    sums = draw_sums(data, counted_trees)
    taxonomy = sums.partition.taxonomy
    for c in sums.partition.classes:
        assert sum(taxonomy.covers(node, c.node) for node in sums.cover) == 1
    values = dirichlet(data, 1, len(sums.partition.classes))
    assert sums.of(values, sums.cover).sum() == pytest.approx(1, abs=1e-9)


# --- what is refused ----------------------------------------------------------------------------------


def test_a_partition_without_a_class_cannot_be_summed(chain):
    lost = partition_tree(chain, {"n99999": 5}, max_size=1, preset="published")
    with pytest.raises(PartitionError, match="no training class"):
        TreeSums(lost)


@pytest.mark.parametrize("shape", [(1, 3), (1, 5), (4,), (0,), (1, 1, 4)])
def test_another_number_of_columns_than_classes_is_refused(small, shape):
    """A wider matrix would silently be added to the last class."""
    with pytest.raises(ContractError, match="cases x 4 classes"):
        TreeSums(small).inner(np.zeros(shape))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([0.2, 0.2, 0.2, 0.3], "the root is not 1"),
        ([0.5, 0.5, 0.5, 0.5], "the root is not 1"),
        ([0, 0, 0, 0], "the root is not 1"),
        ([np.nan, 0.2, 0.3, 0.5], "not finite or negative"),
        ([np.inf, 0, 0, 0], "not finite or negative"),
        ([1.5, -0.5, 0, 0], "not finite or negative"),
    ],
)
def test_broken_values_are_incoherent(small, values, says):
    good = [0.1, 0.2, 0.3, 0.4]
    with pytest.raises(IncoherentOutput, match=says):
        TreeSums(small).check(np.array([good, values]))


def test_a_sum_that_does_not_match_its_children_is_incoherent_and_the_node_named(small, monkeypatch):
    sums = TreeSums(small)
    honest = TreeSums.inner
    shift = np.array([0, 1e-3])
    monkeypatch.setattr(TreeSums, "inner", lambda self, values: honest(self, values) - shift)
    with pytest.raises(IncoherentOutput, match=r"children of '(root|bad)' do not sum to it"):
        sums.check(np.array([[0.1, 0.2, 0.3, 0.4]]))


@pytest.mark.parametrize("cases", [0, 1, 255, 256, 257, 600])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_cohort_is_summed_as_its_cases_are_wherever_a_block_ends(
    small: Partition, cases: int, kind: type
) -> None:
    sums = TreeSums(small)
    values = np.random.default_rng(cases).random((cases, len(small.classes))).astype(kind)
    found = sums.inner(values)
    assert (found.dtype, found.shape) == (np.float64, (cases, 2))
    for k in (0, 254, 255, 256, 599):
        if k < cases:
            np.testing.assert_allclose(found[k], sums.inner(values[k : k + 1])[0], rtol=0, atol=1e-15)
    np.testing.assert_allclose(found[:, 0], values.sum(axis=1, dtype=np.float64), rtol=0, atol=1e-14)
