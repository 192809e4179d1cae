"""Is what belongs together never on both sides of a split?"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.case import PatientMetadata
from core.cohort import LabelledImage
from core.errors import CohortError, LeakageError
from core.split import TRAINING, VALIDATION, Split, check_no_leak, components, split_by_component

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
    split = split_by_component(images, validation=validation, folds=folds, seed=seed)
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
    again = split_by_component(data.draw(st.permutations(images)), seed=seed)
    assert again == split_by_component(images, seed=seed)


def test_a_split_is_the_same_in_every_process():
    """Through sha256 and not through `hash`, which changes from process to process."""
    images = [image(f"i{k}", f"L{k}") for k in range(10)]
    held = {lesion for lesion, part in split_by_component(images, seed=0).part.items() if part == VALIDATION}
    assert held == {"L2", "L6"}


def test_another_seed_gives_another_split():
    images = [image(f"i{k}", f"L{k}") for k in range(40)]
    assert len({tuple(sorted(split_by_component(images, seed=s).part.items())) for s in range(5)}) == 5


def test_every_label_gives_its_share_to_validation_and_to_each_fold():
    sizes = {"common": 100, "rare": 10, "single": 1}
    images = [image(f"{n}{k}", f"{n}{k}", n) for n, size in sizes.items() for k in range(size)]
    split = split_by_component(images, validation=0.2, folds=3)
    held = Counter(i.label for i in split.select(images, VALIDATION))
    assert held == {"common": 20, "rare": 2}
    folds = Counter((i.label, split.fold[i.lesion]) for i in split.select(images, TRAINING))
    assert {folds["common", f] for f in range(3)} == {26, 27}
    assert {folds["rare", f] for f in range(3)} == {2, 3}
    total = Counter(split.fold.values())
    assert max(total.values()) - min(total.values()) <= 1


def test_images_of_one_lesion_in_two_cohorts_stay_together():
    images = [image("x", "L1", "a", "one"), image("y", "L1", "a:deep", "two"), image("z", "L2", "a", "two")]
    split = split_by_component(images, validation=0.5)
    assert split.part_of(images[0]) == split.part_of(images[1])
    assert set(split.part) == {"L1", "L2"}


def test_no_validation_leaves_everything_in_training():
    images = [image(f"i{k}", f"L{k}") for k in range(9)]
    assert split_by_component(images, validation=0).select(images, VALIDATION) == []
    assert split_by_component([]).part == {}


@pytest.mark.parametrize(
    "wrong", [{"validation": 1}, {"validation": -0.1}, {"validation": float("nan")}, {"folds": 1}]
)
def test_a_share_or_a_number_of_folds_that_cannot_be_is_refused(wrong):
    with pytest.raises(CohortError, match="validation must lie in"):
        split_by_component([image("x", "L1")], **wrong)


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


# Links


@st.composite
def linked(draw):
    """A cohort, and any links between its lesions."""
    images = draw(cohorts())
    lesion = st.sampled_from(sorted({i.lesion for i in images}))
    return images, draw(st.lists(st.tuples(lesion, lesion), max_size=15))


def reachable(lesions, links):
    """Components by breadth-first search, written apart from the union-find under test."""
    beside = defaultdict(set)
    for a, b in links:
        beside[a].add(b)
        beside[b].add(a)
    found = {}
    for start in sorted(lesions):
        if start not in found:
            waiting, seen = [start], {start}
            while waiting:
                fresh = beside[waiting.pop()] - seen
                seen |= fresh
                waiting += fresh
            found.update(dict.fromkeys(seen, start))
    return found


@few
@given(drawn=linked())
def test_components_are_what_links_reach_named_by_the_smallest(drawn):
    images, links = drawn
    lesions = {i.lesion for i in images}
    assert components(lesions, links) == reachable(lesions, links)


@few
@given(drawn=linked(), validation=st.floats(0, 0.99), folds=st.integers(2, 5), seed=st.integers(0, 9))
def test_a_split_never_separates_linked_lesions_however_far_the_chain(drawn, validation, folds, seed):
    images, links = drawn
    split = split_by_component(images, links, validation=validation, folds=folds, seed=seed)
    places = defaultdict(set)
    for lesion, name in reachable({i.lesion for i in images}, links).items():
        places[name].add((split.part[lesion], split.fold.get(lesion)))
    assert all(len(found) == 1 for found in places.values())
    assert set(split.part) == {i.lesion for i in images}
    assert set(split.fold) == {lesion for lesion, part in split.part.items() if part == TRAINING}


@few
@given(drawn=linked(), data=st.data(), seed=st.integers(0, 9))
def test_the_order_of_images_and_links_does_not_change_a_split(drawn, data, seed):
    images, links = drawn
    turned = [link[::-1] for link in data.draw(st.permutations(links))]
    again = split_by_component(data.draw(st.permutations(images)), turned, seed=seed)
    assert again == split_by_component(images, links, seed=seed)


def test_without_links_the_split_is_the_one_by_lesion():
    """The rule of earlier versions, in other words: rank by hash within a label, cut, deal to folds."""
    images = [image(f"i{k}", f"L{k}", "abc"[k % 3]) for k in range(60)]
    split = split_by_component(images, validation=0.2, folds=3, seed=5)
    dealt = 0
    for label in "abc":
        ranked = sorted(
            (i.lesion for i in images if i.label == label),
            key=lambda lesion: hashlib.sha256(f"5:{lesion}".encode()).digest(),
        )
        assert [split.part[x] for x in ranked] == [VALIDATION] * 4 + [TRAINING] * 16
        assert [split.fold[x] for x in ranked[4:]] == [(dealt + k) % 3 for k in range(16)]
        dealt += 16


def test_components_are_stratified_by_the_label_of_most_images():
    """One hundred components of two lesions: the larger lesion says which label they count for."""
    images = []
    for k in range(100):
        images += [image(f"x{k}.{n}", f"X{k}", f"label {k // 10}") for n in range(2)] + [
            image(f"y{k}", f"Y{k}", "0")
        ]
    split = split_by_component(images, [(f"Y{k}", f"X{k}") for k in range(100)], validation=0.2, folds=2)
    held = [lesion for lesion, part in split.part.items() if part == VALIDATION]
    assert Counter(x[0] for x in held) == {"X": 20, "Y": 20}
    assert Counter(int(x[1:]) // 10 for x in held if x[0] == "X") == dict.fromkeys(range(10), 2)


def test_a_link_to_a_lesion_without_images_is_refused_and_named():
    with pytest.raises(CohortError, match="a link names lesion L9, which no image has"):
        split_by_component([image("x", "L1")], [("L1", "L9")])


# Images left out of results


def test_excluded_images_stay_in_their_part_and_are_not_kept():
    images = [image(f"i{k}", f"L{k}") for k in range(20)]
    split = split_by_component(images, excluded={"i3": "blurred"}, notes=["no patient ids"])
    plain = split_by_component(images)
    assert (split.part, split.fold) == (plain.part, plain.fold)
    assert [i.image for i in images if i not in split.kept(images)] == ["i3"]
    assert images[3] in split.select(images, split.part["L3"])


# The document


@few
@given(drawn=linked(), seed=st.integers(0, 9), folds=st.integers(2, 4))
def test_a_split_survives_json(drawn, seed, folds):
    images, links = drawn
    left_out = {images[0].image: "far away"}
    split = split_by_component(
        images, links, seed=seed, folds=folds, excluded=left_out, notes=["no patient ids"]
    )
    assert Split.from_dict(json.loads(json.dumps(split.to_dict()))) == split


def test_the_document_of_earlier_versions_is_read():
    old = {"part": {"L1": TRAINING, "L2": VALIDATION}, "fold": {"L1": 1}, "folds": 3, "seed": 4}
    assert Split.from_dict(old) == Split({"L1": TRAINING, "L2": VALIDATION}, {"L1": 1}, 3, 4)


GOOD = {"part": {"L1": TRAINING, "L2": VALIDATION}, "fold": {"L1": 0}, "folds": 2, "seed": 0}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "format 1 only"),
        ({"part": None}, "part is a JSON object"),
        ({"part": {"L1": 3}}, "part is a JSON object"),
        ({"part": {"L1": "test"}, "fold": {}}, "lesion L1 of the split must be in training or validation"),
        ({"fold": {}}, "lesion L1: each training lesion"),
        ({"fold": {"L1": 0, "L2": 0}}, "lesion L2: each training lesion"),
        ({"fold": {"L1": 2}}, "lesion L1 of the split lies in a fold outside 0 .. 1"),
        ({"fold": {"L1": True}}, "fold is a JSON object"),
        ({"folds": 1}, "folds at least 2"),
        ({"seed": "0"}, "whole numbers"),
        ({"excluded": []}, "excluded is a JSON object"),
        ({"excluded": {"i1": 1}}, "excluded is a JSON object"),
        ({"notes": "one"}, "notes are a list"),
    ],
)
def test_a_document_that_is_no_split_is_refused_by_name(change, says):
    Split.from_dict(GOOD)
    with pytest.raises(CohortError, match=says):
        Split.from_dict({**GOOD, **change})


def test_a_list_is_no_split():
    with pytest.raises(CohortError, match="JSON object with part"):
        Split.from_dict([GOOD])
