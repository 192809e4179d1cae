"""Do cohorts say what their folders say, refuse what they cannot read, and is the synthetic one true?"""

from __future__ import annotations

import ast
import csv
import importlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import chi2_contingency

import dxtree.cohorts
import dxtree.cohorts.plugin
from core.case import PatientMetadata
from core.cohort import LabelledImage, lesions
from core.errors import CohortError
from core.partition import partition_tree
from core.split import check_no_leak, split_by_component
from core.taxonomy import Taxonomy
from dxtree.cohorts import (
    HAM10000,
    ISIC,
    MILK10K,
    SYNTHETIC,
    Layout,
    SyntheticConfig,
    SyntheticLesion,
    fine_signal_taxonomy,
    make_lesion,
    official_class,
    read_isic,
    read_synthetic,
    synthetic_taxonomy,
    write_synthetic,
)
from dxtree.cohorts.synthetic.canvas import ByteImage
from dxtree.cohorts.synthetic.classes import CLASSES
from dxtree.cohorts.synthetic.clinical import clinical_view
from dxtree.cohorts.synthetic.dermoscopy import dermoscopy_view
from dxtree.cohorts.synthetic.truth import traits_of
from plugins.manager import PluginManager
from plugins.registry import Registry

ROW = {
    "isic_id": "ISIC_1",
    "lesion_id": "IL_1",
    "image_type": "dermoscopic",
    "age_approx": "60",
    "sex": "female",
    "site": "trunk",
    "diagnosis_1": "Benign",
    "diagnosis_2": "Benign epidermal proliferations",
    "diagnosis_3": "Seborrheic keratosis",
}
CANARY = "Mrs Canary of 5 Cage Lane"


@cache
def tree() -> Taxonomy:
    return Taxonomy.shipped("isic_diagnosis")


def table(rows: Iterable[Mapping[str, str]]) -> str:
    listed = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(listed[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return text.getvalue()


def folder(root: Path, content: str | bytes, images: Iterable[str] = ("ISIC_1.jpg",)) -> Path:
    (root / "images").mkdir(exist_ok=True)
    for name in images:
        (root / "images" / name).write_bytes(b"not opened by the reader")
    (root / "metadata.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def refusal(root: Path, content: str | bytes, layout: Layout = ISIC) -> str:
    with pytest.raises(CohortError) as caught:
        read_isic(folder(root, content), tree(), layout)
    return caught.value.safe_message


# The reader


def test_a_row_becomes_a_labelled_image(tmp_path: Path) -> None:
    (image,) = read_isic(folder(tmp_path, table([ROW])), tree(), ISIC)
    assert image == LabelledImage(
        image="ISIC_1",
        lesion="IL_1",
        modality="dermoscopy",
        path=tmp_path / "images" / "ISIC_1.jpg",
        label="Benign:Benign epidermal proliferations:Seborrheic keratosis",
        patient=PatientMetadata(age_years=60, sex="female", site="trunk"),
        cohort="isic",
    )


def test_empty_metadata_is_not_known(tmp_path: Path) -> None:
    row = ROW | {"age_approx": "", "sex": "", "site": ""}
    (image,) = read_isic(folder(tmp_path, table([row])), tree(), ISIC)
    assert image.patient == PatientMetadata()


def test_a_label_may_sit_on_an_inner_node(tmp_path: Path) -> None:
    (image,) = read_isic(folder(tmp_path, table([ROW | {"diagnosis_3": ""}])), tree(), ISIC)
    assert image.label == "Benign:Benign epidermal proliferations"


@pytest.mark.parametrize(
    ("term", "site"),
    [("head/neck", "head_neck"), ("posterior torso", "posterior_torso"), ("palms/soles", None), ("", None)],
)
def test_the_archive_s_own_site_terms_are_read(tmp_path: Path, term: str, site: str | None) -> None:
    row = {("anatom_site_general" if k == "site" else k): v for k, v in ROW.items()}
    row["anatom_site_general"] = term
    (image,) = read_isic(folder(tmp_path, table([row])), tree(), ISIC)
    assert image.patient.site == site


def test_a_byte_order_mark_and_foreign_line_ends_change_nothing(tmp_path: Path) -> None:
    plain = read_isic(folder(tmp_path, table([ROW])), tree(), ISIC)
    marked = b"\xef\xbb\xbf" + table([ROW]).replace("\n", "\r\n").encode()
    assert read_isic(folder(tmp_path, marked), tree(), ISIC) == plain


def test_without_a_folder_images_the_files_may_lie_anywhere_below(tmp_path: Path) -> None:
    (tmp_path / "IL_1").mkdir()
    (tmp_path / "IL_1" / "ISIC_1.JPG").write_bytes(b"")
    (tmp_path / "metadata.csv").write_text(table([ROW]), encoding="utf-8")
    (image,) = read_isic(tmp_path, tree(), ISIC)
    assert image.path == tmp_path / "IL_1" / "ISIC_1.JPG"


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"no metadata\.csv in the folder given for cohort isic"):
        read_isic(tmp_path, tree(), ISIC)


def test_missing_columns_are_named_all_at_once(tmp_path: Path) -> None:
    row = {k: v for k, v in ROW.items() if k not in ("lesion_id", "sex", "site")}
    message = refusal(tmp_path, table([row]), MILK10K)
    assert message == ("milk10k: metadata.csv lacks the columns lesion_id, sex, site or anatom_site_general")


@pytest.mark.parametrize("content", ["", "\n", "\ufeff"], ids=["nothing", "a line end", "only a mark"])
def test_an_empty_table_lacks_its_columns(tmp_path: Path, content: str) -> None:
    assert "lacks the columns isic_id" in refusal(tmp_path, content)


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    content = table([ROW]).replace("sex,", "sex,sex,", 1).replace("female,", "female,male,")
    assert refusal(tmp_path, content) == "isic: metadata.csv, line 1 names the column sex twice"


@pytest.mark.parametrize("line", ["ISIC_2,IL_2", table([ROW]).splitlines()[1] + ",more"])
def test_a_ragged_line_is_named_by_its_number_in_the_file(tmp_path: Path, line: str) -> None:
    content = table([ROW]) + "\n\n" + line + "\n"
    assert refusal(tmp_path, content) == "isic: metadata.csv, line 5 is ragged"


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_table_in_another_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    content = table([ROW | {"note": "Müller"}]).encode(encoding)
    assert refusal(tmp_path, content) == "isic: metadata.csv is not UTF-8; save it as such"


@pytest.mark.parametrize("field", ['"never closed', '"closed"early', "x" * 200_000])
def test_what_is_no_csv_is_refused_with_its_line(tmp_path: Path, field: str) -> None:
    content = table([ROW]) + field + ",IL_2\n"
    assert "metadata.csv, line 3 cannot be read as CSV" in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("isic_id", "ISIC_9", "the folder has no image file ISIC_9.* for isic_id"),
        ("isic_id", "", "isic_id is empty"),
        ("isic_id", "../metadata", "no image file"),
        ("lesion_id", "", "lesion_id is empty"),
        ("image_type", CANARY, "image_type must be one of dermoscopic, clinical: close-up"),
        ("site", CANARY, "site must be one of head_neck_face, trunk"),
        ("site", "Trunk", "site must be one of head_neck_face, trunk"),
        ("sex", CANARY, "sex must be one of female, male"),
        ("age_approx", CANARY, "age_approx is no number"),
        ("age_approx", "400", "age_approx must be a number from 0 to 120"),
        ("age_approx", "-1", "age_approx must be a number from 0 to 120"),
        ("age_approx", "nan", "age_approx must be a number from 0 to 120"),
        ("age_approx", "inf", "age_approx must be a number from 0 to 120"),
        ("diagnosis_1", CANARY, "diagnosis_1 names no node of 'isic_diagnosis' below 'root'"),
        ("diagnosis_1", "root", "diagnosis_1 names no node of 'isic_diagnosis' below 'root'"),
        ("diagnosis_1", "", "diagnosis_1 is empty"),
        ("diagnosis_2", "", "diagnosis_2 is empty"),
        ("diagnosis_3", CANARY, "diagnosis_3 names no node of 'isic_diagnosis' below 'Benign:Benign epi"),
        ("diagnosis_3", "Seborrheic keratoses", "did you mean 'Seborrheic keratosis'?"),
    ],
)
def test_a_refusal_names_file_line_and_column_and_repeats_no_value(
    tmp_path: Path, column: str, value: str, expected: str
) -> None:
    good = ROW | {"isic_id": "ISIC_0", "lesion_id": "IL_0"}
    folder(tmp_path, "", ["ISIC_0.jpg"])
    message = refusal(tmp_path, table([good, ROW | {column: value}]))
    assert message.startswith("isic: metadata.csv, line 3: ")
    assert expected in message
    assert "Canary" not in message
    assert "400" not in message


def test_a_repeated_image_id_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, table([ROW, ROW | {"lesion_id": "IL_2"}]))
    assert message == "isic: metadata.csv, line 3: image ISIC_1 stands twice; image ids are unique"


def test_two_files_of_one_image_are_refused(tmp_path: Path) -> None:
    folder(tmp_path, "", ["ISIC_1.png", "ISIC_1.txt"])
    assert "2 image files ISIC_1.*" in refusal(tmp_path, table([ROW]))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damaged_table_gets_anything_but_an_answer_or_a_cohort_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(table([ROW, ROW | {"isic_id": "ISIC_2"}]).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    root = folder(tmp_path_factory.mktemp("damaged"), bytes(content), ["ISIC_1.jpg", "ISIC_2.jpg"])
    try:
        read_isic(root, tree(), ISIC)
    except CohortError as error:
        assert error.safe_message


# Official classes


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Malignant", "MAL_OTH"),
        ("Malignant:Malignant epidermal proliferations", "SCCKA"),
        ("Malignant:Malignant epidermal proliferations:Squamous cell carcinoma in situ", "AKIEC"),
        (
            "Malignant:Malignant epidermal proliferations:Squamous cell carcinoma in situ:"
            "Squamous cell carcinoma in situ, Bowens disease",
            "AKIEC",
        ),
        ("Malignant:Malignant adnexal epithelial proliferations - Follicular", "MAL_OTH"),
        ("Benign:Benign epidermal proliferations:Porokeratosis", "INF"),
        ("Benign:Benign soft tissue proliferations - Fibro-histiocytic", "BEN_OTH"),
        ("Indeterminate", None),
        ("root", None),
    ],
)
def test_a_label_belongs_to_the_class_of_its_nearest_ancestor(label: str, expected: str | None) -> None:
    assert official_class(label, tree(), MILK10K.official_nodes) == expected


@pytest.mark.parametrize("layout", [MILK10K, HAM10000], ids=lambda layout: layout.name)
def test_official_nodes_exist_and_belong_to_one_class(layout: Layout) -> None:
    nodes = [node for owned in layout.official_nodes.values() for node in owned]
    assert not [node for node in nodes if node not in tree()]
    assert len(set(nodes)) == len(nodes)


def test_the_official_class_follows_from_the_label_where_the_table_has_none(tmp_path: Path) -> None:
    (image,) = read_isic(folder(tmp_path, table([ROW])), tree(), HAM10000)
    assert image.official == "BKL"


def test_the_table_s_own_class_counts_where_it_has_one(tmp_path: Path) -> None:
    row = ROW | {"milk_class": "INF", "skin_tone_class": "3"}
    (image,) = read_isic(folder(tmp_path, table([row])), tree(), MILK10K)
    assert (image.official, dict(image.groups)) == ("INF", {"skin_tone": "3"})


def test_columns_that_leak_the_label_reach_no_input(tmp_path: Path) -> None:
    plain = ROW | {
        "milk_class": "BKL",
        "diagnosis_confirm_type": "histopathology",
        "concomitant_biopsy": "True",
    }
    other = plain | {"milk_class": "NV", "diagnosis_confirm_type": "", "concomitant_biopsy": ""}
    first, second = (read_isic(folder(tmp_path, table([row])), tree(), MILK10K)[0] for row in (plain, other))
    assert replace(first, official=None) == replace(second, official=None)
    assert set(PatientMetadata.model_fields) == {"age_years", "sex", "site"}


# The public data sets, where they are


@cache
def public(name: str) -> list[LabelledImage]:
    root = os.environ.get("DXTREE_DATA")
    layout = {"milk10k": MILK10K, "ham10000": HAM10000}[name]
    if not root or not (Path(root) / name / "metadata.csv").is_file():
        pytest.skip(f"DXTREE_DATA names no folder with {name}/metadata.csv")
    return read_isic(Path(root) / name, tree(), layout)


def test_milk10k_holds_two_views_of_each_lesion() -> None:
    found = lesions(public("milk10k"))
    assert (len(public("milk10k")), len(found)) == (7780, 3890)
    assert all([i.modality for i in lesion.images] == ["clinical", "dermoscopy"] for lesion in found)


def test_ham10000_holds_several_images_of_some_lesions() -> None:
    images = public("ham10000")
    assert (len(images), len(lesions(images))) == (4429, 3336)
    assert {i.modality for i in images} == {"dermoscopy"}


def test_milk10k_s_classes_follow_from_its_labels_but_for_two_lesions() -> None:
    differing = Counter(
        (lesion.label, lesion.official, derived)
        for lesion in lesions(public("milk10k"))
        if (derived := official_class(lesion.label, tree(), MILK10K.official_nodes)) != lesion.official
    )
    assert differing == {("Benign:Benign soft tissue proliferations - Vascular", "BEN_OTH", "VASC"): 2}


def test_every_label_of_ham10000_lies_in_one_of_its_seven_classes() -> None:
    counted = Counter(i.official for i in public("ham10000"))
    assert counted == {"NV": 1400, "BKL": 1028, "MEL": 965, "BCC": 475, "AKIEC": 320, "VASC": 133, "DF": 108}


def test_lesions_that_both_sets_share_never_straddle_the_split_of_the_union() -> None:
    milk, ham = public("milk10k"), public("ham10000")
    shared = {i.lesion for i in milk} & {i.lesion for i in ham}
    assert len(shared) == 397
    assert not {i.image for i in milk} & {i.image for i in ham}
    split = split_by_component([*milk, *ham])
    training, validation = (split.select([*milk, *ham], part) for part in ("training", "validation"))
    check_no_leak(training, validation, ("training", "validation"))
    assert len(training) + len(validation) == len(milk) + len(ham)
    assert 0.15 < len(validation) / len(training) < 0.35


def test_the_two_sets_never_contradict_each_other_on_a_shared_lesion() -> None:
    ham = {lesion.lesion: lesion.official for lesion in lesions(public("ham10000"))}
    pairs = {
        (lesion.official, ham[lesion.lesion]) for lesion in lesions(public("milk10k")) if lesion.lesion in ham
    }
    assert {pair for pair in pairs if pair[0] != pair[1]} == set()


# The synthetic cohort: determinism


def truth(index: int, seed: int = 0, signal: bool = True) -> SyntheticLesion:
    return make_lesion(seed, index, metadata_signal=signal, views=())


@pytest.mark.parametrize("index", range(4))
def test_a_seed_and_an_index_give_the_same_bytes_whatever_was_made_before(index: int) -> None:
    first = make_lesion(5, index)
    make_lesion(6, index + 1, size=96)
    second = make_lesion(5, index)
    assert first.jpegs == second.jpegs
    assert (first.label, first.person) == (second.label, second.person)


def test_one_view_alone_is_the_same_as_beside_the_other() -> None:
    both = make_lesion(0, 3)
    for view in ("clinical", "dermoscopy"):
        alone = make_lesion(0, 3, views=(view,))
        assert alone.jpegs == {view: both.jpegs[view]}
        assert (alone.label, alone.person) == (both.label, both.person)


def test_another_seed_gives_other_lesions() -> None:
    assert make_lesion(0, 0, size=64).jpegs != make_lesion(1, 0, size=64).jpegs
    assert [truth(i).person for i in range(20)] != [truth(i, seed=1).person for i in range(20)]


def test_the_scene_is_the_same_at_every_size() -> None:
    large, small = make_lesion(0, 4, size=192), make_lesion(0, 4, size=96)
    for view, pixels in large.images.items():
        shrunk = np.asarray(Image.fromarray(pixels).resize((96, 96), Image.Resampling.BOX), float)
        assert np.abs(shrunk - small.images[view]).mean() < 6


def test_pictures_are_read_only_colour_squares() -> None:
    for pixels in make_lesion(0, 0, size=128).images.values():
        assert (pixels.shape, pixels.dtype.name) == ((128, 128, 3), "uint8")
        assert not pixels.flags.writeable
        assert pixels.std() > 5


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: make_lesion(-1, 0), "seed and the index"),
        (lambda: make_lesion(0, -1), "seed and the index"),
        (lambda: make_lesion(0, 0, size=63), "size is 63; synthetic images have 64 to 1024"),
        (lambda: make_lesion(0, 0, views=("dermoscopic",)), "did you mean 'dermoscopy'?"),
        (lambda: SyntheticConfig(lesions=0), "at least one lesion"),
        (lambda: SyntheticConfig(views=()), "one view"),
        (lambda: SyntheticConfig(views=("clinical", "clinical")), "each view once"),
        (lambda: SyntheticConfig(size=4000), "size is 4000"),
        (lambda: SyntheticConfig(seed=-3), "seed"),
    ],
)
def test_what_no_lesion_can_be_made_of_is_refused(make: Callable[[], object], expected: str) -> None:
    with pytest.raises(CohortError) as caught:
        make()
    assert expected in caught.value.safe_message


# The synthetic cohort: truth


def test_the_tree_has_three_seven_and_fifteen_nodes() -> None:
    taxonomy = synthetic_taxonomy()
    assert [len(taxonomy.level(depth)) for depth in (1, 2, 3)] == [3, 7, 15]
    assert Taxonomy.from_paths("synthetic", [one.path for one in CLASSES]).fingerprint == taxonomy.fingerprint


def test_labels_sit_on_every_leaf_and_on_one_inner_node() -> None:
    taxonomy = synthetic_taxonomy()
    labels = {truth(i).label for i in range(300)}
    assert {node for node in labels if not taxonomy.is_leaf(node)} == {"Benign:Melanocytic nevus"}
    assert {node for node in taxonomy if taxonomy.is_leaf(node)} < labels


def test_six_hundred_lesions_make_the_partition_merge_split_and_keep_a_residual() -> None:
    counts = Counter(truth(i).label for i in range(600))
    assert max(counts.values()) > 4 * min(counts.values()) > 40
    ids = partition_tree(synthetic_taxonomy(), counts, max_size=60).ids
    assert "Benign:Melanocytic nevus~" in ids
    assert "Benign:Benign vascular" in ids
    assert "Benign:Melanocytic nevus:Common nevus" in ids


@pytest.mark.parametrize("index", range(6))
def test_the_inner_pattern_leaves_no_trace_in_the_clinical_view(index: int) -> None:
    traits = traits_of(0, index)
    other = replace(
        traits,
        clarity=0.1,
        look=replace(traits.look, pattern="network" if traits.look.pattern != "network" else "dotted"),
    )
    assert same(clinical_view(0, index, traits, 96), clinical_view(0, index, other, 96))
    assert not same(dermoscopy_view(0, index, traits, 96), dermoscopy_view(0, index, other, 96))


@pytest.mark.parametrize("index", range(6))
def test_relief_scale_and_crust_leave_no_trace_in_dermoscopy(index: int) -> None:
    traits = traits_of(0, index)
    look = traits.look
    other = replace(traits, look=replace(look, elevation=1 - look.elevation, scale=0.6, crust=0.5))
    assert same(dermoscopy_view(0, index, traits, 96), dermoscopy_view(0, index, other, 96))
    assert not same(clinical_view(0, index, traits, 96), clinical_view(0, index, other, 96))


def same(first: ByteImage, second: ByteImage) -> bool:
    return bool((first == second).all())


PAIRS = [
    ("Spitz nevus", "Nodular melanoma"),
    ("Angioma", "Pyogenic granuloma"),
    ("Eczema", "Tinea"),
]


def named(name: str) -> str:
    return next(c.label for c in CLASSES if c.path[-1] == name)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_look_alikes_have_one_look_and_another_age(one: str, other: str) -> None:
    first, second = (next(c for c in CLASSES if c.path[-1] == name) for name in (one, other))
    assert first.look == second.look
    assert age_order(first.label, second.label, signal=True) > 0.9
    assert 0.35 < age_order(first.label, second.label, signal=False) < 0.65


def age_order(one: str, other: str, *, signal: bool) -> float:
    """Probability that the older of two patients has the diagnosis whose patients are older, from 0 to 1."""
    drawn = cohort(signal=signal)
    ages = [
        np.array([float(x.person.age) for x in drawn if x.label == node and x.person.age])
        for node in (one, other)
    ]
    above = ages[0][:, None] - ages[1][None, :]
    share = float(((above > 0) + 0.5 * (above == 0)).mean())
    return max(share, 1 - share) if signal else share


@cache
def cohort(*, signal: bool) -> list[SyntheticLesion]:
    return [truth(i, signal=signal) for i in range(3000)]


def association(drawn: Iterable[SyntheticLesion], value: Callable[[SyntheticLesion], str]) -> float:
    """p of a chi-square test of independence between the diagnosis and a value."""
    counted = Counter((x.label, value(x)) for x in drawn)
    rows, columns = ({key[k] for key in counted} for k in (0, 1))
    return float(chi2_contingency([[counted[r, c] for c in sorted(columns)] for r in sorted(rows)]).pvalue)


FIELDS: dict[str, Callable[[SyntheticLesion], str]] = {
    "age": lambda x: str(int(x.person.age or -15) // 15),
    "sex": lambda x: x.person.sex,
    "site": lambda x: x.person.site,
}


@pytest.mark.parametrize("field", FIELDS)
def test_metadata_tell_of_the_diagnosis_unless_switched_off(field: str) -> None:
    assert association(cohort(signal=True), FIELDS[field]) < 1e-12
    assert association(cohort(signal=False), FIELDS[field]) > 0.001


@pytest.mark.parametrize("field", FIELDS)
def test_switching_the_signal_off_keeps_the_distribution_of_metadata(field: str) -> None:
    on, off = (Counter(map(FIELDS[field], cohort(signal=signal))) for signal in (True, False))
    for value in on:
        assert abs(on[value] - off[value]) < 0.03 * 3000


def test_switching_the_signal_off_changes_no_picture_and_no_label() -> None:
    on, off = make_lesion(0, 2), make_lesion(0, 2, metadata_signal=False)
    assert (on.jpegs, on.label) == (off.jpegs, off.label)
    assert [x.label for x in cohort(signal=True)] == [x.label for x in cohort(signal=False)]


def test_what_is_missing_and_the_skin_tone_say_nothing_about_the_diagnosis() -> None:
    drawn = cohort(signal=True)
    for field in ("age", "sex", "site"):
        share = sum(getattr(x.person, field) == "" for x in drawn) / len(drawn)
        assert 0.03 < share < 0.15
        assert association(drawn, lambda x, field=field: str(getattr(x.person, field) == "")) > 0.001  # type: ignore[misc]
    assert association(drawn, lambda x: str(x.skin_tone)) > 0.001
    assert {x.skin_tone for x in drawn} == set(range(6))


def test_a_case_holds_both_views_and_the_patient_and_not_the_truth() -> None:
    lesion = make_lesion(0, 1, size=96)
    case = lesion.case()
    assert case.modalities() == ("clinical", "dermoscopy")
    assert case.patient == lesion.patient
    assert {i.modality: i.data for i in case.images} == lesion.jpegs
    for part in lesion.label.lower().split(":"):
        assert part not in case.id.lower()


# The synthetic cohort: folders


def test_a_written_cohort_reads_back_with_its_truth(tmp_path: Path) -> None:
    config = SyntheticConfig(lesions=12, seed=4, size=96)
    told: list[tuple[int, int]] = []
    root = write_synthetic(tmp_path / "drawn", config, lambda *done: told.append(done))
    images = read_synthetic(root, synthetic_taxonomy())
    assert told == [(k, 12) for k in range(1, 13)]
    assert len(images) == 24
    found = {lesion.lesion: lesion for lesion in lesions(images)}
    for made in config.make():
        lesion = found[made.lesion]
        assert (lesion.label, lesion.patient) == (made.label, made.patient)
        assert [i.patient for i in lesion.images] == [made.patient] * 2
        assert {i.modality: i.path.read_bytes() for i in lesion.images} == made.jpegs
        assert lesion.groups == {"skin_tone": str(made.skin_tone)}
        assert lesion.official == official_class(made.label, synthetic_taxonomy(), SYNTHETIC.official_nodes)


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    config = SyntheticConfig(lesions=3, size=64, views=("dermoscopy",))
    first, second = (write_synthetic(tmp_path / name, config) for name in ("first", "second"))
    names = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(second) for p in second.rglob("*") if p.is_file())
    assert len(names) == 4
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_a_folder_that_holds_a_table_is_left_alone(tmp_path: Path) -> None:
    folder(tmp_path, table([ROW]))
    with pytest.raises(CohortError, match=r"holds a metadata\.csv already"):
        write_synthetic(tmp_path, SyntheticConfig(lesions=1, size=64))
    assert (tmp_path / "metadata.csv").read_text() == table([ROW])


def test_a_cohort_that_was_cut_short_has_no_table_and_can_be_written_again(tmp_path: Path) -> None:
    config = SyntheticConfig(lesions=3, size=64)

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synthetic(tmp_path, config, stop)
    assert not (tmp_path / "metadata.csv").exists()
    write_synthetic(tmp_path, config)
    assert len(read_synthetic(tmp_path, synthetic_taxonomy())) == 6


# The door


def test_the_plugin_offers_cohorts_and_trees_by_name(tmp_path: Path) -> None:
    manager = PluginManager()
    manager.add(dxtree.cohorts.plugin, "cohorts")
    registry = Registry.of(manager)
    assert [status.cause for status in manager.statuses] == [None]
    assert registry.cohorts.names() == (
        "bcn20000", "ddi", "derm7pt", "fine_signal", "fitzpatrick17k", "fitzpatrick17k_esteva", "ham10000",
        "isic", "isic_2019", "isic_2020", "milk10k", "pad_ufes_20", "scin", "synthetic",
    )  # fmt: skip
    assert registry.taxonomies.names() == ("esteva_2017", "fine_signal", "isic_diagnosis", "synthetic")
    for name in registry.taxonomies.names():
        assert registry.taxonomies.get(name).load().name == name
    assert registry.cohorts.get("milk10k").official_nodes == MILK10K.official_nodes
    read = registry.cohorts.get("isic").read
    assert [i.cohort for i in read(folder(tmp_path, table([ROW])), tree())] == ["isic"]


def test_the_malignant_node_of_every_cohort_stands_in_its_tree() -> None:
    own = {
        "synthetic": synthetic_taxonomy(),
        "fine_signal": fine_signal_taxonomy(),
        "fitzpatrick17k_esteva": Taxonomy.shipped("esteva_2017"),
    }
    for spec in dxtree.cohorts.plugin.dxtree_cohorts():
        taxonomy = own.get(spec.name, tree())
        assert spec.malignant in taxonomy
        assert not [n for owned in spec.official_nodes.values() for n in owned if n not in taxonomy]


@pytest.mark.parametrize("name", ["dxtree.cohorts", "dxtree.cohorts.synthetic"])
def test_a_front_door_holds_imports_and_a_sorted_all_and_nothing_else(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    body = ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body
    assert [type(node) for node in body[1:-1]] == [ast.ImportFrom] * (len(body) - 2)
    assert sorted(module.__all__, key=lambda n: (not n.isupper(), n[0].islower(), n)) == module.__all__
    assert all(hasattr(module, one) for one in module.__all__)
