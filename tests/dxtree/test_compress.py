"""What the report of a compression says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.case import PatientMetadata
from core.cohort import LabelledImage, lesions
from core.errors import CohortError
from core.partition import partition_tree
from core.taxonomy import Taxonomy
from dxtree.compressing import knee, verdict
from dxtree.compressing.judging import score
from dxtree.compressing.rivals import DENSE
from dxtree.evaluation.intervals import Interval
from dxtree.exporting.checking import Answers
from dxtree.exporting.truth import judge

HERE = Path(__file__)
CLASSES = ("benign:nevus", "benign:keratosis", "malignant:melanoma")


def change(low: float | None) -> Interval:
    return Interval(0.0, low, 0.02)


def test_the_knee_is_the_last_ratio_before_the_first_that_may_lose_a_point() -> None:
    lows = {10.0: -0.002, 20.0: -0.009, 35.0: -0.02, 50.0: -0.001}
    assert knee({r: change(low) for r, low in lows.items()}) == 20
    assert knee({10.0: change(-0.01)}) is None
    assert knee({10.0: change(None)}) is None
    assert knee({}) is None


@given(lows=st.dictionaries(st.floats(2, 100), st.floats(-0.05, 0.05), max_size=6))
def test_up_to_the_knee_every_interval_excludes_a_lost_point(lows: dict[float, float]) -> None:
    found = knee({r: change(low) for r, low in lows.items()})
    below = [r for r in lows if found is not None and r <= found]
    assert all(lows[r] > -0.01 for r in below)
    after = sorted(r for r in lows if found is None or r > found)
    assert not after or lows[after[0]] <= -0.01


def test_a_missed_ratio_names_the_one_that_was_reached() -> None:
    made = {"ratio": 31.24, "bytes": 1000, "target_ratio": 35.0, "reached": False}
    assert verdict(made) == "1/31.2 of the float32 net (1,000 bytes), not 1/35 as asked"
    assert verdict({**made, "ratio": 36.0, "reached": True}).endswith("(1,000 bytes), as asked")
    assert verdict({**made, "target_ratio": None}).endswith("(1,000 bytes)")


def answered() -> tuple[Answers, list, object]:
    """Twelve lesions, the first two with two images; the dense net is right throughout, the other errs."""
    tree = Taxonomy.from_paths("drawn", [c.split(":") for c in CLASSES])
    partition = partition_tree(tree, dict.fromkeys(CLASSES, 8), max_size=8)
    images = [
        LabelledImage(
            f"I{k}{n}", f"L{k:02d}", "clinical", __file__, CLASSES[k % 3], PatientMetadata(), "drawn"
        )  # type: ignore[arg-type]
        for k in range(12)
        for n in range(2 if k < 2 else 1)
    ]
    every = lesions(images)
    owner = [k for k, lesion in enumerate(every) for _ in lesion.images]
    truth = [partition.ids.index(partition.class_of(every[k].label)) for k in owner]  # type: ignore[arg-type]
    right = np.full((14, 3), 0.1)
    right[np.arange(14), truth] = 0.8
    wrong = right.copy()
    wrong[-3:] = np.roll(wrong[-3:], 1, axis=1)
    judged = judge(every, partition, "malignant")
    return Answers({DENSE: right, "small": wrong}, owner, faults={"broken": "model_error"}), every, judged


def test_changes_are_paired_over_lesions() -> None:
    answers, every, judged = answered()
    found = score(answers, judged, every, resamples=200, seed=0)  # type: ignore[arg-type]
    assert found[DENSE].values["accuracy"].value == 1
    assert found[DENSE].changes["accuracy"] == Interval(0.0, 0.0, 0.0)
    assert found["small"].values["accuracy"].value == pytest.approx(9 / 12)
    assert found["small"].changes["accuracy"].value == pytest.approx(-3 / 12)
    assert found["small"].same_answer == pytest.approx(11 / 14)
    low, high = found["small"].changes["accuracy"].low, found["small"].changes["accuracy"].high
    assert low is not None
    assert high is not None
    assert -0.6 < low < -0.25 < high <= 0
    assert found["small"].values["auc"].value < 1  # type: ignore[operator]
    assert found["broken"].fault == "model_error"
    assert score(answers, judged, every, resamples=200, seed=0) == found  # type: ignore[arg-type]


def test_without_answers_of_the_dense_net_there_is_no_score() -> None:
    answers, every, judged = answered()
    with pytest.raises(CohortError, match="the dense net did not answer"):
        score(Answers({}, answers.owner), judged, every, resamples=10, seed=0)  # type: ignore[arg-type]
