"""What follows fusion: in order, checked like any plugin, and named in the answer?"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import jsonschema
import numpy as np
import pytest

from core.case import Case, ImageInput, PatientMetadata
from core.diagnosis import schema
from core.errors import ContractError, NonFiniteOutput, PluginContractError, TaxonomyError
from core.pipeline import Pipeline
from core.prevalence import Prevalence
from core.probabilities import LeafProbabilities, mean
from core.protocols import Adjustment, Fuser, ImageResult

CANARY = "CANARY7391"


@dataclass
class Model:
    modality: str
    classes: tuple[str, ...]
    provenance: dict[str, str] = field(default_factory=dict)

    @property
    def prior(self):
        return LeafProbabilities.from_weights(self.classes, np.ones(4))

    def predict(self, images):
        return [
            ImageResult(LeafProbabilities.from_weights(self.classes, np.frombuffer(i.data, np.uint8)[:4]))
            for i in images
        ]


@dataclass(frozen=True)
class Mean:
    """Says its mixture by `prior`, where it is given one."""

    shares: tuple[float, ...] | None = (0.4, 0.3, 0.2, 0.1)
    name: str = "mean"
    provenance: dict[str, str] = field(default_factory=dict)
    modalities: tuple[str, ...] = ("photo", "scope")

    def fuse(self, evidence, patient):
        return mean(e.probabilities for e in evidence)

    def used(self, patient):
        return ()

    def prior(self, patient):
        classes = ("good", "bad~", "bad1", "bad2")
        return LeafProbabilities.from_weights(classes, self.shares) if self.shares else None


@dataclass(frozen=True)
class Power:
    """p to a power and to the sum 1, as temperature scaling does."""

    power: float
    name: str = "power"
    mixture: LeafProbabilities | None = None

    @property
    def provenance(self):
        return {"power": str(self.power)}

    def apply(self, leaf):
        return LeafProbabilities.from_weights(leaf.classes, leaf.values**self.power)


@dataclass(frozen=True)
class Swap(Power):
    """Turns the classes round and weights them, so that it matters whether it comes first or second."""

    def apply(self, leaf):
        return LeafProbabilities.from_weights(leaf.classes, leaf.values[::-1] * np.arange(1.0, 5.0))


@pytest.fixture
def pipeline(small):
    assert small.ids == ("good", "bad~", "bad1", "bad2")
    models = {m: (lambda m=m: Model(m, small.ids)) for m in ("echo", "photo", "scope")}
    return Pipeline(small, models, Mean(), abstain_below=0.0)


def case(*images):
    found = tuple(
        ImageInput(modality=m, data=d) for m, d in images or (("photo", b"abcz"), ("scope", b"zcba"))
    )
    return Case(id="case 1", images=found, patient=PatientMetadata(age_years=61.5))


def test_the_classes_of_these_tests_are_what_the_protocols_ask_for(pipeline):
    assert isinstance(Power(2), Adjustment)
    assert isinstance(Mean(), Fuser)
    assert isinstance(pipeline.with_prevalence({"bad": 0.1}).prevalence, Adjustment)


def test_without_adjustments_nothing_changes(pipeline):
    plain = pipeline.diagnose(case())
    assert pipeline.adjustments == ()
    assert "adjustments" not in plain.provenance
    assert pipeline.with_calibration(None).diagnose(case()).to_dict() == plain.to_dict()
    assert pipeline.with_prevalence(None).diagnose(case()).to_dict() == plain.to_dict()
    assert pipeline.with_prevalence({}).adjustments == ()


def test_they_are_applied_in_order_after_fusion_and_before_the_sums(pipeline):
    first, second = Power(2), Swap(1)
    answer = replace(pipeline, adjustments=(first, second)).diagnose(case())
    fused = pipeline.diagnose(case()).leaf
    assert answer.leaf == second.apply(first.apply(fused))
    assert answer.leaf != first.apply(second.apply(fused))
    assert answer.tree.leaf == answer.leaf
    assert answer.evidence == pipeline.diagnose(case()).evidence


def test_an_answer_names_them_in_order(pipeline):
    found = pipeline.with_calibration(Power(2)).with_prevalence({"bad": 0.05}).diagnose(case()).to_dict()
    assert found["provenance"]["adjustments"] == [
        {"name": "power", "power": "2"},
        {"name": "prevalence", "shares": "bad=0.05", "source": "fuser or calibration"},
    ]
    assert [n["code"] for n in found["notices"]] == ["Prevalence"]
    assert "5 % bad" in found["notices"][0]["text"]
    jsonschema.validate(json.loads(json.dumps(found, allow_nan=False)), schema())


def test_a_doubt_is_about_the_adjusted_answer(pipeline):
    sure = replace(pipeline, abstain_below=0.9)
    assert sure.diagnose(case()).status == "abstained"
    assert sure.with_prevalence({"bad": 0.001}).diagnose(case()).status == "complete"


# --- calibration first, prevalence last ----------------------------------------------------------------


def test_the_calibration_comes_first_and_the_prevalence_last_however_they_are_given(pipeline):
    between = replace(pipeline, adjustments=(Swap(1),))
    one = between.with_calibration(Power(2)).with_prevalence({"bad": 0.05})
    other = between.with_prevalence({"bad": 0.05}).with_calibration(Power(2))
    assert [a.name for a in one.adjustments] == ["power", "power", "prevalence"]
    assert one.diagnose(case()).leaf == other.diagnose(case()).leaf


def test_each_replaces_the_one_before_and_none_takes_it_back(pipeline):
    shifted = pipeline.with_calibration(Power(3)).with_prevalence({"bad": 0.5})
    again = shifted.with_calibration(Power(2)).with_prevalence({"bad": 0.05})
    assert again.adjustments[0] == Power(2)
    assert again.prevalence.shares == {"bad": 0.05}
    assert len(again.adjustments) == 2
    assert again.with_calibration(None).adjustments == (again.with_calibration(None).prevalence,)
    assert again.with_prevalence(None).adjustments == (Power(2),)
    assert again.with_prevalence(None).with_calibration(None).adjustments == ()


def test_calibrating_twice_leaves_other_adjustments_alone(pipeline):
    between = replace(pipeline, adjustments=(Swap(1),))
    assert between.with_calibration(None).adjustments == (Swap(1),)
    assert between.with_calibration(Power(2)).with_calibration(Power(3)).adjustments == (Power(3), Swap(1))
    assert between.with_calibration(Power(2)).with_calibration(None).adjustments == (Swap(1),)


def test_a_prevalence_anywhere_but_last_and_a_calibration_that_is_none_are_refused(pipeline):
    shift = pipeline.with_prevalence({"bad": 0.05}).prevalence
    with pytest.raises(ContractError, match="as the last one"):
        replace(pipeline, adjustments=(shift, Power(2)))
    for nothing in ((), (shift,)):
        with pytest.raises(ContractError, match="calibration as its first adjustment"):
            replace(pipeline, adjustments=nothing, calibrated=True)


def test_the_source_is_the_callers_or_what_calibration_or_fuser_says(pipeline, small):
    uniform = LeafProbabilities.from_weights(small.ids, np.ones(4))
    skewed = LeafProbabilities.from_weights(small.ids, np.arange(1.0, 5.0))
    shares = {"bad": 0.05}
    assert pipeline.with_prevalence(shares).prevalence.source == Mean().prior(None)
    given = pipeline.with_prevalence(shares, source=uniform)
    assert (given.prevalence.source, given.prevalence.source_given) == (uniform, True)
    clinic = pipeline.with_calibration(Power(1, mixture=skewed))
    assert clinic.with_prevalence(shares).prevalence.source == skewed
    late = pipeline.with_prevalence(shares).with_calibration(Power(1, mixture=skewed))
    assert late.prevalence.source == skewed
    assert given.with_calibration(Power(1, mixture=skewed)).prevalence.source == uniform


def test_a_fuser_that_tells_no_mixture_asks_for_one(pipeline, small):
    silent = replace(pipeline, fuser=Mean(shares=None))
    with pytest.raises(ContractError, match="source="):
        silent.with_prevalence({"bad": 0.05})
    source = LeafProbabilities.from_weights(small.ids, np.ones(4))
    assert silent.with_prevalence({"bad": 0.05}, source).diagnose(case()).status == "complete"
    with pytest.raises(TaxonomyError, match="above 0 and below 1"):
        pipeline.with_prevalence({"bad": 5})


# --- other fusers ---------------------------------------------------------------------------------------


def test_another_fuser_leaves_the_calibration_behind_and_gets_a_prevalence_of_its_own(pipeline, small):
    other = Mean(shares=(1, 1, 1, 1), name="other")
    ready = pipeline.with_calibration(Power(2)).with_prevalence({"bad": 0.05})
    found = ready.with_fuser(other)
    assert not found.calibrated
    assert found.adjustments == (found.prevalence,)
    assert found.prevalence.source == other.prior(None)
    assert ready.with_fuser(ready.fuser) is ready
    source = LeafProbabilities.from_weights(small.ids, np.arange(1.0, 5.0))
    assert pipeline.with_prevalence({"bad": 0.05}, source).with_fuser(other).prevalence.source == source


def test_the_fallback_answers_without_the_calibration_and_says_so(pipeline):
    fallback = Mean(shares=(1, 1, 1, 1), name="any", modalities=("echo", "photo", "scope"))
    ready = replace(pipeline, fallback=fallback).with_calibration(Power(2)).with_prevalence({"bad": 0.05})
    asked = case(("echo", b"abcz"))
    answer = ready.diagnose(asked)
    assert answer.fuser == "any"
    assert (
        answer.notices[0].text == "mean was not fitted with echo; any fused in its place, without calibration"
    )
    alone = replace(pipeline, fuser=fallback).with_prevalence({"bad": 0.05})
    assert answer.leaf == alone.diagnose(asked).leaf
    assert [a["name"] for a in answer.provenance["adjustments"]] == ["prevalence"]
    plain = replace(pipeline, fallback=fallback).diagnose(asked)
    assert plain.notices[0].text == "mean was not fitted with echo; any fused in its place"


# --- broken ones ----------------------------------------------------------------------------------------


def _raises(*_):
    raise KeyError(CANARY)


def _broken(**change):
    return type("Broken", (Power,), change)(2.0, "broken")


@pytest.mark.parametrize(
    "adjustment",
    [
        _broken(apply=_raises),
        _broken(apply=lambda *_: exec("raise SystemExit(3)")),  # noqa: S102
        _broken(apply=lambda *_: None),
        _broken(apply=lambda _, leaf: leaf.values),
        _broken(apply=lambda _, leaf: LeafProbabilities(("a",), np.ones(1))),
        _broken(apply=lambda _, leaf: LeafProbabilities(leaf.classes[::-1], leaf.values)),
        _broken(provenance=property(_raises)),
    ],
)
def test_a_broken_adjustment_is_a_typed_error(pipeline, adjustment):
    with pytest.raises(PluginContractError, match="adjustment 'broken'") as caught:
        pipeline.with_calibration(adjustment).diagnose(case())
    assert CANARY not in caught.value.safe_message


def test_an_adjustment_that_answers_with_nan_is_a_typed_error(pipeline):
    nan = _broken(apply=lambda _, leaf: LeafProbabilities(leaf.classes, np.full(4, np.nan)))
    with pytest.raises(NonFiniteOutput):
        pipeline.with_calibration(nan).diagnose(case())


def test_an_adjustment_cannot_write_into_what_was_fused(pipeline):
    def writes(_, leaf):
        leaf.values[0] = 1

    with pytest.raises(PluginContractError, match="failed with ValueError"):
        pipeline.with_calibration(_broken(apply=writes)).diagnose(case())


def test_a_provenance_that_is_no_text_cannot_break_the_json(pipeline):
    odd = _broken(provenance=property(lambda _: {"loss": float("nan"), 3: None}))
    answer = pipeline.with_calibration(odd).diagnose(case())
    assert answer.provenance["adjustments"] == [{"name": "broken", "loss": "nan", "3": "None"}]
    json.dumps(answer.to_dict(), allow_nan=False)


def test_where_no_image_could_be_judged_the_adjustments_are_named_and_not_asked(pipeline, small):
    class Blurred(Model):
        def predict(self, images):
            return [replace(r, concerns=("blurred",)) for r in super().predict(images)]

    blind = replace(pipeline, models={"photo": lambda: Blurred("photo", small.ids)})
    answer = blind.with_calibration(_broken(apply=_raises)).diagnose(case(("photo", b"abcz")))
    assert (answer.status, answer.tree) == ("abstained", None)


def test_a_prevalence_is_an_adjustment_like_any_other_in_python(pipeline):
    shift = Prevalence(pipeline.sums, Mean().prior(None), {"bad": 0.05})
    by_hand = replace(pipeline, adjustments=(shift,))
    assert by_hand.diagnose(case()).leaf == pipeline.with_prevalence({"bad": 0.05}).diagnose(case()).leaf
