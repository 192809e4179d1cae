"""Is one lesion never on both sides of a split?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.case import PatientMetadata
from core.cohort import (
    TRAINING,
    VALIDATION,
    LabelledImage,
    Split,
    check_no_leak,
    lesions,
    split_by_lesion,
)
from core.errors import CohortError, LeakageError

few = settings(max_examples=80, deadline=None)


def image(name, lesion, label="a", cohort="one", modality="photo"):
    return LabelledImage(name, lesion, modality, Path(name), label, PatientMetadata(), cohort)


@st.composite
def cohorts(draw):
    """Images of shared lesions in two cohorts, which may name a lesion at different depths."""
    owners = draw(st.lists(st.integers(0, 12), min_size=1, max_size=40))
    return [
        image(f"i{k}", f"L{owner}", draw(st.sampled_from("abc")), draw(st.sampled_from(["one", "two"])))
        for k, owner in enumerate(owners)
    ]


@few
@given(images=cohorts(), validation=st.floats(0, 0.99), folds=st.integers(2, 5), seed=st.integers(0, 9))
def test_a_split_never_separates_a_lesion(images, validation, folds, seed):
    split = split_by_lesion(images, validation=validation, folds=folds, seed=seed)
    parts = [split.select(images, part) for part in (TRAINING, VALIDATION)]
    assert sum(map(len, parts)) == len(images)
    assert not {i.lesion for i in parts[0]} & {i.lesion for i in parts[1]}
    check_no_leak(*parts, ("training", "validation"))
    assert set(split.part) == {i.lesion for i in images}
    assert set(split.fold) == {i.lesion for i in parts[0]}
    assert all(0 <= f < folds for f in split.fold.values())
    for fold in range(folds):
        inside = [i for i in parts[0] if split.fold[i.lesion] == fold]
        check_no_leak(inside, [i for i in parts[0] if split.fold[i.lesion] != fold], ("fold", "rest"))


@few
@given(images=cohorts(), data=st.data(), seed=st.integers(0, 9))
def test_the_order_of_images_does_not_change_a_split(images, data, seed):
    again = split_by_lesion(data.draw(st.permutations(images)), seed=seed)
    assert again == split_by_lesion(images, seed=seed)


def test_a_split_is_the_same_in_every_process():
    """Through sha256 and not through `hash`, which changes from process to process."""
    images = [image(f"i{k}", f"L{k}") for k in range(10)]
    held = {lesion for lesion, part in split_by_lesion(images, seed=0).part.items() if part == VALIDATION}
    assert held == {"L2", "L6"}


def test_another_seed_gives_another_split():
    images = [image(f"i{k}", f"L{k}") for k in range(40)]
    assert len({tuple(sorted(split_by_lesion(images, seed=s).part.items())) for s in range(5)}) == 5


def test_every_label_gives_its_share_to_validation_and_to_each_fold():
    sizes = {"common": 100, "rare": 10, "single": 1}
    images = [image(f"{n}{k}", f"{n}{k}", n) for n, size in sizes.items() for k in range(size)]
    split = split_by_lesion(images, validation=0.2, folds=3)
    held = Counter(i.label for i in split.select(images, VALIDATION))
    assert held == {"common": 20, "rare": 2}
    folds = Counter((i.label, split.fold[i.lesion]) for i in split.select(images, TRAINING))
    assert {folds["common", f] for f in range(3)} == {26, 27}
    assert {folds["rare", f] for f in range(3)} == {2, 3}
    total = Counter(split.fold.values())
    assert max(total.values()) - min(total.values()) <= 1


def test_images_of_one_lesion_in_two_cohorts_stay_together():
    images = [image("x", "L1", "a", "one"), image("y", "L1", "a:deep", "two"), image("z", "L2", "a", "two")]
    split = split_by_lesion(images, validation=0.5)
    assert split.part_of(images[0]) == split.part_of(images[1])
    assert set(split.part) == {"L1", "L2"}


def test_no_validation_leaves_everything_in_training():
    images = [image(f"i{k}", f"L{k}") for k in range(9)]
    assert split_by_lesion(images, validation=0).select(images, VALIDATION) == []
    assert split_by_lesion([]).part == {}


@pytest.mark.parametrize(
    "wrong", [{"validation": 1}, {"validation": -0.1}, {"validation": float("nan")}, {"folds": 1}]
)
def test_a_share_or_a_number_of_folds_that_cannot_be_is_refused(wrong):
    with pytest.raises(CohortError, match="validation must lie in"):
        split_by_lesion([image("x", "L1")], **wrong)


def test_a_lesion_outside_the_split_is_an_error_that_names_it():
    split = Split({"L1": TRAINING}, {"L1": 0}, 3, 0)
    with pytest.raises(CohortError, match="lesion L9 of one is not in the split"):
        split.select([image("x", "L9")], TRAINING)


def test_a_planted_lesion_is_found_and_named():
    training = [image(f"t{k}", f"L{k}") for k in range(50)]
    held = [image(f"v{k}", f"M{k}", cohort="two") for k in range(50)]
    check_no_leak(training, held, ("training", "validation"))
    with pytest.raises(LeakageError, match="1 lesions stand in training and in validation, L7 for one"):
        check_no_leak(training, [*held, image("new name", "L7", cohort="two")], ("training", "validation"))


def test_a_planted_image_is_found_and_named():
    with pytest.raises(LeakageError, match="i1 for one"):
        check_no_leak([image("i1", "L1")], [image("i1", "L2")], ("training", "validation"))


def test_lesions_gather_their_images_in_one_order():
    images = [
        image("b", "L2", modality="scope"),
        image("a", "L2", modality="scope"),
        image("z", "L2", modality="photo"),
        image("c", "L1", cohort="two"),
        image("d", "L1", cohort="one"),
    ]
    found = lesions(images)
    assert [(x.cohort, x.lesion) for x in found] == [("one", "L1"), ("one", "L2"), ("two", "L1")]
    assert [i.image for i in found[1].images] == ["z", "a", "b"]
    assert lesions(images[::-1])[1].images == found[1].images


def test_two_truths_for_one_lesion_of_a_cohort_are_refused_and_named():
    with pytest.raises(CohortError, match="one: lesion L1 is labelled 'a' and 'b'; one truth is needed"):
        lesions([image("x", "L1", "a"), image("y", "L1", "b")])
    assert len(lesions([image("x", "L1", "a"), image("y", "L1", "b", cohort="two")])) == 2
