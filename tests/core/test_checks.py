"""Does the pipeline do about a flagged image what the check proposes, or the policy in its place?"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import Case, Check, GatePolicy, ImageInput, ImageResult, LeafProbabilities, Pipeline, diagnose_many
from core.diagnosis import schema
from core.errors import CaseError, ContractError, PluginContractError
from core.partition import Partition, partition_tree
from core.taxonomy import Taxonomy
from fusion.image_only import ImageOnly

BLURRED = Check("blurred", 3.0, 2.0, "it is blurred; take it again")
DARK = Check("dark", 0.9, 0.5, "it is dark; light the skin", "warn")
FINE = Check("hair", 0.1, 0.5, "hair lies over it")


class Model:
    """Answers every image with a distribution and checks, one tuple an image in turn."""

    modality = "photo"
    provenance: Mapping[str, str] = {"model": "test"}

    def __init__(self, partition: Partition, *checks: tuple[Check, ...]) -> None:
        self.classes = partition.ids
        self.prior = LeafProbabilities.from_weights(partition.ids, np.ones(len(partition.ids)))
        self._checks = checks

    def predict(self, images: Sequence[ImageInput]) -> list[ImageResult]:
        answers = []
        for k, _ in enumerate(images):
            weights = np.arange(1.0, len(self.classes) + 1) ** (k + 1)
            probabilities = LeafProbabilities.from_weights(self.classes, weights)
            answers.append(ImageResult(probabilities, checks=self._checks[k % len(self._checks)]))
        return answers


@pytest.fixture(scope="module")
def partition() -> Partition:
    tree = Taxonomy.from_paths("t", [["good", "a"], ["good", "b"], ["bad", "c"]])
    return partition_tree(tree, dict.fromkeys(("good:a", "good:b", "bad:c"), 9), max_size=9)


def pipeline_of(partition: Partition, *checks: tuple[Check, ...]) -> Pipeline:
    model = Model(partition, *checks)
    return Pipeline(partition, {"photo": lambda: model}, ImageOnly(partition), abstain_below=0.0)


def case_of(images: int) -> Case:
    return Case(id="x", images=tuple(ImageInput(modality="photo", data=b"x") for _ in range(images)))


def test_a_flagged_check_refuses_the_image_and_the_answer_says_score_and_reason(partition: Partition) -> None:
    answer = pipeline_of(partition, (FINE, BLURRED)).diagnose(case_of(1))
    assert (answer.status, answer.tree) == ("abstained", None)
    assert [(n.code, n.text) for n in answer.notices] == [
        ("ImageLeftOut", "the photo image was left out: it is blurred; take it again")
    ]
    told = answer.to_dict()["checks"]
    assert told == [
        {"modality": "photo", "image": 1, "name": "hair", "score": 0.1, "threshold": 0.5, "outcome": "passed",
         "reason": None},
        {"modality": "photo", "image": 1, "name": "blurred", "score": 3.0, "threshold": 2.0,
         "outcome": "refused", "reason": "it is blurred; take it again"},
    ]  # fmt: skip
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_one_that_warns_leaves_the_answer_as_it_is_to_the_bit_and_complete(partition: Partition) -> None:
    plain = pipeline_of(partition, ()).diagnose(case_of(2))
    warned = pipeline_of(partition, (DARK,), ()).diagnose(case_of(2))
    assert warned.tree is not None and plain.tree is not None
    assert warned.tree.to_dict() == plain.tree.to_dict()
    assert warned.status == plain.status == "complete"
    assert [(n.code, n.text) for n in warned.notices] == [
        ("ImageWarning", "photo image 1 was used all the same: it is dark; light the skin")
    ]


def test_the_policy_stands_above_what_the_check_proposes(partition: Partition) -> None:
    pipeline = pipeline_of(partition, (BLURRED, DARK))
    warned = pipeline.with_gate(GatePolicy({"blurred": "warn"})).diagnose(case_of(1))
    assert [n.code for n in warned.notices] == ["ImageWarning", "ImageWarning"]
    strict = pipeline.with_gate(GatePolicy({"blurred": "off", "dark": "refuse"})).diagnose(case_of(1))
    assert [n.text for n in strict.notices] == ["the photo image was left out: it is dark; light the skin"]
    assert [found.check.name for found in strict.checks] == ["dark"]
    off = pipeline.with_gate(GatePolicy({"all": "off"})).diagnose(case_of(1))
    assert (off.notices, off.checks, off.status) == ((), (), "complete")
    one = pipeline.with_gate(GatePolicy({"all": "off", "dark": "warn"})).diagnose(case_of(1))
    assert [found.check.name for found in one.checks] == ["dark"]


def test_a_policy_stands_in_the_provenance_and_none_does_not(partition: Partition) -> None:
    pipeline = pipeline_of(partition, (FINE,))
    assert "gate" not in pipeline.diagnose(case_of(1)).provenance
    asked = pipeline.with_gate(GatePolicy({"hair": "off", "all": "warn"})).diagnose(case_of(1))
    assert asked.provenance["gate"] == {"all": "warn", "hair": "off"}


def test_a_stream_is_judged_by_the_same_policy(partition: Partition) -> None:
    pipeline = pipeline_of(partition, (BLURRED,)).with_gate(GatePolicy({"blurred": "warn"}))
    (outcome,) = diagnose_many([case_of(1)], pipeline=pipeline)
    assert outcome.diagnosis is not None
    assert outcome.diagnosis.to_dict() == pipeline.diagnose(case_of(1)).to_dict()


def test_only_the_flagged_image_of_two_is_left_out(partition: Partition) -> None:
    answer = pipeline_of(partition, (FINE,), (BLURRED,)).diagnose(case_of(2))
    assert [(e.images, e.numbers) for e in answer.evidence] == [(1, (1,))]
    assert answer.status == "partial"
    assert [(f.image, f.outcome) for f in answer.checks] == [(1, "passed"), (2, "refused")]


@pytest.mark.parametrize("checks", [(FINE, FINE), ("blurred",), [FINE]], ids=repr)
def test_two_checks_of_one_name_and_what_is_no_check_are_the_models_fault(
    checks: tuple[Check, ...], partition: Partition
) -> None:
    with pytest.raises(PluginContractError):
        pipeline_of(partition, checks).diagnose(case_of(1), strict=True)


@pytest.mark.parametrize(
    "numbers", [(math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0), (0.0, -math.inf)], ids=repr
)
def test_a_check_without_finite_numbers_is_a_contract_error(numbers: tuple[float, float]) -> None:
    with pytest.raises(ContractError):
        Check("blurred", *numbers, "it is blurred")


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_it_is_flagged_where_the_score_is_above_the_threshold_and_nowhere_else(
    score: float, threshold: float
) -> None:
    check = Check("blurred", score, threshold, "it is blurred")
    assert check.flagged == (score > threshold)
    assert GatePolicy().refuses([check]) == check.flagged
    assert not GatePolicy({"blurred": "warn"}).refuses([check])


@pytest.mark.parametrize("text", ["blurred", "blurred=", "blurred=stop", "=warn", ""])
def test_what_is_no_action_is_a_case_error(text: str) -> None:
    with pytest.raises(CaseError, match="CHECK=ACTION"):
        GatePolicy.from_texts([text])


def test_a_check_named_twice_or_unknown_is_a_case_error_and_a_plugins_is_not() -> None:
    with pytest.raises(CaseError, match="twice"):
        GatePolicy.from_texts(["hair=off", "hair=warn"])
    with pytest.raises(CaseError, match="did you mean 'blurred'"):
        GatePolicy.from_texts(["blured=off"]).check_names(["blurred", "hair"])
    GatePolicy.from_texts(["all=warn", "thermal:cold=off", "hair=off"]).check_names(["blurred", "hair"])


def test_the_published_schema_knows_the_checks_and_asks_for_none() -> None:
    assert "checks" in schema()["properties"]
    assert "checks" not in schema()["required"]
