"""Do sets hold what passes, does the cover hold the set and no more, and do sets grow with coverage?"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.cells import LEAVES, Cells
from core.errors import ContractError, TaxonomyError, UnknownNode
from core.partition import partition_tree
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.set_rule import Quantile, SetRule
from core.taxonomy import Taxonomy
from core.tree import TreeSums

few = settings(max_examples=50, deadline=None)
PATHS = [
    ("bad",),
    ("bad", "dark", "deep"),
    ("bad", "dark", "thin"),
    ("bad", "dark"),
    ("bad", "light"),
    ("good", "mole"),
    ("good", "cyst"),
    ("odd",),
]
TREE = Taxonomy.from_paths("paths", PATHS)
PARTITION = partition_tree(TREE, {":".join(p): 5 for p in PATHS}, max_size=5)
IDS = ("bad~", "bad:dark~", "bad:dark:deep", "bad:dark:thin", "bad:light", "good:mole", "good:cyst", "odd")
SCORES = ("lac", "aps", "aps_randomised")


def rule_of(cells, values, score="lac", coverage=0.9, **more):
    found = tuple(Quantile(float(v), 10, TREE.root if cells.partition is PARTITION else None) for v in values)
    return SetRule(cells, coverage, score, found, per_class=False, lesions=10, **more)


def same(cells, value, score="lac", **more):
    return rule_of(cells, [value] * len(cells.ids), score, **more)


def tree_of(*weights, partition=PARTITION):
    return TreeProbabilities(TreeSums(partition), LeafProbabilities.from_weights(partition.ids, weights))


def draw_rule(data, counted_trees, score):
    taxonomy, counts = data.draw(counted_trees)
    partition = partition_tree(taxonomy, counts, max_size=data.draw(st.integers(1, 20)))
    assume(partition.classes)
    levels = [LEAVES, *range(1, taxonomy.max_depth + 1)]
    cells = Cells(partition, data.draw(st.sampled_from(levels)))
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    values = generator.dirichlet(np.full(len(partition.classes), generator.choice([0.1, 1.0])), 6)
    if score == "lac" and data.draw(st.booleans()):
        values = np.round(values, 1) + 0.0
        values[:, 0] += 1 - values.sum(axis=1)
        assume((values >= 0).all())
    quantiles = generator.uniform(0, 1, len(cells.ids))
    cases = [str(k) for k in range(6)] if score == "aps_randomised" else None
    return rule_of(cells, quantiles, score), values, cases


# --- cells ------------------------------------------------------------------------------------------------


def test_a_level_holds_its_nodes_and_the_training_classes_above_it():
    assert PARTITION.ids == IDS
    assert Cells(PARTITION, 1).ids == ("bad", "good", "odd")
    assert Cells(PARTITION, 2).ids == ("bad~", "bad:dark", "bad:light", "good:mole", "good:cyst", "odd")
    assert Cells(PARTITION, 2).sizes.tolist() == [1, 3, 1, 1, 1, 1]
    assert Cells(PARTITION, 3).ids == Cells(PARTITION, LEAVES).ids == IDS


@few
@given(data=st.data())
def test_cells_of_every_level_sum_to_one(counted_trees, data):
    rule, values, _ = draw_rule(data, counted_trees, "aps")
    np.testing.assert_allclose(rule.cells.values(values).sum(axis=1), 1, atol=1e-12)
    assert rule.cells.sizes.sum() == len(rule.cells.partition.classes)


def test_a_label_belongs_to_the_cell_that_holds_it():
    cells = Cells(PARTITION, 2)
    assert cells.truth(["bad", "bad:dark", "bad:dark:thin", "good:cyst"]).tolist() == [0, 1, 1, 4]
    with pytest.raises(UnknownNode):
        cells.truth(["good:mold"])


def test_a_label_that_no_cell_holds_is_told_apart():
    taxonomy = Taxonomy.from_paths("lost", [("a", "x"), ("a", "y")])
    partition = partition_tree(taxonomy, {"a": 9, "a:x": 3, "a:y": 3}, max_size=5, preset="published")
    assert Cells(partition, LEAVES).truth(["a", "a:x"]).tolist() == [-1, 0]
    assert Cells(partition, 1).truth(["a", "a:x"]).tolist() == [0, 0]


@pytest.mark.parametrize("level", [0, 4, -1, True, "leafs", 1.0])
def test_a_level_that_does_not_exist_is_refused(level):
    with pytest.raises(TaxonomyError, match="levels are 1 to 3, or 'leaves'"):
        Cells(PARTITION, level)


def test_values_of_another_width_are_refused():
    with pytest.raises(ContractError, match="8 training classes"):
        Cells(PARTITION, 1).values(np.ones((2, 7)))


# --- what is in a set -------------------------------------------------------------------------------------


def test_lac_takes_every_cell_that_is_probable_enough():
    found = same(Cells(PARTITION, 2), 0.7).apply(tree_of(1, 2, 1, 2, 0, 3, 1, 0))
    assert found.ids == ("bad:dark", "good:mole")
    assert [m.probability for m in found.members] == pytest.approx([0.5, 0.3])
    assert all(m.passed for m in found.members)


def test_aps_takes_cells_until_their_sum_reaches_the_quantile():
    tree = tree_of(0, 0, 4, 3, 0, 2, 1, 0)
    cells = Cells(PARTITION, LEAVES)
    assert same(cells, 0.39, "aps").apply(tree).ids == ("bad:dark:deep",)
    assert same(cells, 0.5, "aps").apply(tree).ids == ("bad:dark:deep", "bad:dark:thin")
    assert same(cells, 0.71, "aps").apply(tree).ids == ("bad:dark:deep", "bad:dark:thin", "good:mole")
    assert same(cells, 0.95, "aps").apply(tree).ids[-1] == "good:cyst"
    assert len(same(cells, 1.0, "aps").apply(tree).ids) == len(IDS)


def test_aps_takes_equal_cells_together_or_not_at_all():
    tree = tree_of(0, 0, 4, 3, 0, 3, 0, 0)
    cells = Cells(PARTITION, LEAVES)
    assert same(cells, 0.5, "aps").apply(tree).ids == ("bad:dark:deep", "bad:dark:thin", "good:mole")
    assert same(cells, 0.4, "aps").apply(tree).ids == ("bad:dark:deep",)


def test_an_empty_set_becomes_the_most_probable_cell_and_says_so():
    for score in ("lac", "aps"):
        found = same(Cells(PARTITION, 1), 0.0, score).apply(tree_of(1, 1, 1, 1, 1, 4, 0, 0))
        assert found.ids == ("bad",)
        assert not found.members[0].passed
        assert "its score did not pass" in str(found)


def test_each_cell_is_held_against_its_own_quantile():
    cells = Cells(PARTITION, 1)
    found = rule_of(cells, [0.1, 0.1, 0.99]).apply(tree_of(4, 0, 0, 0, 0, 4, 0, 2))
    assert found.ids == ("bad", "odd")
    assert [m.passed for m in found.members] == [False, True]


@few
@given(data=st.data(), score=st.sampled_from(SCORES))
def test_a_set_holds_what_passes_and_the_most_probable_cell_and_nothing_else(counted_trees, data, score):
    rule, values, cases = draw_rule(data, counted_trees, score)
    members = rule.apply_rows(values, cases)
    at_cells = rule.cells.values(values)
    allowed = np.array([q.value for q in rule.quantiles])
    for row, p in enumerate(at_cells):
        top = int(np.argmax(p))
        for k in range(len(p)):
            if score == "lac":
                passes = 1 - p[k] <= allowed[k] + 1e-8
            elif score == "aps":
                passes = p[p > p[k]].sum() < allowed[k] - 1e-8 or allowed[k] >= 1 - 1e-8
            else:
                continue
            assert members[row, k] == (passes or k == top)
        assert members[row, top]


@few
@given(data=st.data(), score=st.sampled_from(SCORES), more=st.floats(0, 1))
def test_sets_grow_with_the_quantiles_and_so_with_coverage(counted_trees, data, score, more):
    rule, values, cases = draw_rule(data, counted_trees, score)
    larger = replace(
        rule, quantiles=tuple(replace(q, value=q.value + more * (1 - q.value)) for q in rule.quantiles)
    )
    assert (rule.apply_rows(values, cases) <= larger.apply_rows(values, cases)).all()


@few
@given(data=st.data(), score=st.sampled_from(SCORES))
def test_one_case_gets_the_row_that_many_get(counted_trees, data, score):
    rule, values, cases = draw_rule(data, counted_trees, score)
    partition = rule.cells.partition
    members = rule.apply_rows(values, cases)
    for k, row in enumerate(values):
        tree = TreeProbabilities(TreeSums(partition), LeafProbabilities(partition.ids, row))
        found = rule.apply(tree, None if cases is None else cases[k])
        assert set(found.ids) == {rule.cells.ids[j] for j in np.flatnonzero(members[k])}
        assert [m.probability for m in found.members] == sorted(m.probability for m in found.members)[::-1]


def test_a_random_draw_belongs_to_the_case_and_the_seed():
    cells = Cells(PARTITION, LEAVES)
    values = np.random.default_rng(0).dirichlet(np.ones(8), 40)
    names = [f"case {k}" for k in range(40)]
    rule = same(cells, 0.6, "aps_randomised")
    whole = rule.apply_rows(values, names)
    assert (rule.apply_rows(values[7:], names[7:]) == whole[7:]).all()
    assert not (rule.apply_rows(values, names[::-1]) == whole).all()
    assert not (replace(rule, seed=1).apply_rows(values, names) == whole).all()


def test_ids_are_asked_for_where_something_is_drawn_and_only_there():
    tree = tree_of(*[1] * 8)
    cells = Cells(PARTITION, LEAVES)
    with pytest.raises(ContractError, match="drawn for each case with aps_randomised"):
        same(cells, 0.6, "aps_randomised").apply(tree)
    with pytest.raises(ContractError, match="with it alone"):
        same(cells, 0.6, "lac").apply(tree, "case 1")


# --- the cover --------------------------------------------------------------------------------------------


@few
@given(data=st.data(), score=st.sampled_from(SCORES))
def test_the_cover_holds_every_member_and_no_child_of_it_does(counted_trees, data, score):
    rule, values, cases = draw_rule(data, counted_trees, score)
    taxonomy = rule.cells.partition.taxonomy
    members = rule.apply_rows(values, cases)
    for row, place in zip(members, rule.cells.cover(members), strict=True):
        nodes = [rule.cells.nodes[k] for k in np.flatnonzero(row)]
        cover = taxonomy.ids[place]
        assert all(taxonomy.covers(cover, n) for n in nodes)
        assert not any(all(taxonomy.covers(c, n) for n in nodes) for c in taxonomy.children(cover))


@few
@given(data=st.data(), depth=st.integers(1, 6))
def test_a_lifted_set_holds_the_node_above_each_member_and_nothing_else(counted_trees, data, depth):
    rule, values, _ = draw_rule(data, counted_trees, "lac")
    taxonomy, partition = rule.cells.partition.taxonomy, rule.cells.partition
    for row in values:
        found = rule.apply(TreeProbabilities(TreeSums(partition), LeafProbabilities(partition.ids, row)))
        lifted = found.lifted(depth)
        for m in found.members:
            assert any(taxonomy.covers(node, m.node) for node in lifted)
        for node in lifted:
            assert any(taxonomy.covers(node, m.node) for m in found.members)
            assert taxonomy.node(node).depth <= depth
        assert all(taxonomy.covers(found.cover, m.node) for m in found.members)


def test_the_cover_of_two_kinds_of_one_group_is_the_group():
    found = same(Cells(PARTITION, LEAVES), 0.7).apply(tree_of(0, 0, 4, 4, 0, 2, 0, 0))
    assert found.cover == "bad:dark"
    assert found.lifted(1) == ("bad",)
    assert "all within bad, dark" in str(found)
    with pytest.raises(ContractError, match="levels count from 1"):
        found.lifted(0)


def test_the_cover_of_a_residual_class_is_its_node():
    found = same(Cells(PARTITION, LEAVES), 0.5).apply(tree_of(0, 9, 1, 0, 0, 0, 0, 0))
    assert (found.ids, found.cover) == (("bad:dark~",), "bad:dark")


def test_a_set_across_first_levels_is_covered_by_the_root_alone():
    found = same(Cells(PARTITION, 1), 0.7).apply(tree_of(5, 0, 0, 0, 0, 5, 0, 0))
    assert found.cover == TREE.root
    assert "any diagnosis" in str(found)


def test_a_chain_of_a_hundred_thousand_levels_is_covered(chain):
    partition = partition_tree(chain, {"n0": 1, "n99999": 1}, max_size=1)
    cells = Cells(partition, LEAVES)
    assert chain.ids[int(cells.cover(np.ones((1, len(cells.ids)), bool))[0])] == "n0"


def test_members_without_any_are_refused():
    with pytest.raises(ContractError, match="at least one a row"):
        Cells(PARTITION, 1).cover(np.zeros((1, 3), bool))


# --- in and out -------------------------------------------------------------------------------------------


def test_a_rule_survives_json():
    cells = Cells(PARTITION, 2)
    quantiles = (Quantile(0.4, 20), *[Quantile(0.7, 60, "root")] * 5)
    about = {"lesions": "some clinic"}
    rule = SetRule(
        cells, 0.95, "aps_randomised", quantiles, per_class=True, lesions=90, seed=3, provenance=about
    )
    assert SetRule.from_dict(json.loads(json.dumps(rule.to_dict())), PARTITION) == rule


def wrong(**change):
    return {**same(Cells(PARTITION, 1), 0.5).to_dict(), **change}


CELL = {"quantile": 0.5, "lesions": 10, "shared_at": "root"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (wrong(format=2), "format 2"),
        (wrong(partition="0"), "another partition"),
        (wrong(level=2), "not those of its level"),
        (wrong(cells=[]), "not those of its level"),
        (wrong(coverage=1.0), "between 0 and 1"),
        (wrong(coverage=float("nan")), "between 0 and 1"),
        (wrong(score="raps"), "'raps' is unknown"),
        (wrong(cells=[{"id": i, **CELL, "quantile": 1.5} for i in ("bad", "good", "odd")]), "1.5 from 10"),
        (wrong(cells=[{"id": i, **CELL, "quantile": float("nan")} for i in ("bad", "good", "odd")]), "nan"),
        (wrong(cells=[{"id": i, **CELL, "lesions": 0} for i in ("bad", "good", "odd")]), "from 0 lesions"),
        (wrong(seed=None), "cannot be read"),
        ({}, "KeyError"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(raw, message):
    with pytest.raises(ContractError, match=message):
        SetRule.from_dict(raw, PARTITION)


def test_a_rule_with_too_few_quantiles_is_refused():
    with pytest.raises(ContractError, match="2 quantiles for 3 cells"):
        rule_of(Cells(PARTITION, 1), [0.5, 0.5])


def test_probabilities_over_another_partition_are_refused():
    other = partition_tree(TREE, {":".join(p): 5 for p in PATHS}, max_size=1000)
    with pytest.raises(ContractError, match="other training classes"):
        same(Cells(PARTITION, 1), 0.5).apply(tree_of(*[1] * len(other.ids), partition=other))


def test_values_of_cells_of_another_width_are_refused():
    with pytest.raises(ContractError, match="cases x 3 cells"):
        same(Cells(PARTITION, 1), 0.5).passing(np.ones((2, 8)))


def test_the_answer_is_json_and_names_the_node_whose_quantile_is_shared():
    rule = replace(same(Cells(PARTITION, 2), 0.7), per_class=True)
    found = rule.apply(tree_of(1, 2, 1, 2, 0, 3, 1, 0))
    document = json.loads(json.dumps(found.to_dict()))
    assert document["members"][0] == {
        "id": "bad:dark", "name": "dark", "probability": 0.5, "passed": True, "shared_at": "root"
    }  # fmt: skip
    assert document["cover"] == {"id": "root", "path": []}
    assert "research use" in document["research_use"]
    assert "quantile shared at root" in str(found)
