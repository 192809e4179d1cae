"""Do the probabilities follow the clinic by Bayes' rule, at every node of the tree?"""

from __future__ import annotations

import itertools
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.case import PatientMetadata
from core.errors import BelowTrainingClass, ContractError, PluginContractError, TaxonomyError, UnknownNode
from core.guarding import GuardedFuser
from core.partition import partition_tree
from core.prevalence import Prevalence, source_mixture
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.taxonomy import Taxonomy
from core.tree import TreeSums


@pytest.fixture(scope="module")
def sums():
    """`bad` is split into `b1`, `b2` and its own residual; `good` into `g1`, `g2`; `odd` is whole."""
    parents = {"root": None, "bad": "root", "b1": "bad", "b2": "bad", "good": "root", "g1": "good"}
    taxonomy = Taxonomy("clinic", {**parents, "g2": "good", "odd": "root", "odd1": "odd", "never": "root"})
    counts = {"bad": 4, "b1": 4, "b2": 4, "g1": 4, "g2": 4, "odd1": 4}
    found = TreeSums(partition_tree(taxonomy, counts, max_size=4))
    assert found.partition.ids == ("bad~", "b1", "b2", "g1", "g2", "odd")
    return found


@pytest.fixture(scope="module")
def source(sums):
    return LeafProbabilities(sums.partition.ids, np.array([0.1, 0.1, 0.2, 0.3, 0.2, 0.1]))


def leaf(sums, *weights):
    return LeafProbabilities.from_weights(sums.partition.ids, weights)


# --- Bayes' rule ----------------------------------------------------------------------------------------


def test_bayes_rule_on_an_example_by_hand():
    """A test positive in 9 of 10 ill and 1 of 10 well, at half ill: .9. At 1 ill in 100: 9 / (9 + 99)."""
    taxonomy = Taxonomy("t", {"r": None, "ill": "r", "well": "r"})
    partition = partition_tree(taxonomy, {"ill": 1, "well": 1}, max_size=1)
    half = LeafProbabilities(partition.ids, np.array([0.5, 0.5]))
    found = Prevalence(TreeSums(partition), half, {"ill": 0.01})
    positive = found.apply(LeafProbabilities(partition.ids, np.array([0.9, 0.1])))
    assert positive["ill"] == pytest.approx(9 / 108, abs=1e-15)
    assert found.mixture.values == pytest.approx([0.01, 0.99])


def test_the_answer_is_bayes_rule_with_the_likelihoods_behind_the_old_one(sums, source):
    likelihood = np.array([0.3, 2.0, 0.1, 0.7, 1.1, 5.0])
    shift = Prevalence(sums, source, {"bad": 0.05, "b1": 0.01})
    clinic = np.array([0.04 / 3, 0.01, 0.08 / 3, 0.95 * 0.3 / 0.6, 0.95 * 0.2 / 0.6, 0.95 * 0.1 / 0.6])
    found = shift.apply(leaf(sums, *(source.values * likelihood)))
    assert found.values == pytest.approx(clinic * likelihood / (clinic * likelihood).sum(), abs=1e-15)


@pytest.mark.parametrize(
    ("shares", "clinic"),
    [
        ({"odd": 0.4}, [0.2 / 3, 0.2 / 3, 0.4 / 3, 0.2, 0.4 / 3, 0.4]),
        ({"bad": 0.5, "b2": 0.4}, [0.05, 0.05, 0.4, 0.25, 0.5 / 3, 0.25 / 3]),
        ({"b2": 0.6}, [0.05, 0.05, 0.6, 0.15, 0.1, 0.05]),
        ({"good": 0.5, "g1": 0.1, "g2": 0.4}, [0.1, 0.1, 0.2, 0.1, 0.4, 0.1]),
        ({"bad": 0.1, "good": 0.2, "odd": 0.7}, [0.025, 0.025, 0.05, 0.12, 0.08, 0.7]),
    ],
)
def test_named_nodes_get_their_share_and_the_rest_keeps_its_mixture(sums, source, shares, clinic):
    found = Prevalence(sums, source, shares).mixture
    assert found.values == pytest.approx(clinic, abs=1e-15)
    tree = TreeProbabilities(sums, found)
    assert {n: tree[n] for n in shares} == pytest.approx(shares, abs=1e-12)


# --- on any tree ----------------------------------------------------------------------------------------


@st.composite
def _clinics(draw, counted_trees):
    """A partition, a source, an answer, and legal shares: those of a random other mixture."""
    taxonomy, counts = draw(counted_trees)
    assume(sum(counts.values()))
    sums = TreeSums(partition_tree(taxonomy, counts, max_size=draw(st.integers(1, 9))))
    size = len(sums.partition.ids)
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    mixtures = [
        LeafProbabilities.from_weights(sums.partition.ids, rng.dirichlet([1] * size) + 0.01) for _ in "123"
    ]
    nodes = [n for n in sums.nodes if TreeProbabilities(sums, mixtures[0])[n] < 1 - 1e-9]
    chosen = draw(st.lists(st.sampled_from(nodes), unique=True, max_size=5)) if nodes else []
    other = TreeProbabilities(sums, mixtures[2])
    return sums, mixtures[0], mixtures[1], {n: other[n] for n in chosen}


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_on_any_tree_the_shift_is_coherent_exact_and_can_be_taken_back(counted_trees, data):
    sums, source, answer, shares = data.draw(_clinics(counted_trees))
    shift = Prevalence(sums, source, shares)
    found = shift.apply(answer)
    tree, clinic = TreeProbabilities(sums, found), TreeProbabilities(sums, shift.mixture)
    _coherent(sums, tree)
    _coherent(sums, clinic)
    assert {n: clinic[n] for n in shares} == pytest.approx(shares, abs=1e-12)
    again = Prevalence(sums, source, {n: shares[n] for n in data.draw(st.permutations(list(shares)))})
    assert again.apply(answer).values.tobytes() == found.values.tobytes()
    assert again.provenance == shift.provenance
    before = TreeProbabilities(sums, source)
    back = Prevalence(sums, shift.mixture, {n: before[n] for n in shares})
    np.testing.assert_allclose(back.apply(found).values, answer.values, rtol=0, atol=1e-12)
    same = Prevalence(sums, source, {n: before[n] for n in shares})
    np.testing.assert_allclose(same.apply(answer).values, answer.values, rtol=0, atol=1e-12)


def _coherent(sums, tree):
    taxonomy = sums.partition.taxonomy
    residual = {c.node: c.id for c in sums.partition.classes if c.residual}
    whole = {c.node for c in sums.partition.classes if not c.residual}
    assert tree[taxonomy.root] == pytest.approx(1, abs=1e-9)
    for node in sums.nodes:
        if node not in whole:
            below = sum(tree[c] for c in taxonomy.children(node) if c in tree)
            below += tree.leaf[residual[node]] if node in residual else 0
            assert tree[node] == pytest.approx(below, abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_within_a_rest_no_ratio_changes(counted_trees, data):
    sums, source, answer, shares = data.draw(_clinics(counted_trees))
    found = Prevalence(sums, source, shares).apply(answer)
    taxonomy = sums.partition.taxonomy
    factor = dict(zip(found.classes, found.values / answer.values, strict=True))
    nearest = {c.id: [n for n in taxonomy.path(c.node) if n in shares][-1:] for c in sums.partition.classes}
    for one, other in itertools.combinations(factor, 2):
        if nearest[one] == nearest[other]:
            assert factor[one] == pytest.approx(factor[other], rel=1e-9)


def test_what_is_impossible_stays_impossible_and_what_is_certain_stays_certain(sums, source):
    shift = Prevalence(sums, source, {"bad": 0.001, "b1": 0.0005})
    found = shift.apply(leaf(sums, 0, 1, 0, 0, 0, 0))
    assert found.values.tolist() == [0, 1, 0, 0, 0, 0]


def test_a_class_that_the_source_has_nothing_of_follows_the_rest_around_it(sums):
    source = leaf(sums, 0, 1, 1, 0, 2, 4)
    shift = Prevalence(sums, source, {"bad": 0.1, "b1": 0.04, "b2": 0.06})
    found = shift.apply(leaf(sums, 1, 1, 1, 1, 1, 1))
    assert found["bad~"] / found["odd"] == pytest.approx((0.1 / 0.25) / (0.9 / 0.75))
    assert found["g1"] == pytest.approx(found["odd"])


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shares", "error", "text"),
    [
        ({"badd": 0.1}, UnknownNode, "did you mean 'bad'"),
        ({"odd1": 0.1}, BelowTrainingClass, "inside the training class 'odd'"),
        ({"never": 0.1}, BelowTrainingClass, "no training class lies at or below 'never'"),
        ({"root": 0.5}, TaxonomyError, "the root, whose share is always 1"),
        ({"bad": 0.0}, TaxonomyError, "the share of 'bad' is 0.0; a number above 0 and below 1"),
        ({"bad": 1.0}, TaxonomyError, "above 0 and below 1"),
        ({"bad": 5}, TaxonomyError, "above 0 and below 1"),
        ({"bad": -0.1}, TaxonomyError, "above 0 and below 1"),
        ({"bad": float("nan")}, TaxonomyError, "above 0 and below 1"),
        ({"bad": True}, TaxonomyError, "above 0 and below 1"),
        ({"bad": "5%"}, TaxonomyError, "above 0 and below 1"),
        ({"bad": 0.05, "b1": 0.06}, TaxonomyError, "below 'bad' sum to 0.06 of its 0.05"),
        ({"b1": 0.06, "b2": 0.02, "bad": 0.07}, TaxonomyError, "below 'bad' sum to 0.08 of its 0.07"),
        ({"bad": 0.5, "b1": 0.3, "b2": 0.2}, TaxonomyError, "leave nothing for the rest"),
        ({"bad": 0.8, "b1": 0.1, "b2": 0.7}, TaxonomyError, "sum to 0.8 of its 0.8 and leave nothing"),
        ({"bad": 0.6, "good": 0.4}, TaxonomyError, "below 'root' sum to 1 of its 1 and leave nothing"),
        ({"bad": 0.6, "good": 0.5}, TaxonomyError, "below 'root' sum to 1.1 of its 1"),
        ({"good": 0.5, "g1": 0.3, "g2": 0.1}, TaxonomyError, "sum to 0.4 and are all there is of it; 0.5"),
        ({"bad": 0.3, "good": 0.3, "odd": 0.3}, TaxonomyError, "sum to 0.9 and are all there is of it; 1"),
    ],
)
def test_shares_that_no_clinic_can_have_are_refused(sums, source, shares, error, text):
    with pytest.raises(error, match=text):
        Prevalence(sums, source, shares)


def test_a_node_that_the_source_has_nothing_of_cannot_be_scaled(sums):
    with pytest.raises(TaxonomyError, match="has nothing of 'bad'"):
        Prevalence(sums, leaf(sums, 0, 0, 0, 1, 1, 1), {"bad": 0.1})


def test_other_training_classes_are_refused(sums, source):
    other = LeafProbabilities(("a", "b"), np.array([0.5, 0.5]))
    with pytest.raises(ContractError, match="source mixture"):
        Prevalence(sums, other, {})
    with pytest.raises(ContractError, match="other training classes than the prevalence"):
        Prevalence(sums, source, {"bad": 0.1}).apply(other)


# --- what it says of itself -----------------------------------------------------------------------------


def test_it_names_the_shares_in_the_order_of_the_tree(sums, source):
    shift = Prevalence(sums, source, {"odd": 0.125, "bad": 0.05}, source_given=True)
    assert shift.name == "prevalence"
    assert shift.provenance == {"shares": "bad=0.05, odd=0.125", "source": "caller"}
    assert shift.text.startswith("probabilities are for a prevalence of 5 % bad, 12.5 % odd;")
    again = pickle.loads(pickle.dumps(shift))  # noqa: S301
    assert again.mixture == shift.mixture


@dataclass(frozen=True)
class Told:
    name: str = "told"
    mixture: object = None
    answer: object = None

    def prior(self, patient):
        assert patient == PatientMetadata()
        return self.answer


def test_the_source_is_what_the_last_adjustment_or_the_fuser_says(sums, source):
    uniform = leaf(sums, 1, 1, 1, 1, 1, 1)
    skewed = leaf(sums, 1, 2, 3, 4, 5, 6)

    def asked(fuser, *adjustments):
        return source_mixture(GuardedFuser(fuser, sums.partition), adjustments)

    assert asked(Told(answer=uniform)) is uniform
    assert asked(Told(mixture=skewed, answer=uniform)) is skewed
    assert asked(Told(answer=uniform), Told(mixture=source), Told()) is source
    assert asked(Told(answer=uniform), Told(mixture=skewed), Told(mixture=source)) is source
    assert asked(Told(answer=uniform, mixture="first-level shift")) is uniform
    for silent in (Told(), object.__new__(type("Bare", (), {"name": "bare"}))):
        with pytest.raises(ContractError, match=r"does not say in which mixture .* source="):
            asked(silent)
    with pytest.raises(PluginContractError, match="did not answer with the training classes"):
        asked(Told(answer=np.ones(6) / 6))
