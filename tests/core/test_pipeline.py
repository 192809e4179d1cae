"""Does a case become the same diagnosis in any order, and does a broken plugin harm nobody but itself?"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.api import default_pipeline, diagnose
from core.case import Case, ImageInput, PatientMetadata
from core.errors import (
    AllModalitiesFailed,
    CaseError,
    ContractError,
    CorruptImage,
    DxtreeError,
    ImageTooSmall,
    NonFiniteOutput,
    PluginContractError,
    PluginError,
    UnknownModality,
)
from core.partition import partition_tree
from core.pipeline import Pipeline
from core.probabilities import LeafProbabilities, mean
from core.protocols import Evidence, Fuser, ImageResult, ModalityModel
from core.taxonomy import Taxonomy

CANARY = "CANARY7391"


@dataclass
class Model:
    """A small real model: a linear map of the image's bytes and one softmax."""

    modality: str
    classes: tuple[str, ...]
    provenance: dict[str, str] = field(default_factory=lambda: {"model": "tiny", "digest": "abc"})
    calls: int = 0

    @property
    def prior(self):
        return LeafProbabilities.from_weights(self.classes, np.arange(1.0, len(self.classes) + 1))

    def probabilities(self, data):
        weights = np.random.default_rng(len(self.modality)).normal(0, 2, (len(self.classes), 8))
        pixels = np.frombuffer(data.ljust(8, b"\0")[:8], np.uint8) / 255
        return LeafProbabilities.from_logits(self.classes, weights @ pixels)

    def predict(self, images):
        self.calls += 1
        return [self.result(image.data) for image in images]

    def result(self, data):
        notes = ("it was turned",) if data.startswith(b"note") else ()
        concerns = ("blurred",) if data.startswith(b"blur") else ()
        return ImageResult(self.probabilities(data), notes, concerns)


@dataclass(frozen=True)
class MeanFuser:
    name: str = "mean"
    provenance: dict[str, str] = field(default_factory=dict)

    def fuse(self, evidence, patient):
        return mean(e.probabilities for e in evidence)

    def used(self, patient):
        return ()


@dataclass(frozen=True)
class AgeFuser(MeanFuser):
    """Also moves probability towards the last class with age, where it is known."""

    name: str = "age"

    def fuse(self, evidence, patient):
        found = super().fuse(evidence, patient)
        if patient.age_years is None:
            return found
        tilt = np.linspace(1, 1 + patient.age_years / 100, len(found.classes))
        return LeafProbabilities.from_weights(found.classes, found.values * tilt)

    def used(self, patient):
        return tuple(f for f in patient.known() if f == "age_years")


MODALITIES = ("photo", "scope", "echo")


@pytest.fixture(scope="module")
def models(small):
    return {name: Model(name, small.ids) for name in MODALITIES}


@pytest.fixture(scope="module")
def pipeline(small, models):
    loaders = {name: (lambda m=m: m) for name, m in models.items()}
    return Pipeline(small, loaders, MeanFuser(), abstain_below=0.0, provenance={"model_set": "test"})


def case(*images, **patient):
    found = tuple(ImageInput(modality=m, data=d) for m, d in images)
    return Case(id="case 1", images=found, patient=PatientMetadata(**patient))


def bits(diagnosis):
    return (
        diagnosis.leaf.values.tobytes(),
        tuple((e.modality, e.probabilities.values.tobytes(), e.images) for e in diagnosis.evidence),
        json.dumps(diagnosis.to_dict(), allow_nan=False),
    )


TWO = (("photo", b"abcdefgh"), ("scope", b"12345678"))


# --- the plain way ------------------------------------------------------------------------------------


def test_the_classes_of_these_tests_are_what_the_protocols_ask_for(models):
    assert isinstance(models["photo"], ModalityModel)
    assert isinstance(MeanFuser(), Fuser)


def test_one_modality_without_metadata_is_the_models_own_answer_to_the_bit(pipeline, models):
    answer = pipeline.diagnose(case(("photo", b"abcdefgh")))
    own = models["photo"].probabilities(b"abcdefgh")
    assert answer.leaf.values.tobytes() == own.values.tobytes()
    assert answer.evidence[0].probabilities.values.tobytes() == own.values.tobytes()
    with_age = pipeline.with_fuser(AgeFuser()).diagnose(case(("photo", b"abcdefgh")))
    assert with_age.leaf.values.tobytes() == own.values.tobytes()


def test_an_answer_says_what_was_used_and_what_was_missing(pipeline):
    answer = pipeline.with_fuser(AgeFuser()).diagnose(case(*TWO, age_years=50, sex="male"))
    assert answer.status == "complete"
    assert answer.used == ("photo", "scope", "age_years")
    assert answer.missing == ("echo", "site")
    assert (answer.fuser, answer.case_id, answer.notices, answer.modalities_failed) == (
        "age",
        "case 1",
        (),
        {},
    )


def test_the_prior_and_the_number_of_images_travel_with_the_evidence(pipeline, models):
    answer = pipeline.diagnose(case(("photo", b"a"), ("photo", b"b"), ("scope", b"c")))
    assert [(e.modality, e.images) for e in answer.evidence] == [("photo", 2), ("scope", 1)]
    assert answer.evidence[0].prior == models["photo"].prior


def test_provenance_names_the_model_set_every_model_that_answered_and_the_fuser(pipeline):
    found = pipeline.diagnose(case(*TWO)).to_dict()["provenance"]
    own = {"model": "tiny", "digest": "abc"}
    assert found == {"model_set": "test", "models": {"photo": own, "scope": own}, "fuser": {}}


def test_several_images_of_a_modality_are_averaged(pipeline, models):
    answer = pipeline.diagnose(case(("photo", b"abc"), ("photo", b"xyz")))
    both = [models["photo"].probabilities(d).values for d in (b"abc", b"xyz")]
    np.testing.assert_allclose(answer.leaf.values, np.mean(both, axis=0), rtol=0, atol=1e-15)


def test_what_every_kept_image_said_travels_with_the_evidence_and_in_no_answer(pipeline, models):
    asked = case(("photo", b"abc"), ("photo", b"blurry"), ("photo", b"xyz"), ("scope", b"c"))
    answer = pipeline.diagnose(asked)
    photo, scope = answer.evidence
    assert photo.each == tuple(models["photo"].probabilities(d) for d in (b"abc", b"xyz"))
    assert (photo.numbers, scope.numbers) == ((1, 3), (1,))
    assert scope.each == (scope.probabilities,)
    bare = [replace(e, each=(), numbers=()) for e in answer.evidence]
    assert bare == list(answer.evidence)
    assert repr(bare) == repr(list(answer.evidence))
    assert replace(answer, evidence=tuple(bare)).to_dict() == answer.to_dict()


def test_evidence_without_single_images_is_made_as_before(models):
    found = Evidence("photo", models["photo"].probabilities(b"a"), models["photo"].prior, 2)
    assert (found.each, found.numbers) == ((), ())


def test_images_keep_their_numbers_where_an_unreadable_one_is_left_out(pipeline, models):
    def predict(self, images):
        if any(i.data == b"torn" for i in images):
            raise CorruptImage("the image is truncated")
        return Model.predict(self, images)

    torn = replace(pipeline, models={"photo": lambda: answer_with(predict=predict)(models["photo"])})
    answer = torn.diagnose(
        case(("photo", b"torn"), ("photo", b"note"), ("photo", b"abc"), ("photo", b"blur"))
    )
    assert [n.text for n in answer.notices] == [
        "photo image 1 was left out: the image is truncated",
        "photo image 2: it was turned",
        "photo image 4 was left out: blurred",
    ]
    assert answer.evidence[0].numbers == (2, 3)
    assert answer.evidence[0].each == tuple(models["photo"].probabilities(d) for d in (b"note", b"abc"))
    alone = torn.diagnose(case(("photo", b"note"), ("photo", b"torn")))
    assert alone.notices[1].text == "photo image 1: it was turned"


def test_notes_of_a_model_become_notices_that_name_the_image(pipeline):
    answer = pipeline.diagnose(case(("photo", b"note"), ("photo", b"abc"), ("scope", b"note")))
    texts = [(n.code, n.text) for n in answer.notices]
    assert texts == [
        ("ImageNote", "photo image 1: it was turned"),
        ("ImageNote", "the scope image: it was turned"),
    ]
    assert answer.status == "complete"


@pytest.mark.parametrize("count", range(1, 4))
def test_every_subset_of_inputs_gets_an_answer_and_no_hidden_default(pipeline, count):
    known = {"age_years": 50, "sex": "male", "site": "back"}
    for some in itertools.combinations(MODALITIES, count):
        alone = pipeline.diagnose(case(*((m, b"abcdefgh") for m in some)))
        for k in range(4):
            for fields in itertools.combinations(known, k):
                patient = {f: known[f] for f in fields}
                answer = pipeline.with_fuser(AgeFuser()).diagnose(
                    case(*((m, b"abcdefgh") for m in some), **patient)
                )
                assert answer.status == "complete"
                assert set(answer.used) == {*some, *({"age_years"} & set(fields))}
                assert set(answer.missing) == {*MODALITIES, *known} - {*some, *fields}
                if "age_years" not in fields:
                    assert answer.leaf.values.tobytes() == alone.leaf.values.tobytes()


def test_diagnose_takes_a_pipeline(pipeline):
    assert bits(diagnose(case(*TWO), pipeline=pipeline)) == bits(pipeline.diagnose(case(*TWO)))


def test_without_an_installed_pipeline_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: ())
    with pytest.raises(PluginError, match="install dxtree, or give a pipeline"):
        default_pipeline.__wrapped__()


# --- order --------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_order_of_images_modalities_or_plugins_changes_a_bit(pipeline, data):
    inputs = data.draw(
        st.lists(
            st.tuples(st.sampled_from(MODALITIES), st.binary(min_size=1, max_size=8)), min_size=1, max_size=9
        )
    )
    inputs = [(m, d) for m, d in inputs if not d.startswith((b"note", b"blur"))] or [("photo", b"x")]
    names = data.draw(st.permutations(MODALITIES))
    turned = replace(pipeline, models={n: pipeline.models[n] for n in names})
    again = turned.diagnose(case(*data.draw(st.permutations(inputs)), age_years=40))
    assert bits(again) == bits(pipeline.diagnose(case(*inputs, age_years=40)))


def test_the_mean_of_many_does_not_depend_on_their_order(small):
    generator = np.random.default_rng(3)
    members = [LeafProbabilities(small.ids, generator.dirichlet([0.1] * 4)) for _ in range(50)]
    first = mean(members)
    for _ in range(20):
        generator.shuffle(members)
        assert mean(members).values.tobytes() == first.values.tobytes()
    assert mean(members[:1]) is members[0]


def test_threads_get_what_one_after_the_other_gets(pipeline):
    cases = [case(("photo", bytes([k] * 8)), ("scope", bytes([k, 255 - k])), age_years=k) for k in range(60)]
    serial = [bits(pipeline.diagnose(c)) for c in cases]
    fresh = replace(pipeline)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda c: bits(fresh.diagnose(c)), cases * 3)) == serial * 3


# --- a plugin that is broken --------------------------------------------------------------------------


def answer_with(**change):
    """A model whose `predict` is replaced."""
    return lambda model: type("Broken", (Model,), change)(model.modality, model.classes)


def raising(error):
    def predict(self, images):
        raise error

    return answer_with(predict=predict)


def returning(function):
    return answer_with(predict=lambda self, images: function(self, images))


def result(classes, values):
    return ImageResult(LeafProbabilities(tuple(classes), np.array(values)))


def one(*values):
    return lambda m, images: [result(m.classes, values)]


def pop(m, images):
    images.pop()
    return []


def refuses(*_):
    raise KeyError(CANARY)


FAULTS = {
    "raises": (raising(ValueError(CANARY)), PluginContractError),
    "exits": (raising(SystemExit(CANARY)), PluginContractError),
    "recursion": (raising(RecursionError(CANARY)), PluginContractError),
    "memory": (raising(MemoryError(CANARY)), PluginContractError),
    "raises a bare BaseException": (raising(BaseException(CANARY)), PluginContractError),
    "image at fault": (raising(CorruptImage("the image is truncated")), CorruptImage),
    "nan": (returning(one(np.nan, 0.5, 0.25, 0.25)), NonFiniteOutput),
    "infinite": (returning(one(np.inf, 0, 0, 0)), NonFiniteOutput),
    "all zero": (returning(one(0, 0, 0, 0)), NonFiniteOutput),
    "negative": (returning(one(1.5, -0.5, 0, 0)), NonFiniteOutput),
    "does not sum to 1": (returning(one(0.5, 0.2, 0.1, 0.1)), NonFiniteOutput),
    "wrong shape": (returning(one(0.5, 0.5)), ContractError),
    "other labels": (returning(lambda m, i: [result("abcd", [1, 0, 0, 0])]), PluginContractError),
    "other order": (returning(lambda m, i: [result(m.classes[::-1], [1, 0, 0, 0])]), PluginContractError),
    "labels in a list": (
        returning(lambda m, i: [ImageResult(LeafProbabilities(list(m.classes), np.array([1, 0, 0, 0])))]),
        PluginContractError,
    ),
    "none": (returning(lambda m, i: None), PluginContractError),
    "a number": (returning(lambda m, i: 3), PluginContractError),
    "bare arrays": (returning(lambda m, i: np.ones((1, 4))), PluginContractError),
    "bare probabilities": (returning(lambda m, i: [m.probabilities(b"x")]), PluginContractError),
    "probabilities of another type": (
        returning(lambda m, i: [ImageResult(np.array([1, 0, 0, 0]))]),
        PluginContractError,
    ),
    "no probabilities": (returning(lambda m, i: [ImageResult(None)]), PluginContractError),
    "too few": (returning(lambda m, i: []), PluginContractError),
    "too many": (returning(lambda m, i: Model.predict(m, i) * 2), PluginContractError),
    "changes its input": (returning(pop), PluginContractError),
    "notes in a text": (
        returning(lambda m, i: [replace(r, notes="turned") for r in Model.predict(m, i)]),
        PluginContractError,
    ),
    "concerns that are no texts": (
        returning(lambda m, i: [replace(r, concerns=(float("nan"),)) for r in Model.predict(m, i)]),
        PluginContractError,
    ),
    "no concerns": (
        returning(lambda m, i: [replace(r, concerns=None) for r in Model.predict(m, i)]),
        PluginContractError,
    ),
    "generator that breaks": (
        returning(lambda m, i: (refuses() for _ in i)),
        PluginContractError,
    ),
    "prior that breaks": (answer_with(prior=property(refuses)), PluginContractError),
    "prior of other classes": (
        answer_with(prior=property(lambda m: LeafProbabilities(("a",), np.ones(1)))),
        PluginContractError,
    ),
    "no prior": (answer_with(prior=None), PluginContractError),
    "provenance that breaks": (
        answer_with(provenance=property(refuses, lambda m, value: None)),
        PluginContractError,
    ),
    "is no model": (lambda model: object(), PluginContractError),
    "is nothing": (lambda model: None, PluginContractError),
    "cannot be loaded": (lambda model: refuses(), PluginContractError),
    "exits when loaded": (lambda model: exec("raise SystemExit(3)"), PluginContractError),  # noqa: S102
}


@pytest.fixture(params=FAULTS)
def fault(request, pipeline, models):
    build, expected = FAULTS[request.param]
    broken = replace(pipeline, models={**pipeline.models, "scope": lambda: build(models["scope"])})
    return broken, expected


def test_a_broken_plugin_is_typed_and_leaves_the_others_unchanged_to_the_bit(fault, pipeline):
    broken, expected = fault
    answer = broken.diagnose(case(*TWO))
    alone = pipeline.diagnose(case(TWO[0]))
    assert answer.status == "partial"
    assert answer.modalities_failed == {"scope": expected.__name__}
    assert bits(answer)[:2] == bits(alone)[:2]
    assert answer.used == ("photo",)
    assert "scope" in answer.missing
    (notice,) = answer.notices
    assert notice.code == expected.__name__
    assert notice.text.startswith("scope was left out: ")
    assert CANARY not in f"{answer.to_dict()} {answer}"


def test_with_strict_a_broken_plugin_raises_its_own_error(fault):
    broken, expected = fault
    with pytest.raises(expected) as caught:
        broken.diagnose(case(*TWO), strict=True)
    assert CANARY not in caught.value.safe_message


def test_a_broken_plugin_alone_raises_its_own_error(fault):
    broken, expected = fault
    with pytest.raises(expected):
        broken.diagnose(case(TWO[1]))


def test_the_cause_of_a_plugins_fault_is_kept_for_its_maker(pipeline, models):
    broken = replace(pipeline, models={"scope": lambda: FAULTS["raises"][0](models["scope"])})
    with pytest.raises(PluginContractError, match="the model of scope failed with ValueError") as caught:
        broken.diagnose(case(TWO[1]))
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_interrupt_from_the_keyboard_is_nobodys_fault(pipeline, models):
    broken = replace(pipeline, models={"scope": lambda: raising(KeyboardInterrupt())(models["scope"])})
    with pytest.raises(KeyboardInterrupt):
        broken.diagnose(case(TWO[1]))


def _failing(pipeline, **errors):
    def loader(error):
        def load():
            raise error

        return load

    return replace(pipeline, models={**pipeline.models, **{m: loader(e) for m, e in errors.items()}})


def test_where_all_fail_and_every_image_is_at_fault_the_case_is(pipeline):
    broken = _failing(pipeline, photo=CorruptImage("truncated"), scope=ImageTooSmall("under 64 pixels"))
    with pytest.raises(CaseError, match="photo: truncated; scope: under 64 pixels") as caught:
        broken.diagnose(case(*TWO))
    assert caught.value.status == 422


def test_where_all_fail_for_other_reasons_nothing_is_left(pipeline):
    broken = _failing(pipeline, photo=CorruptImage("truncated"), scope=PluginError("not installed"))
    with pytest.raises(AllModalitiesFailed, match="photo: truncated; scope: not installed") as caught:
        broken.diagnose(case(*TWO))
    assert caught.value.status == 503


def test_an_unknown_modality_is_refused_with_a_suggestion_before_any_model_runs(pipeline, models):
    before = {m: model.calls for m, model in models.items()}
    with pytest.raises(
        UnknownModality, match=r"there are echo, photo, scope; did you mean 'scope'"
    ) as caught:
        pipeline.diagnose(case(*TWO, ("scopee", b"x")))
    assert caught.value.status == 422
    assert before == {m: model.calls for m, model in models.items()}


# --- concerns and doubt -------------------------------------------------------------------------------


def test_an_image_with_a_concern_is_left_out_and_the_answer_is_partial(pipeline, models):
    answer = pipeline.diagnose(case(("photo", b"blurry"), ("photo", b"abcdefgh")))
    assert answer.status == "partial"
    assert answer.evidence[0].images == 1
    assert answer.leaf == models["photo"].probabilities(b"abcdefgh")
    assert [(n.code, n.text) for n in answer.notices] == [
        ("ImageLeftOut", "photo image 1 was left out: blurred")
    ]


def test_a_modality_of_which_every_image_is_of_concern_is_missing(pipeline):
    answer = pipeline.diagnose(case(("photo", b"blurry"), TWO[1]))
    assert (answer.status, answer.used) == ("partial", ("scope",))
    assert "photo" in answer.missing
    assert answer.modalities_failed == {}


def test_where_every_image_is_of_concern_the_answer_abstains_without_a_ranking(pipeline):
    answer = pipeline.diagnose(case(("photo", b"blur1"), ("scope", b"blur2"), age_years=50))
    assert (answer.status, answer.tree, answer.leaf, answer.used) == ("abstained", None, None, ())
    assert answer.most_specific() is None
    found = answer.to_dict()
    assert (found["ranked"], found["tree"], found["answer"]) == ([], {}, None)
    assert [n["code"] for n in found["notices"]] == ["ImageLeftOut"] * 2
    assert "no answer" in str(answer)


def test_where_no_group_is_probable_enough_the_answer_abstains_and_shows_its_numbers(pipeline):
    unsure = replace(pipeline, abstain_below=0.999)
    answer = unsure.diagnose(case(*TWO))
    assert answer.status == "abstained"
    assert answer.notices[-1].code == "LowConfidence"
    assert answer.leaf == pipeline.diagnose(case(*TWO)).leaf


def test_a_partition_of_one_class_has_no_first_level_and_abstains():
    whole = partition_tree(Taxonomy("t", {"r": None, "a": "r"}), {"a": 1}, max_size=9)
    lone = Pipeline(whole, {"photo": lambda: Model("photo", whole.ids)}, MeanFuser())
    answer = lone.diagnose(case(TWO[0]))
    assert (answer.status, answer.most_specific()) == ("abstained", "r")


# --- fusers -------------------------------------------------------------------------------------------


def test_evidence_is_gathered_once_and_fused_by_several_fusers(pipeline, models):
    asked = case(*TWO, age_years=80)
    before = models["photo"].calls
    gathered = pipeline.gather(asked)
    fused = {f.name: pipeline.with_fuser(f).fuse(asked, gathered) for f in (MeanFuser(), AgeFuser())}
    assert models["photo"].calls == before + 1
    assert bits(fused["mean"]) == bits(pipeline.diagnose(asked))
    assert bits(fused["age"]) == bits(pipeline.with_fuser(AgeFuser()).diagnose(asked))
    assert fused["age"].leaf != fused["mean"].leaf
    assert pipeline.fuser.name == "mean"


def _fuser(**change):
    return type("Broken", (MeanFuser,), change)()


@pytest.mark.parametrize(
    "fuser",
    [
        _fuser(fuse=lambda *_: refuses()),
        _fuser(fuse=lambda *_: exec("raise SystemExit(3)")),  # noqa: S102
        _fuser(fuse=lambda *_: None),
        _fuser(fuse=lambda *_: np.array([1, 0, 0, 0])),
        _fuser(fuse=lambda *_: LeafProbabilities(("a",), np.ones(1))),
        _fuser(fuse=lambda s, e, p: LeafProbabilities(e[0].probabilities.classes[::-1], np.full(4, 0.25))),
        _fuser(used=lambda *_: refuses()),
        _fuser(used=lambda *_: None),
        _fuser(used=lambda *_: ("site",)),
        _fuser(used=lambda s, p: (str(p.age_years),)),
    ],
)
def test_a_broken_fuser_is_a_typed_error(pipeline, fuser):
    with pytest.raises(PluginContractError, match="fuser 'mean'") as caught:
        pipeline.with_fuser(fuser).diagnose(case(*TWO, age_years=61.5))
    assert CANARY not in caught.value.safe_message
    assert "61.5" not in caught.value.safe_message


def test_a_fuser_that_answers_with_nan_is_a_typed_error(pipeline):
    fuser = _fuser(fuse=lambda s, e, p: LeafProbabilities(e[0].probabilities.classes, np.full(4, np.nan)))
    with pytest.raises(NonFiniteOutput):
        pipeline.with_fuser(fuser).diagnose(case(*TWO))


def test_a_fuser_whose_provenance_is_no_text_cannot_break_the_json(pipeline):
    answer = pipeline.with_fuser(MeanFuser(provenance={"loss": float("nan")})).diagnose(case(*TWO))
    assert answer.to_dict()["provenance"]["fuser"] == {"loss": "nan"}
    bits(answer)


# --- observers ----------------------------------------------------------------------------------------


def test_observers_see_the_case_and_the_answer(pipeline):
    seen = []
    watched = replace(pipeline, observers=(lambda c, d: seen.append((c, bits(d))),) * 2)
    asked = case(*TWO)
    answer = watched.diagnose(asked)
    assert seen == [(asked, bits(answer))] * 2
    assert bits(answer) == bits(pipeline.diagnose(asked))


def _vandal(_, diagnosis):
    diagnosis.provenance.clear()
    diagnosis.modalities_failed["photo"] = "X"


def _deep_vandal(_, diagnosis):
    diagnosis.provenance["models"]["photo"]["digest"] = "forged"


def _writes_values(_, diagnosis):
    diagnosis.leaf.values[0] = 1


def _writes_table(_, diagnosis):
    diagnosis.tree._table[:] = 0


def _sets_status(_, diagnosis):
    diagnosis.status = "complete"


def _exits(*_):
    raise SystemExit(CANARY)


@pytest.mark.parametrize(
    ("observer", "notice"),
    [
        (refuses, "an observer failed with KeyError"),
        (_exits, "an observer failed with SystemExit"),
        (_writes_values, "an observer failed with ValueError"),
        (_writes_table, "an observer failed with ValueError"),
        (_sets_status, "an observer failed with FrozenInstanceError"),
        (_vandal, None),
        (_deep_vandal, None),
    ],
)
def test_an_observer_cannot_change_an_answer_and_its_failure_is_a_notice(pipeline, observer, notice):
    seen = []
    watched = replace(pipeline, observers=(observer, lambda c, d: seen.append(bits(d))))
    asked = case(*TWO)
    plain, answer = pipeline.diagnose(asked), watched.diagnose(asked)
    assert [(n.code, n.text) for n in answer.notices] == ([("ObserverFailed", notice)] if notice else [])
    assert bits(replace(answer, notices=())) == bits(plain)
    assert seen == [bits(plain)]
    assert CANARY not in f"{answer.to_dict()}"


def test_an_interrupt_during_an_observer_is_passed_on(pipeline):
    def interrupts(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(pipeline, observers=(interrupts,)).diagnose(case(TWO[0]))


# --- what leaves the house ----------------------------------------------------------------------------


def test_an_answer_is_json_without_nan_and_comes_back_from_it(pipeline):
    found = pipeline.diagnose(case(*TWO, age_years=61.5)).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["status"] == "complete"
    assert sum(r["probability"] for r in found["ranked"]) == pytest.approx(1, abs=1e-9)
    assert found["tree"]["root"] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("fuser", [MeanFuser(), AgeFuser()])
@pytest.mark.parametrize("inputs", [TWO, (("photo", b"blur"),), (("photo", b"note"), ("scope", b"blur"))])
def test_nothing_of_the_patient_or_of_the_image_is_in_an_answer(pipeline, fuser, inputs, tmp_path):
    asked = case(*inputs, age_years=61.5, sex="female", site="posterior_torso")
    answer = pipeline.with_fuser(fuser).diagnose(asked)
    shown = f"{json.dumps(answer.to_dict())} {answer} {answer.notices} {answer.provenance}"
    for secret in ("61.5", "female", "posterior", "torso", *(d.decode() for _, d in inputs if len(d) > 4)):
        assert secret not in shown
    assert "case 1" in shown


def test_nothing_of_a_failing_case_is_in_its_error(pipeline, models):
    def predict(self, images):
        raise RuntimeError(f"{images!r} {images[0].data!r} {CANARY}")

    broken = replace(pipeline, models={"photo": lambda: answer_with(predict=predict)(models["photo"])})
    with pytest.raises(DxtreeError) as caught:
        broken.diagnose(case(("photo", CANARY.encode()), age_years=61.5))
    assert caught.value.safe_message == "the model of photo failed with RuntimeError"
