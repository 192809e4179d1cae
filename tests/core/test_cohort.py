"""Which images show one lesion, and is there one truth for it?"""

from __future__ import annotations

from pathlib import Path

import pytest

from core.case import PatientMetadata
from core.cohort import LabelledImage, lesions
from core.errors import CohortError


def image(name, lesion, label="a", cohort="one", modality="photo"):
    return LabelledImage(name, lesion, modality, Path(name), label, PatientMetadata(), cohort)


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
