"""Is the action of highest expected utility taken, and is what cannot be weighed refused?"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.decision import Utilities, decide
from core.errors import BelowTrainingClass, InputError, TaxonomyError, UnknownNode
from core.partition import partition_tree
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.taxonomy import Taxonomy
from core.tree import TreeSums

PATHS = [("bad",), ("bad", "dark"), ("bad", "light"), ("good", "mole"), ("good", "cyst"), ("odd",)]
TREE = Taxonomy.from_paths("paths", [*PATHS, ("good", "cyst", "small"), ("never",)])
PARTITION = partition_tree(TREE, {":".join(p): 5 for p in PATHS}, max_size=5)
IDS = ("bad~", "bad:dark", "bad:light", "good:mole", "good:cyst", "odd")
BIOPSY = {
    "title": "Biopsy or wait",
    "unit": "days",
    "states": {"bad": ["bad"]},
    "otherwise": "fine",
    "actions": {"biopsy": {"bad": 0, "fine": -1}, "wait": {"bad": -9, "fine": 0}},
}
numbers = st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 2))


def tree_of(*weights):
    assert PARTITION.ids == IDS
    return TreeProbabilities(TreeSums(PARTITION), LeafProbabilities.from_weights(IDS, weights))


def changed(**change):
    return Utilities.from_dict({**BIOPSY, **change})


def at(bad):
    return decide(tree_of(bad / 2, bad / 2, 0, 1 - bad, 0, 0), Utilities.from_dict(BIOPSY))


def test_the_expected_utility_of_each_action_is_the_sum_over_states():
    found = decide(tree_of(1, 1, 1, 2, 3, 2), Utilities.from_dict(BIOPSY))
    assert found.probabilities == pytest.approx({"bad": 0.3, "fine": 0.7})
    assert found.expected == pytest.approx({"biopsy": -0.7, "wait": -2.7})
    assert (found.action, found.second, found.tied) == ("biopsy", "wait", ())
    assert found.regret == pytest.approx(2.0)


def test_the_threshold_is_harm_over_harm_and_benefit():
    """Pauker and Kassirer 1980: treat from harm / (harm + benefit) on, here 1 / (1 + 9)."""
    assert at(0.5).threshold == "biopsy where P(bad) is at least 0.1, else wait"
    assert (at(0.101).action, at(0.099).action) == ("biopsy", "wait")


def test_of_equal_actions_the_first_named_is_taken_and_said():
    found = at(0.1)
    assert (found.action, found.tied, found.regret) == ("biopsy", ("biopsy", "wait"), 0.0)
    assert "the one named first is taken" in str(found)
    other = changed(actions=dict(reversed(BIOPSY["actions"].items())))
    turned = decide(tree_of(0.1, 0, 0, 0.9, 0, 0), other)
    assert (turned.action, turned.second) == ("wait", "biopsy")
    assert other.threshold() == "wait where P(bad) is at most 0.1, else biopsy"


@pytest.mark.parametrize("order", [("cut", "wait"), ("wait", "cut")])
def test_actions_that_differ_by_rounding_alone_are_equal(order):
    worth = {"cut": {"bad": 0, "fine": -0.6}, "wait": {"bad": -0.9, "fine": 0}}
    actions = {name: worth[name] for name in order}
    found = decide(tree_of(4, 0, 0, 6, 0, 0), changed(actions=actions))
    assert len(set(found.expected.values())) == 2
    assert (found.action, found.tied) == (order[0], order)


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ((1, 0), (0, 0), "a at any probability"),
        ((0, 0), (0, 0), "a and b are worth the same at any probability"),
        ((-1, -2), (0, 0), "b at any probability"),
        ((-1, 0), (0, 0), "a where P(bad) is at most 0, else b"),
        ((0, -1), (0, 0), "a where P(bad) is at least 1, else b"),
    ],
)
def test_an_action_that_is_never_worse_has_no_threshold_inside(first, second, text):
    actions = {k: dict(zip(("bad", "fine"), v, strict=True)) for k, v in (("a", first), ("b", second))}
    assert changed(actions=actions).threshold() == text


@settings(max_examples=100, deadline=None)
@given(a=st.tuples(numbers, numbers), b=st.tuples(numbers, numbers), bad=st.floats(0, 1))
def test_the_threshold_says_what_is_decided(a, b, bad):
    actions = {k: dict(zip(("bad", "fine"), v, strict=True)) for k, v in (("a", a), ("b", b))}
    utilities = changed(actions=actions)
    found = decide(tree_of(bad, 0, 0, 1 - bad, 0, 0), utilities)
    text = utilities.threshold()
    if "same" in text:
        assert found.tied == ("a", "b")
    elif "any" in text:
        assert found.action == text[0] or found.regret < 1e-3
    else:
        low = float(text.split(" is at ")[1].split()[1].rstrip(","))
        assume(abs(bad - low) > 1e-3)
        inside = bad >= low if "least" in text else bad <= low
        assert found.action == (text[0] if inside else text[-1])


@settings(max_examples=100, deadline=None)
@given(
    table=st.lists(st.tuples(numbers, numbers, numbers), min_size=2, max_size=4),
    weights=st.lists(st.floats(0.01, 1), min_size=6, max_size=6),
    constant=st.floats(-1000, 1000),
    factor=st.floats(0.01, 100),
)
def test_a_constant_or_a_positive_factor_changes_no_decision(table, weights, constant, factor):
    states = {"bad": ["bad"], "mole": ["good:mole"]}

    def decided(scale, shift):
        names = ("bad", "mole", "rest")
        actions = {
            f"a{k}": {s: scale * v + shift for s, v in zip(names, row, strict=True)}
            for k, row in enumerate(table)
        }
        return decide(tree_of(*weights), changed(states=states, otherwise="rest", actions=actions))

    plain, other = decided(1, 0), decided(factor, constant)
    # Nearer than this, rounding decides which of two equal actions is called a tie.
    assume(plain.tied or plain.regret > 1e-4)
    assume(not plain.tied or len(set(table)) == 1)
    assert other.action == plain.action


def test_states_may_be_several_nodes_at_any_depth_and_name_everything():
    utilities = changed(
        states={"dark": ["bad:dark"], "fine": ["good", "odd"]}, otherwise="other bad",
        actions={k: {"dark": v, "fine": 0, "other bad": 0} for k, v in (("a", 1), ("b", 2), ("c", 0))},
    )  # fmt: skip
    found = decide(tree_of(1, 2, 1, 2, 3, 1), utilities)
    assert found.probabilities == pytest.approx({"dark": 0.2, "fine": 0.6, "other bad": 0.2})
    assert (found.action, found.second, found.threshold) == ("b", "a", None)


def test_states_that_are_everything_need_no_otherwise():
    actions = {k: {"bad": 0, "good": 0, "odd": v} for k, v in (("a", 1), ("b", 2))}
    whole = {"bad": ["bad"], "good": ["good"], "odd": ["odd"]}
    found = decide(tree_of(1, 1, 1, 1, 1, 5), changed(states=whole, otherwise=None, actions=actions))
    assert found.probabilities == pytest.approx({"bad": 0.3, "good": 0.2, "odd": 0.5})


@pytest.mark.parametrize(
    ("states", "error", "message"),
    [
        ({"a": ["bad"], "b": ["bad:dark"]}, TaxonomyError, "overlap"),
        ({"a": ["bad:dark"], "b": ["bad"]}, TaxonomyError, "overlap"),
        ({"a": ["bad", "bad"], "b": ["odd"]}, TaxonomyError, "overlap"),
        ({"a": ["bad:dark", "bad:light", "good"], "b": ["odd"]}, TaxonomyError, "leave out 'bad~'"),
        ({"a": ["bad"], "b": ["godo"]}, UnknownNode, "did you mean 'good'"),
        ({"a": ["bad"], "b": ["good:cyst:small"]}, BelowTrainingClass, "inside the training class"),
        ({"a": ["bad"], "b": ["never"]}, BelowTrainingClass, "no training class lies at or below 'never'"),
    ],
)
def test_states_that_do_not_fit_the_tree_are_refused(states, error, message):
    actions = {k: {"a": 1, "b": 0} for k in ("x", "y")}
    with pytest.raises(error, match=message):
        decide(tree_of(*[1] * 6), changed(states=states, otherwise=None, actions=actions))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": {"a": {"bad": 1}, "b": {"bad": 0, "fine": 0}}}, "'a' has no utility for state 'fine'"),
        ({"actions": {"a": {"bad": 1, "fine": float("nan")}, "b": {"bad": 0, "fine": 0}}}, "finite"),
        ({"actions": {"a": {"bad": 1, "fine": float("inf")}, "b": {"bad": 0, "fine": 0}}}, "finite"),
        ({"actions": {"a": {"bad": True, "fine": 0}, "b": {"bad": 0, "fine": 0}}}, r"a\.bad: .*number"),
        ({"actions": {"a": {"bad": "5", "fine": 0}, "b": {"bad": 0, "fine": 0}}}, r"a\.bad: .*number"),
        ({"actions": {"a": {"bad": 1, "fine": 0, "fien": 0}, "b": {"bad": 0, "fine": 0}}}, "mean 'fine'"),
        ({"actions": {"a": {"bad": 1, "fine": 0}}}, "at least 2"),
        ({"states": {}}, "at least 1"),
        ({"states": {"bad": []}}, "at least 1"),
        ({"otherwise": "bad"}, "'bad', which is a state of its own"),
        ({"utility": 1}, "utility: Extra"),
        ({"title": ""}, "title"),
    ],
)
def test_utilities_that_cannot_be_weighed_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        changed(**change)


@pytest.mark.parametrize("raw", [None, [], "biopsy", {}, {"actions": 3}])
def test_what_is_no_utilities_file_is_refused(raw):
    with pytest.raises(InputError, match="utilities cannot be read"):
        Utilities.from_dict(raw)


def test_the_decision_is_json_and_says_research_use():
    document = json.loads(json.dumps(at(0.5).to_dict()))
    assert list(document["expected"]) == ["biopsy", "wait"]
    assert document["expected"]["wait"] == pytest.approx(-4.5)
    assert "research use" in document["research_use"]
    text = str(at(0.5))
    assert "Biopsy or wait: biopsy" in text
    assert "second   wait, which loses 4 days" in text
    assert "For research use only" in text


def test_probabilities_of_states_sum_to_one_whatever_the_weights():
    rng = np.random.default_rng(0)
    for row in rng.dirichlet(np.full(6, 0.1), 50):
        found = decide(tree_of(*row), Utilities.from_dict(BIOPSY))
        assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-12)
