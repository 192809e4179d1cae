"""Is a file of scores read as it stands, and refused where it is none?"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import CorruptImage, DxtreeError, EmptyInput, ImageTooLarge, InputError, UnsupportedFormat
from modalities.concepts.plugin import samples
from modalities.concepts.reader import read_concepts
from modalities.concepts.vocabulary import CHECKLIST, CONCEPTS, MONET


def test_json_and_csv_hold_the_same(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_bytes(b"\xef\xbb\xbfMONET_hair,pigmented , blue_whitish_veil\r\n.25,1,\r\n")
    by_json = read_concepts(b'{"hair": 0.25, "MONET_pigmented": 1, "blue_whitish_veil": null}')
    assert by_json == read_concepts(path)
    assert dict(by_json.scores) == {"hair": 0.25, "pigmented": 1.0}


def test_what_is_missing_is_not_zero() -> None:
    zero, gap = (
        read_concepts(b'{"hair": 0, "erythema": 0.5}'),
        read_concepts(b'{"hair": null, "erythema": 0.5}'),
    )
    assert zero.scores["hair"] == 0
    assert "hair" not in gap.scores
    assert "hair" in gap.missing
    assert "hair" not in zero.missing


@given(st.dictionaries(st.sampled_from(CONCEPTS), st.floats(0, 1), min_size=1))
def test_every_score_from_0_to_1_comes_back_by_both_formats(scores: dict[str, float]) -> None:
    assert dict(read_concepts(json.dumps(scores).encode()).scores) == scores
    table = ",".join(scores) + "\n" + ",".join(map(repr, scores.values())) + "\n"
    assert dict(read_concepts(table.encode()).scores) == scores


def test_the_order_in_a_file_changes_nothing() -> None:
    one, other = b'{"hair": 0.1, "erythema": 0.2}', b'{"erythema": 0.2, "hair": 0.1}'
    assert list(read_concepts(one).scores) == list(read_concepts(other).scores)


@pytest.mark.parametrize(
    ("data", "fault", "told"),
    [
        (b"", EmptyInput, "empty"),
        (b"  \n", EmptyInput, "empty"),
        (b"{}", EmptyInput, "no concept is known"),
        (b'{"hair": null}', EmptyInput, "no concept is known"),
        (b"hair,erythema\n,\n", EmptyInput, "no concept is known"),
        (b'{"hair": 0.5', CorruptImage, "no whole JSON"),
        (b'{"hair": 1.5}', InputError, "hair must be a number from 0 to 1"),
        (b'{"hair": -0.1}', InputError, "hair must be"),
        (b'{"hair": true}', InputError, "hair must be"),
        (b'{"hair": "0.5"}', InputError, "hair must be"),
        (b'{"hair": NaN}', InputError, "must be a number from 0 to 1"),
        (b'{"hair": Infinity}', InputError, "must be a number from 0 to 1"),
        (b'{"hair": 1e999}', InputError, "hair must be"),
        (b'{"hair": ' + b"9" * 5000 + b"}", InputError, "hair must be"),
        (b'{"hair": {"a": 1}}', InputError, "hair must be"),
        (b'{"hair": 0.1, "hair": 0.1}', InputError, "hair is given twice"),
        (b'{"hair": 0.1, "MONET_hair": null}', InputError, "hair is given twice"),
        (b'{"hairs": 0.1}', InputError, "an unknown concept is given.*did you mean 'hair'"),
        (b'{"MONET_blue_whitish_veil": 0.1}', InputError, "an unknown concept"),
        (b"[0.5]", UnsupportedFormat, "one object"),
        (b"[" * 60000, CorruptImage, "no whole JSON"),
        (b"0.5", UnsupportedFormat, "a line of concepts and a line"),
        (b"hair\n0.5\n0.6\n", UnsupportedFormat, "one file a lesion"),
        (b"hair,erythema\n0.5\n", UnsupportedFormat, "as many numbers"),
        (b'hair\n"0.5', CorruptImage, "a quote may be open"),
        (b"hair\nnan\n", InputError, "hair must be"),
        (b"hair\n0_1\n", InputError, "hair must be"),
        ("hair\n٠.٥\n".encode(), InputError, "hair must be"),
        (b"hair,hair\n0.5,0.5\n", InputError, "given twice"),
        (b"\xff\xfeh\x00", UnsupportedFormat, "UTF-8"),
        (b"hair\n0.5\x00\n", UnsupportedFormat, "UTF-8"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), UnsupportedFormat, "UTF-8"),
        (b" " * 70000, ImageTooLarge, "65536"),
    ],
)
def test_what_is_no_file_of_scores_is_a_typed_error(data: bytes, fault: type[InputError], told: str) -> None:
    with pytest.raises(fault, match=told):
        read_concepts(data)


@given(st.binary(max_size=300))
def test_any_bytes_end_in_scores_or_a_typed_error(data: bytes) -> None:
    with suppress(DxtreeError):
        assert all(0 <= s <= 1 for s in read_concepts(data).scores.values())


@pytest.mark.parametrize("data", [b'{"Smith, John": 0.1}', b'{"hair": 0.123456, "erythema": 7.654321}'])
def test_no_message_repeats_what_came_with_a_patient(data: bytes) -> None:
    with pytest.raises(InputError) as fault:
        read_concepts(data)
    assert not any(word in fault.value.safe_message for word in ("Smith", "0.123456", "7.654321"))


def test_the_vocabulary_has_seven_of_each_and_no_name_twice() -> None:
    assert (len(MONET), len(CHECKLIST)) == (7, 7)
    assert len(set(CONCEPTS)) == 14


def test_the_samples_are_read() -> None:
    assert len({read_concepts(s).scores.keys() and str(read_concepts(s)) for s in samples()}) == 3
