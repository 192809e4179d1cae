"""What does a fuser promise? `core.Fuser`, on every subset of a model set's modalities and of metadata."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import combinations

import numpy as np

from core.case import PatientMetadata
from core.partition import Partition
from core.probabilities import LeafProbabilities
from core.protocols import Evidence, Fuser
from plugins.assembly import load_fuser, usable_fusers
from plugins.conformance.finding import Rule, Unanswerable, expect
from plugins.conformance.sending import sent
from plugins.model_set import ModelSet
from plugins.registry import Registry

_NONE = PatientMetadata()
_ALL = PatientMetadata(age_years=62, sex="female", site="back")


class FuserUnderTest:
    """One fuser of a registry and the model set that it is tried with."""

    def __init__(self, name: str, registry: Registry, models: ModelSet) -> None:
        self.name, self.registry, self.models = name, registry, models

    @property
    def partition(self) -> Partition:
        """The training classes of the model set."""
        return self.models.partition

    @property
    def usable(self) -> bool:
        """Whether it is fitted, or needs no fitting."""
        return self.name in usable_fusers(self.registry, self.models)

    def load(self) -> Fuser:
        """The fuser, loaded anew."""
        return load_fuser(self.registry, self.models, self.name)

    @cached_property
    def fuser(self) -> Fuser:
        """The fuser. Raises `Unanswerable` where it cannot be had, which another promise reports."""
        if not self.usable:
            raise Unanswerable("it is not fitted")
        try:
            return self.load()
        except Exception as error:
            raise Unanswerable("it does not load") from error

    @cached_property
    def evidence(self) -> list[Evidence]:
        """Drawn evidence of every modality of the set, with the true priors."""
        classes, found = self.partition.ids, []
        for seed, modality in enumerate(sorted(self.models.modalities)):
            bundle = self.models.modality_bundle(modality)
            prior = bundle.manifest["prior"] if bundle else {}
            values = np.random.default_rng(seed).dirichlet(np.ones(len(classes)))
            given = LeafProbabilities.from_weights(classes, [float(prior.get(c, 0)) for c in classes])
            found.append(Evidence(modality, LeafProbabilities.from_weights(classes, values), given, 1))
        return found


def _fitted(it: FuserUnderTest) -> None:
    expect(it.usable, "the model set holds no fitted one")


def _loads(it: FuserUnderTest) -> None:
    if not it.usable:
        raise Unanswerable("it is not fitted")
    it.load()


def _name(it: FuserUnderTest) -> None:
    expect(it.fuser.name == it.name, f"it says {it.fuser.name!r}")


def _provenance(it: FuserUnderTest) -> None:
    expect(all(isinstance(text, str) for pair in it.fuser.provenance.items() for text in pair))


def _subsets(it: FuserUnderTest) -> None:
    full = {"age_years": 62.0, "sex": "female", "site": "back"}
    subsets: list[Sequence[Evidence]] = [
        s for n in range(1, len(it.evidence) + 1) for s in combinations(it.evidence, n)
    ]
    for n in range(len(full) + 1):
        for fields in combinations(full, n):
            patient = PatientMetadata(**{f: full[f] for f in fields})  # type: ignore[arg-type]
            for subset in subsets:
                expect(it.fuser.fuse(subset, patient).classes == it.partition.ids)


def _order(it: FuserUnderTest) -> None:
    expect(it.fuser.fuse(it.evidence, _ALL) == it.fuser.fuse(it.evidence[::-1], _ALL))


def _image_only(it: FuserUnderTest) -> None:
    expect(all(it.fuser.fuse([e], _NONE) == e.probabilities for e in it.evidence))


def _unknown(it: FuserUnderTest) -> None:
    expect(it.fuser.used(_NONE) == ())


def _anew(it: FuserUnderTest) -> None:
    try:
        answer = it.fuser.fuse(it.evidence, _ALL)
    except Exception as error:
        raise Unanswerable("it does not answer") from error
    expect(it.load().fuse(it.evidence, _ALL) == answer)


def _workers(it: FuserUnderTest) -> None:
    try:
        answer = it.fuser.fuse(it.evidence, _ALL)
    except Exception as error:
        raise Unanswerable("it does not answer") from error
    expect(sent(answer) == answer)


RULES: tuple[Rule[FuserUnderTest], ...] = (
    Rule("fitted", "it is fitted", _fitted),
    Rule("loads", "it loads", _loads),
    Rule("name", "it bears its own name", _name),
    Rule("provenance", "its provenance is text", _provenance),
    Rule("subsets", "every subset of inputs has an answer", _subsets),
    Rule("order", "the order of evidence does not matter", _order),
    Rule("image_only", "one modality and no metadata is image-only, to the bit", _image_only),
    Rule("metadata", "it uses no metadata that is not known", _unknown),
    Rule("anew", "loaded anew it gives the same bits", _anew),
    Rule("workers", "its answer goes from process to process", _workers),
)
"""Every promise of a fuser. A new one here reaches every plugin."""
