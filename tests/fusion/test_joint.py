"""Do the nets learn what they should, and does numpy answer as torch learned?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.case import PatientMetadata
from core.manifest import Bundle
from fusion.descent import Lessons, descend, torch
from fusion.features import Features
from fusion.nets import correction, shapes
from fusion.training import fit_fuser

KINDS = ("concat", "metablock")
FIELDS = ("age_years", "sex", "site")


@pytest.fixture(scope="module")
def features(clinic):
    return Features(clinic.cells, ("clinical", "dermoscopy"), FIELDS)


@pytest.fixture
def random_net(features):
    def of(kind, seed=0):
        rng = np.random.default_rng(seed)
        return {name: rng.normal(0, 0.3, shape) for name, shape in shapes(kind, features).items()}

    return of


def test_concat_is_a_perceptron_of_images_and_metadata(features, random_net):
    net, row = random_net("concat"), np.random.default_rng(1).normal(size=len(features.names))
    whole = np.concatenate([net["w1"], net["v1"]])
    hidden = np.maximum(row @ whole + net["b1"], 0)
    np.testing.assert_allclose(
        correction("concat", net, row[None])[0], hidden @ net["w2"] + net["b2"], atol=1e-12
    )


def test_metablock_is_the_gate_of_the_paper(features, random_net):
    """sigmoid(tanh(image * f(metadata)) + g(metadata)), feature by feature."""
    net, row = random_net("metablock"), np.random.default_rng(1).normal(size=len(features.names))
    image, known = row[: features.images], row[features.images :]
    v = np.maximum(image @ net["w1"] + net["b1"], 0)
    f, g = 1 + known @ net["f"] + net["bf"], known @ net["g"] + net["bg"]
    gated = 1 / (1 + np.exp(-(np.tanh(v * f) + g)))
    np.testing.assert_allclose(
        correction("metablock", net, row[None])[0], gated @ net["w2"] + net["b2"], atol=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
def test_descent_learns_a_rule_and_numpy_answers_as_torch_did(kind, features):
    """The class is that of the highest entry; chance would be right once in nine."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(1500, len(features.names)))
    truth = table[:, :9].argmax(axis=1)
    lessons = Lessons(table, np.zeros((1500, 9)), truth, np.ones(1500))
    steps = descend(kind, shapes(kind, features), np.eye(9), lessons, 25, 0, torch("joint"))
    right = [(correction(kind, net, table).argmax(axis=1) == truth).mean() for net in steps]
    assert len(steps) == 25
    assert right[-1] > {"concat": 0.6, "metablock": 0.4}[kind]
    assert right[-1] > right[0] + 0.1
    for name, shape in shapes(kind, features).items():
        assert name == "target" or steps[-1][name].shape == shape


@pytest.mark.parametrize("kind", KINDS)
def test_descent_gives_the_same_bits_and_leaves_the_threads_of_torch_alone(kind, features):
    library = torch("joint")
    rng = np.random.default_rng(0)
    lessons = Lessons(
        rng.normal(size=(300, len(features.names))), np.zeros((300, 9)), np.arange(300) % 9, np.ones(300)
    )
    before, state = library.get_num_threads(), library.random.get_rng_state()
    runs = [descend(kind, shapes(kind, features), np.eye(9), lessons, 2, s, library)[-1] for s in (3, 3, 4)]
    assert library.get_num_threads() == before
    assert library.equal(library.random.get_rng_state(), state)
    assert all(runs[0][name].tobytes() == runs[1][name].tobytes() for name in runs[0])
    assert any(runs[0][name].tobytes() != runs[2][name].tobytes() for name in runs[0])


def test_lessons_without_weight_teach_nothing(features):
    rng = np.random.default_rng(0)
    table, truth = rng.normal(size=(400, len(features.names))), np.arange(400) % 2
    weight = np.where(truth == 1, 2.0, 0.0)
    lessons = Lessons(table, np.zeros((400, 9)), truth, weight)
    net = descend("concat", shapes("concat", features), np.eye(9), lessons, 20, 0, torch("joint"))[-1]
    assert (correction("concat", net, table).argmax(axis=1) == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_net_finds_what_no_sum_of_fields_can_say(kind, clinic, specs):
    """Malignant where an old man or a young woman is seen: neither age nor sex says anything by itself."""

    def crossed(case, k):
        malignant, male = case.truth.startswith("malignant"), k % 2 == 0
        patient = PatientMetadata(
            age_years=75.0 if malignant == male else 25.0, sex="male" if male else "female"
        )
        return replace(
            case, fold=k // 2 % 2, evidence=(clinic.evidence("dermoscopy", np.ones(9)),), patient=patient
        )

    cases = [crossed(c, k) for k, c in enumerate(clinic.cases(700, 21))]
    manifest, files = fit_fuser(specs[f"joint_{kind}"], cases, clinic.cells, 0)
    fuser = specs[f"joint_{kind}"].load(clinic.cells, Bundle(manifest, files, "d"))
    malignant = np.array([i.startswith("malignant") for i in clinic.cells.ids])
    said = [fuser.fuse(c.evidence, c.patient).values[malignant].sum() > 0.5 for c in cases]
    right = np.mean([s == c.truth.startswith("malignant") for s, c in zip(said, cases, strict=True)])
    assert right > 0.85
    assert manifest["epochs"] > 1
