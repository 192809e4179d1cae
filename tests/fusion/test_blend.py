"""Do answers enter a mixture by what they are worth, and images only where they are better?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.case import PatientMetadata
from fusion.blend import convex_weights, own_weight

SOMEBODY = PatientMetadata(age_years=62, sex="female", site="back")


def test_the_weights_of_a_mixture_are_found_again():
    rng = np.random.default_rng(0)
    said = rng.dirichlet(np.ones(6) / 2, size=(20000, 3))  # rows x answers x classes
    mixed = np.einsum("rak,a->rk", said, [0.6, 0.1, 0.3])
    truth = (rng.random((20000, 1)) > mixed.cumsum(axis=1)).sum(axis=1).clip(max=5)
    found = convex_weights(said[np.arange(20000), :, truth], np.ones(20000))
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found, [0.6, 0.1, 0.3], atol=0.04)


def test_no_other_convex_weights_have_less_loss():
    rng = np.random.default_rng(1)
    said, weight = rng.random((300, 4)), rng.random(300)
    found = convex_weights(said, weight)
    best = -(weight @ np.log(said @ found))
    for other in rng.dirichlet(np.ones(4) / 2, 2000):
        assert best <= -(weight @ np.log(said @ other)) + 0.05


def test_an_answer_that_is_worse_everywhere_gets_nothing_and_zeros_are_survived():
    said = np.stack([np.full(50, 0.9), np.full(50, 0.3), np.zeros(50)], axis=1)
    np.testing.assert_allclose(convex_weights(said, np.ones(50)), [1, 0, 0])


def test_a_row_counts_by_its_weight():
    said = np.array([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(convex_weights(said, np.array([3.0, 1.0])), [0.75, 0.25], atol=1e-4)


def test_the_images_get_a_share_only_beyond_noise():
    rng = np.random.default_rng(2)
    good, bad = rng.uniform(0.5, 0.9, 400), rng.uniform(0.05, 0.3, 400)
    lesions = [f"L{i}" for i in range(400)]
    assert own_weight(good, bad, lesions, np.ones(400)) == 1
    assert own_weight(bad, good, lesions, np.ones(400)) == 0
    near = good * rng.uniform(0.99, 1.01, 400)
    assert own_weight(good, near, lesions, np.ones(400)) == 1
    # Where either knows what the other does not, both are needed.
    either = np.where(np.arange(400) % 4 == 0, 0.01, 0.9), np.where(np.arange(400) % 4 == 0, 0.9, 0.01)
    assert own_weight(*either, lesions, np.ones(400)) == pytest.approx(0.75, abs=0.02)


def test_many_rows_of_few_lesions_are_no_proof():
    own, images = np.array([0.5] * 60), np.array([0.9] * 45 + [0.2] * 15)
    apart, together = [f"L{i}" for i in range(60)], [f"L{i // 20}" for i in range(60)]
    assert own_weight(own, images, apart, np.ones(60)) < 1
    assert own_weight(own, images, together, np.ones(60)) == 1


@pytest.mark.parametrize("name", ["bayes", "boosted", "joint_concat", "logistic", "pool"])
def test_an_answer_is_the_mixture_that_the_manifest_states(name, specs, clinic, bundle_of, fuser_of, cases):
    images = fuser_of("image_only")
    own, half, none = (specs[name].load(clinic.cells, bundle_of(name, own_weight=w)) for w in (1.0, 0.5, 0.0))
    for case in [c for c in cases if len(c.evidence) == 2][:20]:
        said, pure = images.fuse(case.evidence, case.patient), own.fuse(case.evidence, case.patient)
        mixed = half.fuse(case.evidence, case.patient)
        np.testing.assert_allclose(mixed.values, (said.values + pure.values) / 2, atol=1e-12)
        assert none.fuse(case.evidence, case.patient) == said


def test_at_own_weight_zero_no_metadata_is_used(specs, clinic, bundle_of, cases):
    fuser = specs["bayes"].load(clinic.cells, bundle_of("bayes", own_weight=0.0))
    assert fuser.used(SOMEBODY) == ()
    one = cases[0].evidence[:1]
    assert fuser.fuse(one, SOMEBODY) is one[0].probabilities


def test_a_fit_that_went_wrong_falls_back_on_the_images(specs, clinic):
    """Metadata that betray the truth in the odd folds and lie in the even ones cannot hold cross-fitted."""
    cases = clinic.cases(200, 31, signal=False)
    ids = clinic.cells.ids
    betrayed = [
        replace(
            c,
            fold=i % 2,
            patient=PatientMetadata(age_years=10.0 * ((ids.index(c.truth) + 4 * (i % 2)) % 9)),
        )
        for i, c in enumerate(cases)
    ]
    manifest, _ = specs["bayes"].fit(betrayed, clinic.cells, 0)
    assert manifest["metadata_weight"] < 0.3 or manifest["own_weight"] < 1
