"""Is an answer readable when printed, and complete when sent?"""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from core.diagnosis import RESEARCH_USE, Diagnosis, Notice, tree_lines
from core.partition import partition_tree
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.taxonomy import Taxonomy
from core.tree import TreeSums


@pytest.fixture
def tree(small):
    return TreeProbabilities(
        TreeSums(small), LeafProbabilities(small.ids, np.array([0.36, 0.02, 0.01, 0.61]))
    )


@pytest.fixture
def answer(tree):
    return Diagnosis(
        case_id="case 1",
        status="partial",
        tree=tree,
        leaf=tree.leaf,
        evidence=(),
        fuser="mean",
        used=("photo", "age_years"),
        missing=("sex",),
        notices=(Notice("ImageNote", "it was turned"),),
        modalities_failed={"scope": "CorruptImage"},
        provenance={"model_set": "test"},
    )


def test_a_printed_answer_is_a_tree_with_the_most_probable_branch_first(answer):
    assert str(answer).splitlines() == [
        " 64.0%  Bad thing",
        " 61.0%     bad2  <- most specific at 50 %",
        " 36.0%  Good thing",
        "status   partial (fused by mean)",
        "used     photo, age_years",
        "missing  sex",
        "notice   it was turned",
        RESEARCH_USE,
    ]


def test_nodes_below_the_limit_of_the_print_are_left_out(tree):
    assert len(tree_lines(tree, least=0.0)) == 4
    assert len(tree_lines(tree, least=0.5)) == 2
    assert tree_lines(tree, least=0.99) == ["no branch reaches the threshold of this print"]


def test_a_deep_answer_is_printed_without_recursion():
    chain = Taxonomy("chain", {f"n{k}": f"n{k - 1}" if k else None for k in range(3000)})
    partition = partition_tree(chain, {"n2999": 5, "n5": 1}, max_size=5)
    leaf = LeafProbabilities.from_weights(partition.ids, np.ones(len(partition.ids)))
    assert len(tree_lines(TreeProbabilities(TreeSums(partition), leaf))) > 5
    deep = partition_tree(chain, dict.fromkeys(chain, 1), max_size=1)
    found = LeafProbabilities.from_weights(deep.ids, np.ones(3000))
    assert len(tree_lines(TreeProbabilities(TreeSums(deep), found), least=0.0)) == 2999


def test_what_is_sent_is_complete_and_json(answer):
    found = answer.to_dict()
    assert found == {
        "case_id": "case 1",
        "status": "partial",
        "answer": "bad2",
        "ranked": [
            {"id": "bad", "name": "Bad thing", "probability": pytest.approx(0.64)},
            {"id": "good", "name": "Good thing", "probability": pytest.approx(0.36)},
        ],
        "tree": pytest.approx({"root": 1, "good": 0.36, "bad": 0.64, "bad1": 0.01, "bad2": 0.61}),
        "used": ["photo", "age_years"],
        "missing": ["sex"],
        "modalities_failed": {"scope": "CorruptImage"},
        "notices": [{"code": "ImageNote", "text": "it was turned"}],
        "checks": [],
        "fuser": "mean",
        "provenance": {"model_set": "test"},
        "research_use": RESEARCH_USE,
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_what_is_sent_can_be_changed_without_changing_the_answer(answer):
    answer.to_dict()["provenance"].clear()
    answer.to_dict()["modalities_failed"].clear()
    assert answer.to_dict()["provenance"] == {"model_set": "test"}
    assert answer.to_dict()["modalities_failed"] == {"scope": "CorruptImage"}


def test_the_most_specific_node_follows_the_threshold(answer):
    assert answer.most_specific() == "bad2"
    assert answer.most_specific(at_least=0.62) == "bad"
    assert answer.most_specific(at_least=0.9) == "root"


def test_an_answer_without_a_tree_says_so():
    empty = Diagnosis("c", "abstained", None, None, (), "mean", (), ("photo", "sex"))
    assert str(empty).splitlines()[:4] == [
        "no answer",
        "status   abstained (fused by mean)",
        "used     nothing",
        "missing  photo, sex",
    ]
    assert empty.to_dict()["answer"] is None
    json.dumps(empty.to_dict(), allow_nan=False)


def test_every_answer_says_that_it_is_for_research(answer):
    assert "research use only" in str(answer)
    assert "Not a medical device" in answer.to_dict()["research_use"]


def test_an_answer_crosses_a_process_boundary(answer):
    again = pickle.loads(pickle.dumps(answer))  # noqa: S301
    assert again.to_dict() == answer.to_dict()
    assert str(again) == str(answer)
