"""Do contributions say what moved an answer, and sum to it?"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass, replace

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.case import Case, ImageInput, PatientMetadata
from core.contributions import FLOOR, contributions
from core.diagnosis import RESEARCH_USE, schema
from core.errors import BelowTrainingClass, CaseError, ContractError, TaxonomyError, UnknownNode
from core.gathering import Gathered
from core.partition import partition_tree
from core.pipeline import Pipeline
from core.probabilities import LeafProbabilities, TreeProbabilities, mean
from core.protocols import Evidence, ImageResult
from core.taxonomy import Taxonomy
from core.tree import TreeSums

KNOWN = PatientMetadata(age_years=61.5, sex="female", site="back")


@dataclass(frozen=True)
class Pool:
    """Log-linear: the prior, a log ratio a modality, an effect a field. Between two classes all adds up."""

    classes: tuple[str, ...]
    shares: tuple[float, ...]
    effects: tuple[tuple[str, float], ...] = (("age_years", 0.7), ("sex", -0.2))
    name: str = "pool"

    @property
    def provenance(self):
        return {}

    def used(self, patient):
        return tuple(f for f in patient.known() if f in dict(self.effects))

    def prior(self, patient):
        return self.answer((), patient)

    def fuse(self, evidence, patient):
        assert evidence
        return self.answer(evidence, patient)

    def answer(self, evidence, patient):
        logits = np.log(self.shares)
        for one in evidence:
            logits = logits + np.log(one.probabilities.values) - np.log(one.prior.values)
        field = sum(dict(self.effects)[f] for f in self.used(patient))
        logits[0] += field
        return LeafProbabilities.from_logits(self.classes, logits)


@dataclass(frozen=True)
class Average(Pool):
    """Arithmetic mean, then a tilt that grows with what is known: nothing adds up by itself. No prior."""

    name: str = "average"
    prior = None

    def answer(self, evidence, patient):
        found = mean(e.probabilities for e in evidence).values
        tilt = np.linspace(1, 2 + len(self.used(patient)) * len(evidence), len(found))
        return LeafProbabilities.from_weights(self.classes, found**1.5 * tilt)


@pytest.fixture(scope="module")
def two():
    taxonomy = Taxonomy("two", {"root": None, "bad": "root", "good": "root", "fine": "good"})
    return TreeSums(partition_tree(taxonomy, {"bad": 3, "good": 3}, max_size=3))


@pytest.fixture(scope="module")
def sums(small):
    return TreeSums(small)


def evidence(classes, modality, *rows, prior=None, kept=True, numbers=()):
    each = tuple(LeafProbabilities.from_weights(classes, row) for row in rows)
    given = LeafProbabilities.from_weights(classes, prior or np.ones(len(classes)))
    return Evidence(modality, mean(each), given, len(each), each if kept else (), numbers)


def logit(p):
    return math.log(p) - math.log(1 - p)


def total(found):
    return math.fsum([found.prior_log_odds, *found.by_modality.values(), *found.by_field.values()])


# --- against what is known otherwise -------------------------------------------------------------------


def test_where_all_adds_up_every_contribution_is_its_own_term(two):
    classes = two.partition.ids
    fuser = Pool(classes, (0.2, 0.8))
    photo = evidence(classes, "photo", [0.9, 0.1], prior=[0.5, 0.5])
    scope = evidence(classes, "scope", [0.3, 0.7], prior=[0.4, 0.6])
    found = contributions(fuser, [scope, photo], KNOWN, "bad", two)
    assert found.prior_log_odds == pytest.approx(logit(0.2))
    assert found.by_modality == pytest.approx({"photo": logit(0.9), "scope": logit(0.3) - logit(0.4)})
    assert found.by_field == pytest.approx({"age_years": 0.7, "sex": -0.2})
    assert found.by_image == pytest.approx(
        {("photo", 1): found.by_modality["photo"], ("scope", 1): found.by_modality["scope"]}
    )
    assert (found.prior_from, found.exact, found.node) == ("fuser", True, "bad")


def test_the_opposite_node_gets_the_opposite_contributions(two):
    classes = two.partition.ids
    given = (Pool(classes, (0.2, 0.8)), [evidence(classes, "photo", [0.9, 0.1], [0.6, 0.4])], KNOWN)
    bad, good = (contributions(*given, node, two) for node in ("bad", "good"))
    assert good.by_image == pytest.approx({k: -v for k, v in bad.by_image.items()})
    assert good.by_field == pytest.approx({k: -v for k, v in bad.by_field.items()})


def owen(fuser, parts, patient, node, sums):
    """The definition: the mean over orders in which the images of a modality stand together."""
    unions = [[(e.modality, k) for k in range(e.images)] for e in parts] + [[f] for f in fuser.used(patient)]
    players = [p for union in unions for p in union]

    def value(inside):
        seen = []
        for e in parts:
            kept = [p for k, p in enumerate(e.each) if (e.modality, k) in inside]
            seen += [replace(e, probabilities=mean(kept), images=len(kept))] if kept else []
        hidden = [f for f in fuser.used(patient) if f not in inside]
        leaf = mean(e.prior for e in parts)
        if seen:
            leaf = fuser.fuse(seen, patient.model_copy(update=dict.fromkeys(hidden)))
        return logit(TreeProbabilities(sums, leaf)[node])

    found, orders = dict.fromkeys(players, 0.0), 0
    for order in itertools.permutations(unions):
        for inner in itertools.product(*(itertools.permutations(u) for u in order)):
            before: list = []
            for player in itertools.chain(*inner):
                found[player] += value({*before, player}) - value(set(before))
                before.append(player)
            orders += 1
    return {p: v / orders for p, v in found.items()}


def test_images_get_owen_values_and_modalities_and_fields_shapley_values(small, sums):
    rng = np.random.default_rng(5)
    fuser = Average(small.ids, ())
    parts = [evidence(small.ids, m, *rng.dirichlet([0.6] * 4, n)) for m, n in (("photo", 3), ("scope", 2))]
    found = contributions(fuser, parts, KNOWN, "bad", sums)
    want = owen(fuser, parts, KNOWN, "bad", sums)
    assert found.by_field == pytest.approx({f: want[f] for f in ("age_years", "sex")}, abs=1e-9)
    images = {(m, k - 1): v for (m, k), v in found.by_image.items()}
    assert images == pytest.approx({p: v for p, v in want.items() if isinstance(p, tuple)}, abs=1e-9)
    for modality, value in found.by_modality.items():
        assert value == pytest.approx(sum(v for (m, _), v in found.by_image.items() if m == modality))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    counts=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    fuser=st.sampled_from([Pool, Average]),
    node=st.sampled_from(["good", "bad", "bad1", "bad2"]),
)
def test_they_sum_to_the_answer_in_any_order_of_the_evidence(small, sums, seed, counts, fuser, node):
    rng = np.random.default_rng(seed)
    parts = [evidence(small.ids, f"m{k}", *rng.dirichlet([0.1] * 4, n) + 1e-9) for k, n in enumerate(counts)]
    asked = fuser(small.ids, tuple(rng.dirichlet([1] * 4)))
    found = contributions(asked, parts, KNOWN, node, sums)
    p = TreeProbabilities(sums, asked.fuse(parts, KNOWN))[node]
    assert found.log_odds == pytest.approx(math.log(max(p, FLOOR)) - math.log(max(1 - p, FLOOR)))
    assert total(found) == pytest.approx(found.log_odds, abs=1e-9)
    for modality, value in found.by_modality.items():
        assert math.fsum(v for (m, _), v in found.by_image.items() if m == modality) == pytest.approx(
            value, abs=1e-9
        )
    assert contributions(asked, parts[::-1], KNOWN, node, sums) == found


# --- what there is to contribute -----------------------------------------------------------------------


def test_without_a_prior_of_the_fuser_the_training_priors_answer_and_fields_need_an_image(small, sums):
    scope = evidence(small.ids, "scope", [1, 2, 3, 4], prior=[7, 1, 1, 1])
    photo = evidence(small.ids, "photo", [4, 3, 2, 1], prior=[1, 1, 1, 7])
    found = contributions(Average(small.ids, ()), [scope, photo], KNOWN, "good", sums)
    assert found.prior_log_odds == pytest.approx(logit(0.4))
    assert found.prior_from == "training priors"
    alone = contributions(Average(small.ids, ()), [scope], PatientMetadata(sex="male"), "good", sums)
    both = Average(small.ids, ()).fuse([scope], PatientMetadata(sex="male"))
    bare = Average(small.ids, ()).fuse([scope], PatientMetadata())
    gain = logit(TreeProbabilities(sums, both)["good"]) - logit(TreeProbabilities(sums, bare)["good"])
    assert alone.by_field["sex"] == pytest.approx(gain / 2)


def test_a_fuser_whose_prior_is_no_answer_is_one_without(small, sums):
    class Silent(Average):
        def prior(self, patient):
            return None

    scope = evidence(small.ids, "scope", [1, 2, 3, 4])
    silent = contributions(Silent(small.ids, ()), [scope], KNOWN, "bad", sums)
    assert silent == contributions(Average(small.ids, ()), [scope], KNOWN, "bad", sums)


def test_only_fields_that_are_known_and_used_have_a_contribution(small, sums):
    scope = evidence(small.ids, "scope", [1, 2, 3, 4])
    fuser = Pool(small.ids, (0.25,) * 4)
    assert list(contributions(fuser, [scope], KNOWN, "bad", sums).by_field) == ["age_years", "sex"]
    some = PatientMetadata(sex="male", site="back")
    assert list(contributions(fuser, [scope], some, "bad", sums).by_field) == ["sex"]
    assert contributions(fuser, [scope], PatientMetadata(), "bad", sums).by_field == {}


def test_images_that_were_not_kept_have_no_contribution_of_their_own(small, sums):
    rows = ([1, 2, 3, 4], [5, 3, 2, 1])
    fuser = Pool(small.ids, (0.25,) * 4)
    lost = [
        evidence(small.ids, "scope", *rows, kept=False),
        evidence(small.ids, "photo", rows[0], kept=False),
    ]
    found = contributions(fuser, lost, KNOWN, "bad", sums)
    assert list(found.by_image) == [("photo", 1)]
    assert found.by_modality["scope"] != 0
    assert total(found) == pytest.approx(found.log_odds, abs=1e-9)


def test_certainty_is_finite(two):
    classes = two.partition.ids
    sure = [evidence(classes, "photo", [1, 0], [0, 1]), evidence(classes, "scope", [1, 0])]
    found = contributions(Average(classes, ()), sure, PatientMetadata(), "bad", two)
    assert total(found) == pytest.approx(found.log_odds, abs=1e-9)
    certain = contributions(Average(classes, ()), sure[1:], PatientMetadata(), "bad", two)
    assert certain.log_odds == pytest.approx(-math.log(FLOOR))
    never = contributions(Average(classes, ()), sure[1:], PatientMetadata(), "good", two)
    assert never.log_odds == pytest.approx(math.log(FLOOR))


def test_many_images_are_shared_by_random_orders_and_said_to_be(small, sums):
    rng = np.random.default_rng(1)
    rows = rng.dirichlet([0.5] * 4, 12)
    parts = [evidence(small.ids, "photo", *rows), evidence(small.ids, "scope", rows[0])]
    fuser, patient = Average(small.ids, ()), PatientMetadata()
    found = contributions(fuser, parts, patient, "bad", sums)
    assert not found.exact
    assert "from random orders" in str(found)
    assert total(found) == pytest.approx(found.log_odds, abs=1e-9)
    assert sum(found.by_image[("photo", k)] for k in range(1, 13)) == pytest.approx(
        found.by_modality["photo"], abs=1e-9
    )
    assert found == contributions(fuser, parts, patient, "bad", sums)
    other = contributions(fuser, parts, patient, "bad", sums, seed=1)
    assert other.by_modality == found.by_modality
    assert other.by_image != found.by_image
    assert other.by_image == pytest.approx(found.by_image, abs=0.2)


def test_the_fuser_is_asked_once_for_every_part_of_what_is_known(small, sums):
    asked = []

    class Counting(Pool):
        def fuse(self, evidence, patient):
            asked.append((tuple((e.modality, e.images) for e in evidence), patient))
            return super().fuse(evidence, patient)

    parts = [evidence(small.ids, m, [1, 2, 3, 4]) for m in ("photo", "scope", "echo")]
    contributions(Counting(small.ids, (0.25,) * 4), parts, KNOWN, "bad", sums)
    assert len(asked) == len(set(asked)) == (2**3 - 1) * 2**2


def test_a_part_of_the_images_is_evidence_of_so_many_images(small, sums):
    seen = set()

    class Seeing(Pool):
        def fuse(self, evidence, patient):
            seen.update((e.images, len(e.each), e.probabilities == mean(e.each)) for e in evidence)
            return super().fuse(evidence, patient)

    three = evidence(small.ids, "photo", [1, 2, 3, 4], [4, 3, 2, 1], [1, 1, 1, 9])
    contributions(Seeing(small.ids, (0.25,) * 4), [three], KNOWN, "bad", sums)
    assert seen == {(1, 1, True), (2, 2, True), (3, 3, True)}


# --- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "error"), [("root", TaxonomyError), ("fine", BelowTrainingClass), ("goodd", UnknownNode)]
)
def test_a_node_without_log_odds_is_refused_before_the_fuser_is_asked(two, node, error):
    classes = two.partition.ids
    with pytest.raises(error, match=node):
        contributions(None, [evidence(classes, "photo", [1, 1])], KNOWN, node, two)


def test_evidence_that_does_not_fit_is_refused(small, sums):
    fuser = Pool(small.ids, (0.25,) * 4)
    one = evidence(small.ids, "photo", [1, 2, 3, 4])
    with pytest.raises(CaseError, match="no image"):
        contributions(fuser, [], KNOWN, "bad", sums)
    with pytest.raises(ContractError, match="'photo' gives evidence twice"):
        contributions(fuser, [one, one], KNOWN, "bad", sums)
    with pytest.raises(ContractError, match="counts 2 images and keeps 1"):
        contributions(fuser, [replace(one, images=2)], KNOWN, "bad", sums)
    with pytest.raises(ContractError, match="and 2 numbers"):
        contributions(fuser, [replace(one, numbers=(1, 2))], KNOWN, "bad", sums)


# --- as it is shown ------------------------------------------------------------------------------------


def test_the_table_is_aligned_and_says_what_it_is_for(two):
    classes = two.partition.ids
    photo = evidence(classes, "photo", [0.9, 0.1], [0.7, 0.3], numbers=(1, 3))
    scope = evidence(classes, "scope", [0.3, 0.7])
    found = contributions(Pool(classes, (0.2, 0.8)), [photo, scope], KNOWN, "bad", two)
    assert str(found).splitlines() == [
        "log-odds of bad",
        "  before any image (fuser)    -1.39",
        "  photo                       +1.39",
        "    image 1                   +1.37",
        "    image 3                   +0.02",
        "  scope                       -0.85",
        "  age_years                   +0.70",
        "  sex                         -0.20",
        "  answer                      -0.35",
        RESEARCH_USE,
    ]


def test_what_is_sent_is_json_and_nothing_of_the_patient(two):
    classes = two.partition.ids
    photo = evidence(classes, "photo", [0.9, 0.1], [0.7, 0.3])
    found = contributions(Pool(classes, (0.2, 0.8)), [photo], KNOWN, "bad", two)
    sent = found.to_dict()
    assert json.loads(json.dumps(sent, allow_nan=False)) == sent
    jsonschema.validate(sent, schema()["properties"]["contributions"]["items"])
    assert [i["image"] for i in sent["images"]] == [1, 2]
    assert not [v for v in ("61.5", "female", "back") if v in f"{sent} {found}"]


# --- through the pipeline ------------------------------------------------------------------------------


@dataclass
class Model:
    modality: str
    classes: tuple[str, ...]

    @property
    def prior(self):
        return LeafProbabilities.from_weights(self.classes, np.ones(len(self.classes)))

    @property
    def provenance(self):
        return {"model": "tiny"}

    def predict(self, images):
        rows = [np.frombuffer(i.data[:4], np.uint8) + 1.0 for i in images]
        return [
            ImageResult(
                LeafProbabilities.from_weights(self.classes, r), (), ("blurred",) * (i.data[:1] == b"X")
            )
            for r, i in zip(rows, images, strict=True)
        ]


@dataclass(frozen=True)
class Squared:
    name: str = "squared"

    @property
    def provenance(self):
        return {}

    def apply(self, leaf):
        return LeafProbabilities.from_weights(leaf.classes, leaf.values**2)


def case(*images, case_id="case"):
    found = tuple(ImageInput(modality=m, data=d) for m, d in images)
    return Case(id=case_id, images=found, patient=KNOWN)


@pytest.fixture
def pipeline(small):
    models = {m: (lambda m=m: Model(m, small.ids)) for m in ("photo", "scope")}
    return Pipeline(small, models, Pool(small.ids, (0.1, 0.2, 0.3, 0.4)), abstain_below=0.0)


THREE = (("photo", b"abcd"), ("photo", b"zaza"), ("scope", b"4321"))


@pytest.mark.parametrize("node", ["good", "bad", "bad2"])
def test_they_explain_the_answer_that_was_given_adjusted_or_not(pipeline, node):
    for one in (pipeline, pipeline.with_calibration(Squared()), pipeline.with_prevalence({"bad": 0.02})):
        asked = case(*THREE)
        answer = one.diagnose(asked)
        found = one.contributions(asked, answer, node)
        assert found.log_odds == pytest.approx(logit(answer.tree[node]), abs=1e-9)
        assert total(found) == pytest.approx(found.log_odds, abs=1e-9)
        assert list(found.by_image) == [("photo", 1), ("photo", 2), ("scope", 1)]
        assert found == one.contributions(asked, one.gather(asked), node)


def test_before_any_image_the_log_odds_are_those_of_the_clinic(pipeline):
    asked = case(*THREE)
    nobody = asked.model_copy(update={"patient": PatientMetadata()})
    clinic = pipeline.with_prevalence({"bad": 0.02})
    found = clinic.contributions(nobody, clinic.diagnose(nobody), "bad")
    assert found.prior_log_odds == pytest.approx(logit(0.02))


def test_an_image_keeps_its_number_where_one_before_it_was_left_out(pipeline):
    asked = case(("photo", b"Xaaa"), ("photo", b"abcd"), ("photo", b"zaza"))
    answer = pipeline.diagnose(asked)
    assert answer.notices[0].text == "photo image 1 was left out: blurred"
    assert list(pipeline.contributions(asked, answer, "bad").by_image) == [("photo", 2), ("photo", 3)]


def test_the_fallback_explains_where_it_answered(pipeline, small):
    class Fitted(Pool):
        modalities = ("photo",)

    both = replace(pipeline, fuser=Fitted(small.ids, (0.25,) * 4), fallback=Average(small.ids, ()))
    asked = case(*THREE)
    answer = both.diagnose(asked)
    assert answer.fuser == "average"
    found = both.contributions(asked, answer, "bad")
    assert found.log_odds == pytest.approx(logit(answer.tree["bad"]), abs=1e-9)
    assert found.prior_from == "training priors"


def test_the_answer_to_another_case_and_one_without_an_image_are_refused(pipeline):
    asked = case(*THREE)
    answer = pipeline.diagnose(asked)
    with pytest.raises(CaseError, match="belongs to another case"):
        pipeline.contributions(case(*THREE, case_id="other"), answer, "bad")
    blurred = case(("photo", b"Xaaa"))
    with pytest.raises(CaseError, match="no image of the case could be judged"):
        pipeline.contributions(blurred, pipeline.diagnose(blurred), "bad")
    with pytest.raises(CaseError, match="no image of the case could be judged"):
        pipeline.contributions(blurred, Gathered(()), "bad")
