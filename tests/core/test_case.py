"""Is what comes from outside checked, typed and never repeated?"""

from __future__ import annotations

import json
import math
import pickle
import time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.case import Case, ImageInput, PatientMetadata, body_sites
from core.errors import CaseError, DxtreeError, InputError, MetadataError

CANARY = "CANARY7391"
IMAGE = {"modality": "photo", "path": "a.png"}


def message(error):
    """Everything that a log could show of it: text, arguments, cause and context."""
    shown = []
    while error is not None:
        shown += [str(error), repr(error), repr(error.args)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(shown)


# --- MD-01: age ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "age",
    [
        400, 120.5, -1, -1e-9, math.nan, math.inf, -math.inf, float("1e400"), 10**400, -(10**400),
        True, False, "45", "45 years", CANARY, "", b"45", [45], {"value": 45}, Decimal(45), 45 + 0j,
        np.float64("nan"),
    ],
)  # fmt: skip
def test_an_age_that_is_no_number_of_years_is_refused_and_not_repeated(age):
    with pytest.raises(MetadataError) as caught:
        PatientMetadata(age_years=age)
    shown = message(caught.value)
    assert "age_years must be a number from 0 to 120" in caught.value.safe_message
    for secret in (CANARY, "45", "400", "120.5", "nan", "inf", "True"):
        assert secret not in shown
    assert (caught.value.status, caught.value.code) == (422, "MetadataError")


@pytest.mark.parametrize("age", [0, 0.5, 45, 120, np.float64(45)])
def test_an_age_from_0_to_120_is_kept_as_a_float(age):
    found = PatientMetadata(age_years=age).age_years
    assert (found, type(found) in (float, np.float64)) == (age, True)


def test_the_age_from_json_that_overflows_is_refused():
    with pytest.raises(MetadataError):
        PatientMetadata.model_validate(json.loads('{"age_years": 1e400}'))
    with pytest.raises(MetadataError):
        PatientMetadata.model_validate_json('{"age_years": 1e400}')
    with pytest.raises(MetadataError):
        PatientMetadata.model_validate_json('{"age_years": NaN}')


# --- MD-02: sex and site ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "near"),
    [
        ("sex", "femal", "female"),
        ("sex", "Male", "male"),
        ("site", "uper_extremity", "upper_extremity"),
        ("site", "scalpp", "scalp"),
        ("site", "posterior torso", "posterior_torso"),
    ],
)
def test_a_term_outside_the_vocabulary_gets_the_nearest_allowed_one(field, value, near):
    with pytest.raises(MetadataError, match=f"{field} must be one of .*; did you mean '{near}'") as caught:
        PatientMetadata(**{field: value})
    assert repr(value) not in message(caught.value)


@pytest.mark.parametrize("field", ["sex", "site"])
@pytest.mark.parametrize(
    "value", [CANARY, "", " ", True, 1, 0, 1.5, ["back"], {"x": 1}, b"male", "root", "FEMALE ", math.nan]
)
def test_a_term_is_never_guessed(field, value):
    with pytest.raises(MetadataError, match=f"{field} must be one of") as caught:
        PatientMetadata(**{field: value})
    assert CANARY not in message(caught.value)


@pytest.mark.parametrize("field", ["age_years", "sex", "site"])
def test_unknown_and_absent_both_mean_not_known(field):
    assert getattr(PatientMetadata(**{field: "unknown"}), field) is None
    assert getattr(PatientMetadata(**{field: None}), field) is None
    assert getattr(PatientMetadata(), field) is None
    assert PatientMetadata(**{field: "unknown"}) == PatientMetadata()


def test_every_site_of_the_vocabulary_is_accepted_and_the_root_is_none():
    sites = body_sites()
    for site in sites.ids[1:]:
        assert PatientMetadata(site=site).site == site
    with pytest.raises(MetadataError):
        PatientMetadata(site=sites.root)


# --- MD-03: missing -----------------------------------------------------------------------------------


def test_what_is_known_is_listed_in_one_order_and_an_age_of_0_is_known():
    assert PatientMetadata().known() == ()
    assert PatientMetadata(site="back", sex="male", age_years=0).known() == ("age_years", "sex", "site")
    assert PatientMetadata(site="back").known() == ("site",)


# --- MD-04: extra keys --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: PatientMetadata(**{CANARY: CANARY}), MetadataError),
        (lambda: PatientMetadata(age=CANARY), MetadataError),
        (lambda: PatientMetadata.model_validate({f"{CANARY}\n": 1, "age_years": 3}), MetadataError),
        (lambda: PatientMetadata.model_validate({7391: 1}), MetadataError),
        (lambda: ImageInput(**{**IMAGE, CANARY: 1}), CaseError),
        (lambda: Case.model_validate({"images": [IMAGE], CANARY: CANARY}), CaseError),
        (lambda: Case.model_validate({"images": [{**IMAGE, CANARY: 1}]}), CaseError),
        (lambda: Case.model_validate({"images": [IMAGE], "patient": {CANARY: CANARY}}), MetadataError),
    ],
)
def test_an_extra_key_is_refused_and_the_allowed_ones_are_named(make, error):
    """A key may itself hold what is known about somebody, so it is not repeated."""
    with pytest.raises(error, match=r"an unknown field is given.*its fields are ") as caught:
        make()
    assert "7391" not in message(caught.value)


def test_many_extra_keys_make_a_short_message():
    with pytest.raises(MetadataError) as caught:
        PatientMetadata(**{f"{CANARY}{k}": k for k in range(10_000)})
    assert len(message(caught.value)) < 2000


# --- MD-05: hostile texts -----------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["age_years", "sex", "site"])
@pytest.mark.parametrize(
    "value",
    [
        CANARY + "\ud800",
        CANARY + "\0",
        "back\0",
        "\0",
        CANARY + "x" * 2**20,
        CANARY + "\n\r\x1b[31m",
        "\u202e" + CANARY,
    ],
)
def test_a_hostile_text_in_metadata_is_refused_at_once_with_a_short_message(field, value):
    start = time.process_time()
    with pytest.raises(MetadataError) as caught:
        PatientMetadata(**{field: value})
    assert time.process_time() - start < 2, "a linear check of a megabyte takes milliseconds"
    shown = message(caught.value)
    assert CANARY not in shown
    assert "\0" not in shown
    assert len(caught.value.safe_message) < 1000
    shown.encode()


@pytest.mark.parametrize(
    "change",
    [
        {"id": CANARY + "\ud800"},
        {"id": CANARY + "x" * 2**20},
        {"id": ""},
        {"id": 7391},
        {"images": CANARY},
        {"images": []},
        {"images": [CANARY]},
        {"images": {"modality": CANARY}},
        {"images": [IMAGE] * 65},
        {"images": None},
        {"images": [{**IMAGE, "modality": CANARY + "\ud800"}]},
        {"images": [{**IMAGE, "modality": CANARY * 10}]},
        {"images": [{**IMAGE, "modality": ""}]},
        {"images": [{**IMAGE, "modality": 7391}]},
        {"images": [{"modality": "photo", "path": 7391}]},
        {"images": [{"modality": "photo", "data": CANARY}]},
        {"patient": CANARY},
        {"patient": [CANARY]},
        {"patient": None},
        {"patient": {"age_years": 7391}},
        {"patient": {"site": CANARY}},
    ],
)
def test_a_case_of_another_form_is_refused_and_not_repeated(change):
    with pytest.raises(InputError) as caught:
        Case.model_validate({"images": [IMAGE], **change})
    shown = message(caught.value)
    assert "7391" not in shown
    assert len(caught.value.safe_message) < 1000
    assert type(caught.value) in (CaseError, MetadataError)


@pytest.mark.parametrize("raw", [None, 3, CANARY, [], [IMAGE], {}, {"images": [IMAGE, IMAGE, 4]}])
def test_what_is_no_case_at_all_is_refused(raw):
    with pytest.raises(CaseError) as caught:
        Case.model_validate(raw)
    assert CANARY not in message(caught.value)


@pytest.mark.parametrize("raw", ["null", "[]", '{"images": [1e400]}', '{"images": 3}'])
def test_json_that_holds_no_case_is_refused(raw):
    with pytest.raises(CaseError):
        Case.model_validate_json(raw)


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
_anything = st.recursive(
    _scalars, lambda s: st.lists(s, max_size=3) | st.dictionaries(st.text(), s, max_size=3), max_leaves=6
)
_fields = st.sampled_from(["age_years", "sex", "site", "images", "patient", "id", "modality", "path", "data"])


@settings(max_examples=120, deadline=None)
@given(raw=_anything | st.dictionaries(_fields | st.text(), _anything, max_size=5))
def test_no_input_ends_in_an_untyped_error(raw):
    for kind in (PatientMetadata, ImageInput, Case):
        try:
            kind.model_validate(raw)
        except DxtreeError as error:
            assert isinstance(error, InputError)
            assert len(error.safe_message) < 2000


# --- images -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sources", [{}, {"path": "a.png", "data": b"x"}, {"path": None, "data": None}])
def test_an_image_has_exactly_one_source(sources):
    with pytest.raises(CaseError, match="exactly one of path and data"):
        ImageInput(modality="photo", **sources)


def test_an_image_comes_from_a_path_or_from_bytes():
    assert ImageInput(modality="photo", path="a.png").source == Path("a.png")
    assert ImageInput(modality="photo", path=Path("a.png")).source == Path("a.png")
    assert ImageInput(modality="photo", data=b"x").source == b"x"
    assert ImageInput(modality="photo", data=b"").source == b""


def test_printing_a_case_shows_neither_path_nor_bytes():
    case = Case(
        images=(ImageInput(modality="m", path=CANARY), ImageInput(modality="m", data=CANARY.encode())),
    )
    assert CANARY not in f"{case!r} {case}"


# --- frozen, and back from JSON -----------------------------------------------------------------------


@pytest.fixture
def full():
    return Case(
        id="case 1",
        images=(ImageInput(modality="photo", path="a.png"), ImageInput(modality="scope", data=b"\xff\0x")),
        patient=PatientMetadata(age_years=45, sex="female", site="back"),
    )


@pytest.mark.parametrize(
    ("part", "field"), [("patient", "age_years"), ("patient", "new"), (None, "id"), (None, "images")]
)
def test_a_case_cannot_be_changed(full, part, field):
    target = getattr(full, part) if part else full
    with pytest.raises(ValidationError):
        setattr(target, field, 1)


@pytest.mark.parametrize("raw", ["", "{", f'{{"{CANARY}', f'{{"id": {CANARY}}}', '{"id": ' + "[" * 10_000])
def test_what_is_no_json_is_pydantics_error_and_not_repeated(raw):
    """No validator of ours runs before the text is parsed; whoever parses text handles this one."""
    with pytest.raises(ValidationError) as caught:
        Case.model_validate_json(raw)
    assert CANARY not in message(caught.value)
    assert len(message(caught.value)) < 1000


@pytest.mark.parametrize("path", ["a.png", "b/ä.png"])
def test_json_text_may_hold_a_path(path):
    raw = json.dumps({"images": [{"modality": "m", "path": path}], "patient": {"age_years": 45}})
    assert Case.model_validate_json(raw) == Case.model_validate(json.loads(raw))


def test_what_a_case_dumps_it_reads_back(full):
    assert Case.model_validate(full.model_dump()) == full
    assert pickle.loads(pickle.dumps(full)) == full  # noqa: S301
    text = Case(images=(ImageInput(modality="m", path="a"),), patient=full.patient)
    assert Case.model_validate_json(text.model_dump_json()) == text
    assert hash(text) == hash(Case.model_validate(text.model_dump()))


def test_a_case_is_made_from_what_json_holds():
    raw = json.loads(
        '{"images": [{"modality": "photo", "path": "a.png"}, {"modality": "ash", "path": "b.png"}],'
        ' "patient": {"age_years": 45, "sex": "unknown"}}'
    )
    case = Case.model_validate(raw)
    assert case.id == "case"
    assert case.modalities() == ("ash", "photo")
    assert case.patient == PatientMetadata(age_years=45)
    assert [i.source for i in case.images] == [Path("a.png"), Path("b.png")]


def test_a_case_without_metadata_knows_nothing():
    assert Case.model_validate({"images": [IMAGE]}).patient.known() == ()
    assert Case(images=[ImageInput(**IMAGE)]).patient == PatientMetadata()
