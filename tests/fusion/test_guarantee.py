"""Is no fuser worse than the better of the images and the prior, on lesions it never saw?

Judged by log loss over several seeds. The margin is three standard errors of the mean difference, over
lesions or over seeds, whichever are larger.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from core.case import PatientMetadata
from core.manifest import Bundle
from fusion.stack import learn_bases, mixed
from fusion.training import prepare

QUICK = ("bayes", "boosted", "boosted_monotone", "logistic", "pool")
NETS = ("joint_concat", "joint_metablock", "stack")
NOBODY = PatientMetadata()


def _swapped(cases, modalities, seed):
    """Each lesion with another's evidence in these modalities: noise that looks like the real thing."""
    rng = np.random.default_rng(seed)
    given = {m: [e for c in cases for e in c.evidence if e.modality == m] for m in modalities}

    def of(one):
        others = given.get(one.modality)
        return one if others is None else others[rng.integers(len(others))]

    return [replace(c, evidence=tuple(of(e) for e in c.evidence)) for c in cases]


CLINICS = {
    "metadata with signal": (True, ()),
    "metadata without signal": (False, ()),
    "one modality is noise": (True, ("clinical",)),
    "all modalities are noise": (False, ("clinical", "dermoscopy")),
}


def _drawn(clinic, kind, n, seed):
    signal, noise = CLINICS[kind]
    return _swapped(clinic.cases(n, seed, signal=signal), noise, seed)


def _learned(names, data):
    """The fusers by name; the bases of a stack are fitted once."""
    if "stack" not in names:
        return {name: import_module(f"fusion.{name}").learn(data) for name in names}
    bases = learn_bases(data)
    rest = {n: import_module(f"fusion.{n}").learn(data) for n in names if n not in (*bases, "stack")}
    return {name: {**bases, **rest, "stack": mixed(data, bases)}[name] for name in names}


def _judge(clinic, images, kind, names, seeds, fitted, judged):
    """Asserts that no fuser's mean loss is over that of the better one by three standard errors."""
    over: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for seed in range(seeds):
        data = prepare(_drawn(clinic, kind, fitted, 1000 + seed), clinic.cells, seed)
        unseen = _drawn(clinic, kind, judged, 2000 + seed)
        for name, one in _learned(names, data).items():
            fuser = import_module(f"fusion.{name}").load(clinic.cells, Bundle(*one.bundle, "d"))
            over[name].append(_over_the_better(fuser, images, unseen))
    for name, found in over.items():
        means = np.array([o.mean() for o in found])
        lesions = np.sqrt(sum(o.var() / o.size for o in found)) / seeds
        noise = max(lesions, means.std(ddof=1) / np.sqrt(seeds))
        assert means.mean() < 3 * noise, (name, means, noise)


def _over_the_better(fuser, images, cases):
    # One image without metadata is passed through, whatever a fit would say: there is no choice to judge.
    cases = [c for c in cases if len(c.evidence) > 1 or fuser.used(c.patient)]
    prior = fuser.prior(NOBODY)
    alone = _loss([images.fuse(c.evidence, NOBODY)[c.truth] for c in cases])
    ours = _loss([fuser.fuse(c.evidence, c.patient)[c.truth] for c in cases])
    start = alone if prior is None else _loss([prior[c.truth] for c in cases])
    return ours - min(alone, start, key=np.mean)


def _loss(said):
    return -np.log(np.array(said) + 1e-12)


@pytest.mark.parametrize("kind", CLINICS)
def test_no_fuser_is_worse_than_the_better_of_images_and_prior(kind, clinic, fuser_of):
    _judge(clinic, fuser_of("image_only"), kind, QUICK, seeds=3, fitted=150, judged=200)


@pytest.mark.parametrize("kind", ["metadata without signal", "all modalities are noise"])
def test_nor_is_a_net_or_a_stack(kind, clinic, fuser_of):
    _judge(clinic, fuser_of("image_only"), kind, NETS, seeds=2, fitted=120, judged=200)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CLINICS)
def test_nor_is_any_of_them_over_many_seeds(kind, clinic, fuser_of):
    _judge(clinic, fuser_of("image_only"), kind, (*QUICK, *NETS), seeds=6, fitted=300, judged=600)


def test_a_fuser_that_trusts_noise_would_be_caught(clinic, specs, fitted, fuser_of):
    """The judgement above has the power to see a fuser that was fitted where its evidence was still good."""
    manifest, files = fitted("logistic")
    fuser = specs["logistic"].load(clinic.cells, Bundle(manifest, files, "d"))
    unseen = _drawn(clinic, "all modalities are noise", 400, 2000)
    over = _over_the_better(fuser, fuser_of("image_only"), unseen)
    assert over.mean() > 3 * over.std() / np.sqrt(over.size)
