"""Are the weights of a pool those that the evidence deserves, one alone and another among others?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.case import PatientMetadata
from core.manifest import Bundle
from fusion.calibration import loss
from fusion.opinion import ALONE, AMONG, WEIGHT_BOUNDS, fit_weights, named, place, places, pooled, terms
from fusion.ratio import Ratios

MODALITIES = ("clinical", "dermoscopy")


def test_a_modality_has_one_place_alone_and_another_among_others():
    found = {place(MODALITIES, m, n) for m in MODALITIES for n in (1, 2)}
    assert found == set(range(places(MODALITIES)))
    assert place(MODALITIES, "clinical", 2) == place(MODALITIES, "clinical", 3)


def test_the_sum_of_terms_is_the_pool_of_one_case(clinic):
    rng, ratios = np.random.default_rng(0), Ratios(clinic.cells)
    weights = [0.2, 0.4, 0.6, 0.8]
    both = [clinic.evidence(m, rng.dirichlet(np.ones(9))) for m in MODALITIES]
    rows = [both, both[:1], both[1:]]
    found = np.einsum("rtk,t->rk", terms(ratios, MODALITIES, rows, 9), weights)
    for row, total in zip(rows, found, strict=True):
        one = pooled(named(MODALITIES, weights), {e.modality: ratios.log(e) for e in row})
        np.testing.assert_allclose(total, one, atol=1e-12)
    np.testing.assert_allclose(found[1], 0.2 * ratios.log(both[0]))


def test_nothing_is_pooled_from_no_evidence_and_a_stranger_has_weight_one():
    assert pooled({}, {}) == 0
    np.testing.assert_array_equal(pooled({}, {"oct": np.arange(3.0)}), np.arange(3.0))


def test_weights_that_made_the_truths_are_found_again():
    rng = np.random.default_rng(1)
    offset, parts = rng.normal(size=(6000, 5)), rng.normal(size=(6000, 2, 5))
    logits = offset + np.einsum("rtk,t->rk", parts, [0.4, 1.5])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(5, p=row) for row in p])
    found = fit_weights(offset, parts, truth, np.ones(6000))
    np.testing.assert_allclose(found, [0.4, 1.5], atol=0.1)


def test_weights_stay_within_their_bounds_and_what_is_never_given_keeps_weight_one():
    rng = np.random.default_rng(2)
    parts = np.stack([np.eye(4)[np.arange(400) % 4], -np.eye(4)[np.arange(400) % 4], np.zeros((400, 4))], 1)
    found = fit_weights(rng.normal(size=(400, 4)), parts, np.arange(400) % 4, np.ones(400))
    assert found[0] == WEIGHT_BOUNDS[1]
    assert found[1] == WEIGHT_BOUNDS[0]
    assert found[2] == 1
    np.testing.assert_array_equal(fit_weights(np.empty((0, 4)), np.empty((0, 3, 4)), found[:0], found[:0]), 1)


@pytest.fixture(scope="module")
def echo(cases):
    """Two modalities that say the very same thing."""

    def doubled(case):
        said = case.evidence[-1]
        return replace(case, evidence=tuple(replace(said, modality=m) for m in MODALITIES))

    return [doubled(c) for c in cases]


@pytest.mark.parametrize("name", ["bayes", "boosted", "joint_concat"])
def test_a_modality_counts_for_half_beside_one_that_repeats_it(name, specs, clinic, echo):
    weights = specs[name].fit(echo[:200], clinic.cells, 0)[0]["weights"]
    for one in weights.values():
        assert one[AMONG] == pytest.approx(one[ALONE] / 2, rel=0.35)


def test_a_pool_counts_once_what_plain_products_count_twice(specs, clinic, echo):
    manifest, files = specs["pool"].fit(echo[:200], clinic.cells, 0)
    assert set(manifest["weights"]) == set(MODALITIES)
    scorer = specs["pool"].load(clinic.cells, Bundle(manifest, files, "d")).scorer
    ratios, unseen = Ratios(clinic.cells), echo[200:]
    truth = np.array([clinic.cells.ids.index(c.truth) for c in unseen])
    learned = np.stack([scorer.logits(c.evidence, PatientMetadata()) for c in unseen])
    plain = np.stack([scorer.target + sum(ratios.log(e) for e in c.evidence) for c in unseen])
    assert loss(learned, truth, np.ones(len(truth))) < loss(plain, truth, np.ones(len(truth))) - 0.02
