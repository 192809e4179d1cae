"""Are public data sets read as people download them, with nothing lost unseen and no fault passed over?"""

from __future__ import annotations

import csv
import io
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import dxtree.cohorts.plugin
from core.case import PatientMetadata, body_sites
from core.cohort import lesions
from core.errors import CohortError
from core.taxonomy import Taxonomy
from dxtree.cohorts import (
    ADAPTERS,
    CohortSurvey,
    official_class,
    survey_cohort,
)
from dxtree.cohorts.fitzpatrick17k import NINE
from dxtree.cohorts.flat import FlatSet
from dxtree.cohorts.isic import SITES
from dxtree.cohorts.labels import common_node, shipped_nodes
from dxtree.cohorts.milk10k import survey_milk10k
from dxtree.cohorts.scin import BODY_PARTS
from dxtree.cohorts.terms import DERM7PT_SITES, HAM10000_SITES, PAD_UFES_20_SITES

NEVUS = "Benign:Benign melanocytic proliferations:Nevus"
MELANOMA = "Malignant:Malignant melanocytic proliferations (Melanoma)"
BASAL = "Malignant:Malignant adnexal epithelial proliferations - Follicular:Basal cell carcinoma"
EPIDERMAL = "Benign:Benign epidermal proliferations"
SQUAMOUS = "Malignant:Malignant epidermal proliferations"
ACTINIC = "Indeterminate:Indeterminate epidermal proliferations:Solar or actinic keratosis"
INFLAMMATORY = "Benign:Inflammatory or infectious diseases"
CANARY = "Mrs Canary of 5 Cage Lane"


@cache
def tree(name: str = "isic_diagnosis") -> Taxonomy:
    return Taxonomy.shipped(name)


@cache
def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "pink").save(file, "JPEG")
    return file.getvalue()


def put(root: Path, tables: Mapping[str, str | bytes], images: Iterable[str]) -> Path:
    """Writes tables and one tiny JPEG under each name, whatever its suffix."""
    for name, content in tables.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(jpeg())
    return root


def text(columns: str, *rows: Sequence[object]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns.split(","))
    writer.writerows(rows)
    return file.getvalue()


def survey(name: str, root: Path, taxonomy: str = "isic_diagnosis") -> CohortSurvey:
    return survey_cohort(name, root, tree(taxonomy))


def refusal(name: str, root: Path, taxonomy: str = "isic_diagnosis") -> str:
    with pytest.raises(CohortError) as caught:
        survey(name, root, taxonomy)
    return caught.value.safe_message


# PAD-UFES-20

PAD = (
    "patient_id,lesion_id,smoke,drink,background_father,background_mother,age,pesticide,gender,"
    "skin_cancer_history,cancer_history,has_piped_water,has_sewage_system,fitspatrick,region,diameter_1,"
    "diameter_2,diagnostic,itch,grew,hurt,changed,bleed,elevation,img_id,biopsed"
)


def pad_row(
    patient: str = "PAT_46", lesion: str = "881", image: str = "939", **other: object
) -> list[object]:
    row: dict[str, object] = dict.fromkeys(PAD.split(","), "")
    row |= {"patient_id": patient, "lesion_id": lesion, "age": 55, "gender": "FEMALE", "fitspatrick": "3.0"}
    row |= {
        "region": "NECK",
        "diagnostic": "BCC",
        "biopsed": "True",
        "img_id": f"{patient}_{lesion}_{image}.png",
    }
    return list((row | other).values())


def pad(root: Path, *rows: list[object]) -> Path:
    names = [f"imgs_part_{1 + k % 3}/{row[PAD.split(',').index('img_id')]}" for k, row in enumerate(rows)]
    return put(root, {"metadata.csv": text(PAD, *rows)}, names)


def test_pad_ufes_20_is_read_with_patients_and_skin_types(tmp_path: Path) -> None:
    root = pad(
        tmp_path,
        pad_row(),
        pad_row(image="14"),
        pad_row(lesion="882", diagnostic="SCC", region="THIGH"),
        pad_row("PAT_1516", "1765", "530", age=8, gender="", region="ARM", fitspatrick="", diagnostic="NEV"),
    )
    found = survey("pad_ufes_20", root)
    first, _, second, nevus = found.images
    assert found.lost == 0
    assert first.path == root / "imgs_part_1" / "PAT_46_881_939.png"
    assert (first.image, first.lesion, first.person) == ("PAT_46_881_939", "PAT_46_881", "PAT_46")
    assert (first.modality, first.label, first.official) == ("clinical", BASAL, "BCC")
    assert first.patient == PatientMetadata(age_years=55, sex="female", site="neck")
    assert dict(first.groups) == {"fitzpatrick": "3"}
    assert (second.label, second.person, second.lesion) == (SQUAMOUS, "PAT_46", "PAT_46_882")
    assert nevus.patient == PatientMetadata(age_years=8, site="arm")
    assert dict(nevus.groups) == {}
    assert [len(lesion.images) for lesion in lesions(found.images)] == [1, 2, 1]


def test_a_biopsy_never_reaches_an_image(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    yes = survey("pad_ufes_20", pad(tmp_path / "a", pad_row())).images[0]
    no = survey("pad_ufes_20", pad(tmp_path / "b", pad_row(biopsed="False"))).images[0]
    assert replace(yes, path=no.path) == no


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("diagnostic", CANARY, "diagnostic must be one of ACK, BCC, MEL, NEV, SCC, SEK"),
        ("gender", CANARY, "gender must be one of FEMALE, MALE"),
        ("gender", "female", "gender must be one of FEMALE, MALE"),
        ("region", CANARY, "region must be one of ABDOMEN, ARM"),
        ("age", CANARY, "age is no number"),
        ("age", "400", "age must be a number from 0 to 120"),
        ("img_id", "PAT_9_9_9.png", "the folder has no image file PAT_9_9_9.* for img_id"),
        ("img_id", "", "img_id is empty"),
    ],
)
def test_a_refusal_names_file_line_and_column_and_no_value(
    tmp_path: Path, column: str, value: str, expected: str
) -> None:
    rows = [pad_row(), pad_row(image="14")]
    root = pad(tmp_path, *rows)
    rows[1][PAD.split(",").index(column)] = value
    (root / "metadata.csv").write_text(text(PAD, *rows))
    message = refusal("pad_ufes_20", root)
    assert message.startswith("pad_ufes_20: metadata.csv, line 3: ")
    assert expected in message
    assert "Canary" not in message
    assert "400" not in message


def test_an_image_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    message = refusal("pad_ufes_20", pad(tmp_path, pad_row(), pad_row()))
    assert message == (
        "pad_ufes_20: metadata.csv, line 3: image PAT_46_881_939 stands twice; image ids are unique"
    )


def test_every_missing_image_is_counted_and_the_first_is_named(tmp_path: Path) -> None:
    rows = [pad_row(image=str(k)) for k in range(4)]
    message = refusal(
        "pad_ufes_20", put(tmp_path, {"metadata.csv": text(PAD, *rows)}, ["x/PAT_46_881_0.png"])
    )
    assert "line 3: the folder has no image file PAT_46_881_1.* for img_id" in message
    assert message.endswith("delete the row (and so for 2 further rows)")


def test_missing_columns_are_named_and_further_ones_are_not_needed(tmp_path: Path) -> None:
    columns = PAD.replace("gender,", "").replace(",fitspatrick", "")
    root = put(tmp_path, {"metadata.csv": text(columns)}, [])
    assert refusal("pad_ufes_20", root) == "pad_ufes_20: metadata.csv lacks the columns gender, fitspatrick"
    few = "img_id,diagnostic,patient_id,lesion_id,age,gender,region,fitspatrick,further"
    row = ["a.png", "NEV", "P", "1", "", "", "", "", "anything"]
    assert len(survey("pad_ufes_20", put(tmp_path, {"metadata.csv": text(few, row)}, ["a.png"])).images) == 1


def test_a_byte_order_mark_and_foreign_line_ends_change_nothing(tmp_path: Path) -> None:
    root = pad(tmp_path, pad_row())
    plain = survey("pad_ufes_20", root)
    content = text(PAD, pad_row()).replace("\n", "\r\n").encode()
    (root / "metadata.csv").write_bytes(b"\xef\xbb\xbf" + content)
    assert survey("pad_ufes_20", root) == plain


def test_another_encoding_is_refused(tmp_path: Path) -> None:
    content = text(PAD, pad_row(background_father="Österreich")).encode("latin-1")
    root = put(tmp_path, {"metadata.csv": content}, ["PAT_46_881_939.png"])
    assert refusal("pad_ufes_20", root) == "pad_ufes_20: metadata.csv is not UTF-8; save it as such"


def test_a_lesion_of_two_diagnoses_is_refused_when_lesions_are_formed(tmp_path: Path) -> None:
    found = survey("pad_ufes_20", pad(tmp_path, pad_row(), pad_row(image="14", diagnostic="NEV")))
    with pytest.raises(CohortError, match="lesion PAT_46_881 is labelled"):
        lesions(found.images)


# Derm7pt

DERM7PT = (
    "case_num,diagnosis,seven_point_score,pigment_network,streaks,pigmentation,regression_structures,"
    "dots_and_globules,blue_whitish_veil,vascular_structures,level_of_diagnostic_difficulty,elevation,location,"
    "sex,management,clinic,derm,case_id,notes"
)


def derm7pt_row(number: int, diagnosis: str, location: str = "back", sex: str = "male") -> list[object]:
    found = ["absent"] * 7
    views = [f"NEL/NEL{number:03d}.JPG", f"NEL/Nel{number + 500:03d}.jpg"]
    return [number, diagnosis, 0, *found, "low", "flat", location, sex, "excision", *views, "", ""]


def derm7pt(root: Path, *rows: list[object], **tables: str) -> Path:
    content = {"meta/meta.csv": text(DERM7PT, *rows)} | {f"meta/{k}.csv": v for k, v in tables.items()}
    # the files on the disk are written in another case than in the table
    images = [f"images/{str(row[k]).replace('NEL/', 'nel/')}" for row in rows for k in (15, 16)]
    return put(root, content, images)


def test_derm7pt_gives_two_views_of_each_lesion(tmp_path: Path) -> None:
    root = derm7pt(
        tmp_path,
        derm7pt_row(1, "basal cell carcinoma", "head neck", "female"),
        derm7pt_row(2, "melanoma (less than 0.76 mm)", "acral"),
        derm7pt_row(3, "miscellaneous"),
        train_indexes="indexes\n0\n",
        test_indexes="indexes\n1\n2\n",
    )
    found = survey("derm7pt", root)
    first, second = lesions(found.images)
    assert [(i.image, i.modality) for i in first.images] == [
        ("derm7pt_1_clinic", "clinical"),
        ("derm7pt_1_derm", "dermoscopy"),
    ]
    assert [i.path.name for i in first.images] == ["NEL001.JPG", "Nel501.jpg"]
    assert (first.label, first.official) == (BASAL, "BCC")
    assert first.patient == PatientMetadata(sex="female", site="head_neck")
    assert dict(first.groups) == {"official_part": "train"}
    assert (second.label, second.official) == (f"{MELANOMA}:Melanoma Invasive", "MEL")
    assert (second.patient.site, dict(second.groups)) == (None, {"official_part": "test"})
    assert found.unmapped == {"miscellaneous": 2}
    assert found.sites == {"acral": 2}


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"train_indexes": "indexes\n1\n"}, "train_indexes.csv, line 2: indexes must be a row of meta.csv"),
        ({"train_indexes": "indexes\n-1\n"}, "train_indexes.csv, line 2: indexes must be a row of meta.csv"),
        ({"train_indexes": "indexes\n0\n", "test_indexes": "indexes\n0\n"}, "two of the index files"),
        ({"valid_indexes": "rows\n0\n"}, "valid_indexes.csv lacks the columns indexes"),
    ],
)
def test_index_files_that_do_not_fit_the_table_are_refused(
    tmp_path: Path, tables: dict[str, str], expected: str
) -> None:
    assert expected in refusal("derm7pt", derm7pt(tmp_path, derm7pt_row(1, "blue nevus"), **tables))


def test_derm7pt_refuses_a_diagnosis_that_is_none_of_its_own(tmp_path: Path) -> None:
    message = refusal("derm7pt", derm7pt(tmp_path, derm7pt_row(1, "blue naevus")))
    assert message == (
        "derm7pt: meta.csv, line 2: diagnosis is none of the 20 labels of this set; correct the table; "
        "did you mean 'blue nevus'?"
    )


# ISIC 2019

TRUTH_2019 = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
META_2019 = "image,age_approx,anatom_site_general,lesion_id,sex"


def hot(image: str, name: str) -> list[object]:
    return [image, *("1.0" if c == name else "0.0" for c in TRUTH_2019.split(",")[1:])]


def isic_2019(root: Path, truth: Sequence[Sequence[object]], meta: Sequence[Sequence[object]]) -> Path:
    tables = {
        "ISIC_2019_Training_GroundTruth.csv": text(TRUTH_2019, *truth),
        "ISIC_2019_Training_Metadata.csv": text(META_2019, *meta),
    }
    inputs = "ISIC_2019_Training_Input/ISIC_2019_Training_Input"
    return put(root, tables, [f"{inputs}/{row[0]}.jpg" for row in meta])


def test_isic_2019_joins_truth_and_metadata_in_any_order(tmp_path: Path) -> None:
    root = isic_2019(
        tmp_path,
        [hot("ISIC_0000002_downsampled", "MEL"), hot("ISIC_0024310", "BKL"), hot("ISIC_0053453", "UNK")],
        [
            ["ISIC_0024310", "60.0", "palms/soles", "HAM_0000550", "female"],
            ["ISIC_0053453", "", "", "", ""],
            ["ISIC_0000002_downsampled", "30.0", "upper extremity", "", "male"],
        ],
    )
    found = survey("isic_2019", root)
    bkl, melanoma = found.images
    assert (bkl.image, bkl.lesion, bkl.label, bkl.official) == (
        "ISIC_0024310",
        "HAM_0000550",
        EPIDERMAL,
        "BKL",
    )
    assert bkl.patient == PatientMetadata(age_years=60, sex="female")
    assert (melanoma.image, melanoma.lesion, melanoma.label) == ("ISIC_0000002", "ISIC_0000002", MELANOMA)
    assert melanoma.path.name == "ISIC_0000002_downsampled.jpg"
    assert melanoma.patient == PatientMetadata(age_years=30, sex="male", site="upper_extremity")
    assert (found.unmapped, found.sites, found.alone) == ({"UNK": 1}, {"palms/soles": 1}, 1)


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        (["ISIC_1", *["0.0"] * 9], "exactly one of MEL, NV"),
        (["ISIC_1", "1.0", "1.0", *["0.0"] * 7], "exactly one of MEL, NV"),
        (["ISIC_1", "0.5", "0.5", *["0.0"] * 7], "exactly one of MEL, NV"),
        (["ISIC_1", "yes", *["0.0"] * 8], "exactly one of MEL, NV"),
        (["ISIC_1", "nan", "1.0", *["0.0"] * 7], "exactly one of MEL, NV"),
        (["ISIC_2", "1.0", *["0.0"] * 8], "image has no line in the ground truth"),
    ],
)
def test_a_truth_that_names_no_one_class_is_refused(
    tmp_path: Path, truth: list[object], expected: str
) -> None:
    assert expected in refusal("isic_2019", isic_2019(tmp_path, [truth], [["ISIC_1", "", "", "L", ""]]))


def test_a_truth_without_metadata_is_refused(tmp_path: Path) -> None:
    root = isic_2019(tmp_path, [hot("ISIC_1", "NV"), hot("ISIC_2", "NV")], [["ISIC_1", "", "", "L", ""]])
    assert "GroundTruth.csv, line 3: image has no line in the metadata" in refusal("isic_2019", root)


# ISIC 2020

META_2020 = (
    "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"
)
V2_2020 = META_2020.replace("patient_id,", "patient_id,lesion_id,")


def test_isic_2020_groups_by_patient_and_knows_no_more_than_the_table(tmp_path: Path) -> None:
    rows = [
        ["ISIC_2637011", "IP_7279968", "male", "45.0", "head/neck", "unknown", "benign", 0],
        ["ISIC_0015719", "IP_7279968", "female", "", "torso", "melanoma", "malignant", 1],
        ["ISIC_0052212", "IP_2842074", "", "50.0", "", "nevus", "benign", 0],
    ]
    root = put(tmp_path, {"train.csv": text(META_2020, *rows)}, [f"jpeg/train/{row[0]}.jpg" for row in rows])
    found = survey("isic_2020", root)
    unknown, melanoma, nevus = found.images
    assert (unknown.label, unknown.official, unknown.person) == ("Benign", "benign", "IP_7279968")
    assert (unknown.image, unknown.lesion) == ("ISIC_2637011", "ISIC_2637011")
    assert (melanoma.label, melanoma.official, melanoma.patient.site) == (MELANOMA, "malignant", "trunk")
    assert (nevus.label, nevus.patient) == (NEVUS, PatientMetadata(age_years=50))
    assert found.alone == 3


def test_isic_2020_takes_lesions_from_the_second_version_and_leaves_listed_duplicates_out(
    tmp_path: Path,
) -> None:
    rows = [
        ["ISIC_1", "IP_1", "IL_1", "male", "45.0", "torso", "nevus", "benign", 0],
        ["ISIC_2", "IP_1", "IL_1", "male", "45.0", "torso", "nevus", "benign", 0],
        ["ISIC_3", "IP_2", "IL_2", "male", "45.0", "torso", "nevus", "benign", 0],
    ]
    tables = {
        "ISIC_2020_Training_GroundTruth_v2.csv": text(V2_2020, *rows),
        "ISIC_2020_Training_Duplicates.csv": text("image_name_1,image_name_2", ["ISIC_1", "ISIC_3"]),
    }
    found = survey("isic_2020", put(tmp_path, tables, [f"train/{row[0]}.jpg" for row in rows]))
    assert [i.lesion for i in found.images] == ["IL_1", "IL_1"]
    assert found.left_out == {"a duplicate by ISIC_2020_Training_Duplicates.csv": 1}


def test_isic_2020_refuses_a_kind_that_is_neither(tmp_path: Path) -> None:
    row = ["ISIC_1", "IP_1", "male", "45.0", "torso", "nevus", "", 0]
    root = put(tmp_path, {"train.csv": text(META_2020, row)}, ["ISIC_1.jpg"])
    assert "line 2: benign_malignant must be one of benign, malignant" in refusal("isic_2020", root)


# BCN20000

BCN = "bcn_filename,age_approx,anatom_site_general,diagnosis,lesion_id,capture_date,sex,split"
ARCHIVE = (
    "isic_id,attribution,copyright_license,age_approx,anatom_site_general,anatom_site_special,"
    "concomitant_biopsy,diagnosis_1,diagnosis_2,diagnosis_3,diagnosis_confirm_type,image_type,lesion_id,sex"
)


def archive_row(image: str, lesion: str, *diagnosis: str) -> list[object]:
    shown = [image, "someone", "CC-BY-NC", "55.0", "anterior torso", "", "True"]
    return [*shown, *diagnosis, "histopathology", "dermoscopic", lesion, "male"]


def test_bcn20000_is_read_from_its_own_table(tmp_path: Path) -> None:
    rows = [
        ["BCN_0000000001.jpg", "55.0", "anterior torso", "MEL", "BCN_0003884", "2012-05-16", "male", "train"],
        ["BCN_0000000002.jpg", "", "", "AK", "", "2012-05-16", "", "train"],
    ]
    root = put(tmp_path, {"bcn_20k_train.csv": text(BCN, *rows)}, [f"BCN_20k_train/{r[0]}" for r in rows])
    melanoma, keratosis = survey("bcn20000", root).images
    assert (melanoma.image, melanoma.lesion, melanoma.label) == ("BCN_0000000001", "BCN_0003884", MELANOMA)
    assert melanoma.patient == PatientMetadata(age_years=55, sex="male", site="anterior_torso")
    assert (keratosis.lesion, keratosis.label, keratosis.official) == ("BCN_0000000002", ACTINIC, "AK")


def test_bcn20000_and_ham10000_are_read_from_the_archive_s_table_too(tmp_path: Path) -> None:
    rows = [
        archive_row("ISIC_1", "IL_1", "Malignant", SQUAMOUS.split(":")[1], "Squamous cell carcinoma, NOS")
    ]
    root = put(tmp_path, {"metadata.csv": text(ARCHIVE, *rows)}, ["ISIC_1.jpg"])
    for name, official in (("bcn20000", "SCC"), ("ham10000", "AKIEC")):
        (image,) = survey(name, root).images
        assert (image.cohort, image.official) == (name, official)
        assert image.patient == PatientMetadata(age_years=55, sex="male", site="anterior_torso")


# HAM10000 and MILK10k as published

HAM = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset"


@pytest.mark.parametrize(
    ("name", "tab"),
    [("HAM10000_metadata.csv", False), ("HAM10000_metadata", False), ("HAM10000_metadata.tab", True)],
)
def test_ham10000_is_read_from_the_table_of_the_dataverse(tmp_path: Path, name: str, *, tab: bool) -> None:
    rows = [
        ["HAM_0000118", "ISIC_0027419", "bkl", "histo", "80.0", "male", "scalp", "vidir_modern"],
        ["HAM_0000118", "ISIC_0025030", "bkl", "histo", "80.0", "male", "scalp", "vidir_modern"],
        ["HAM_0000002", "ISIC_0000002", "akiec", "histo", "0.0", "unknown", "unknown", "rosendahl"],
        ["HAM_0000003", "ISIC_0000003", "nv", "follow_up", "", "female", "acral", "vidir_molemax"],
    ]
    content = text(HAM, *rows)
    images = [f"HAM10000_images_part_{1 + k % 2}/{row[1]}.jpg" for k, row in enumerate(rows)]
    root = put(tmp_path, {name: content.replace(",", "\t") if tab else content}, images)
    found = survey("ham10000", root)
    first, second, nevus = found.images
    assert (first.lesion, second.lesion, first.label, first.official) == (
        "HAM_0000118", "HAM_0000118", EPIDERMAL, "BKL",
    )  # fmt: skip
    assert first.patient == PatientMetadata(age_years=80, sex="male", site="scalp")
    assert nevus.patient == PatientMetadata(sex="female")
    assert (found.unmapped, found.sites) == ({"akiec": 1}, {"acral": 1})


MILK_META = (
    "lesion_id,image_type,isic_id,attribution,copyright_license,image_manipulation,age_approx,sex,"
    "skin_tone_class,site,MONET_ulceration_crust"
)
MILK_TRUTH = "lesion_id,AKIEC,BCC,BEN_OTH,BKL,DF,INF,MAL_OTH,MEL,NV,SCCKA,VASC"
MILK_SUPPLEMENT = "isic_id,diagnosis_full,diagnosis_confirm_type,mel_thick_mm"


def milk(root: Path, classes: Mapping[str, str], diagnoses: Mapping[str, str] | None = None) -> Path:
    meta, truth = [], []
    for number, (lesion, name) in enumerate(classes.items()):
        truth.append([lesion, *("1.0" if c == name else "0.0" for c in MILK_TRUTH.split(",")[1:])])
        for view, kind in enumerate(("clinical: close-up", "dermoscopic")):
            said = [
                "MILK study team",
                "CC-BY-NC",
                "instrument only",
                65,
                "female",
                3,
                "lower_extremity",
                "0.1",
            ]
            meta.append([lesion, kind, f"ISIC_{number}{view}", *said])
    tables = {
        "MILK10k_Training_Metadata.csv": text(MILK_META, *meta),
        "MILK10k_Training_GroundTruth.csv": text(MILK_TRUTH, *truth),
    }
    if diagnoses is not None:
        rows = [[row[2], diagnoses[str(row[0])], "histopathology", ""] for row in meta]
        tables["MILK10k_Training_Supplement.csv"] = text(MILK_SUPPLEMENT, *rows)
    return put(root, tables, [f"MILK10k_Training_Input/{row[0]}/{row[2]}.jpg" for row in meta])


def test_milk10k_s_challenge_tables_label_by_class_where_there_is_no_diagnosis(tmp_path: Path) -> None:
    found = survey("milk10k", milk(tmp_path, {"IL_1": "BCC", "IL_2": "BKL", "IL_3": "AKIEC"}))
    first, second = lesions(found.images)
    assert [i.modality for i in first.images] == ["clinical", "dermoscopy"]
    assert (first.label, first.official, dict(first.groups)) == (BASAL, "BCC", {"skin_tone": "3"})
    assert first.patient == PatientMetadata(age_years=65, sex="female", site="lower_extremity")
    # a rare ink-spot lentigo lies elsewhere among the benign
    assert (second.label, second.official) == ("Benign", "BKL")
    assert found.unmapped == {"AKIEC": 2}


def test_milk10k_s_supplement_labels_each_image_by_its_diagnosis(tmp_path: Path) -> None:
    diagnoses = {"IL_1": "Nevus, Reed", "IL_2": "Squamous cell carcinoma in situ, Bowens disease"}
    found = survey("milk10k", milk(tmp_path, {"IL_1": "NV", "IL_2": "AKIEC"}, diagnoses))
    assert [lesion.label for lesion in lesions(found.images)] == [
        f"{NEVUS}:Nevus, Reed",
        f"{SQUAMOUS}:Squamous cell carcinoma in situ:Squamous cell carcinoma in situ, Bowens disease",
    ]
    assert found.lost == 0
    for image in found.images:
        assert official_class(image.label, tree(), ADAPTERS["milk10k"].official_nodes) == image.official


def test_a_diagnosis_of_the_supplement_that_names_no_node_is_refused(tmp_path: Path) -> None:
    message = refusal("milk10k", milk(tmp_path, {"IL_1": "NV"}, {"IL_1": "Naevus"}))
    assert "line 2: diagnosis_full of MILK10k_Training_Supplement.csv is none of the" in message


def test_milk10k_needs_both_of_its_tables(tmp_path: Path) -> None:
    root = milk(tmp_path, {"IL_1": "NV"})
    (root / "MILK10k_Training_GroundTruth.csv").unlink()
    with pytest.raises(CohortError, match=r"no MILK10k_Training_GroundTruth\.csv in the folder given"):
        survey_milk10k(root, tree())


# Fitzpatrick17k

FITZPATRICK = (
    "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,three_partition_label,qc,url,"
    "url_alphanum"
)


def fitzpatrick(root: Path) -> Path:
    rows = [
        ["5e82a4", 3, 3, "psoriasis", "inflammatory", "non-neoplastic", "", "http://x", "x.jpg"],
        [
            "fa2911",
            -1,
            1,
            "lentigo maligna",
            "malignant melanoma",
            "malignant",
            "1 Diagnostic",
            "http://y",
            "y",
        ],
        ["d2bac3", 2, 3, "vitiligo", "inflammatory", "non-neoplastic", "", "http://z", "z.jpg"],
        ["0a9435", 1, 1, "acne", "inflammatory", "non-neoplastic", "3 Wrongly labelled", "http://w", "w.jpg"],
    ]
    names = [f"data/finalfitz17k/{row[0]}.jpg" for row in rows]
    return put(root, {"fitzpatrick17k.csv": text(FITZPATRICK, *rows)}, names)


def test_fitzpatrick17k_lies_on_the_isic_tree_by_its_conditions(tmp_path: Path) -> None:
    found = survey("fitzpatrick17k", fitzpatrick(tmp_path))
    psoriasis, maligna = found.images
    assert (psoriasis.image, psoriasis.label, psoriasis.modality) == ("5e82a4", INFLAMMATORY, "clinical")
    assert (psoriasis.patient, dict(psoriasis.groups)) == (PatientMetadata(), {"fitzpatrick": "3"})
    assert maligna.label == f"{MELANOMA}:Melanoma in situ:Melanoma in situ, Lentigo maligna type"
    assert dict(maligna.groups) == {}
    assert found.unmapped == {"vitiligo": 1}
    assert found.left_out == {"wrongly labelled by the set's own quality control": 1}
    assert found.alone == 2


@pytest.mark.parametrize("name", ["fitzpatrick17k", "fitzpatrick17k_esteva"])
def test_fitzpatrick17k_lies_on_the_tree_of_esteva_by_its_nine_groups(tmp_path: Path, name: str) -> None:
    found = survey(name, fitzpatrick(tmp_path), "esteva_2017")
    assert [(i.cohort, i.label, i.official) for i in found.images] == [
        (name, "non-neoplastic:inflammatory", "inflammatory"),
        (name, "malignant:melanocytic", "malignant melanoma"),
        (name, "non-neoplastic:inflammatory", "inflammatory"),
    ]
    assert found.unmapped == {}


def test_a_set_without_a_place_in_the_tree_is_refused(tmp_path: Path) -> None:
    root = fitzpatrick(tmp_path)
    assert "has no meaning in taxonomy 'isic_diagnosis'; read this set with esteva_2017" in refusal(
        "fitzpatrick17k_esteva", root
    )
    assert refusal("pad_ufes_20", pad(tmp_path / "pad", pad_row()), "esteva_2017") == (
        "pad_ufes_20: no label of this set has a node in taxonomy 'esteva_2017'; name another"
    )


# DDI


def test_ddi_keeps_skin_tones_and_the_set_s_own_malignancy(tmp_path: Path) -> None:
    rows = [
        [0, 1, "000001.png", 56, "TRUE", "melanoma-in-situ"],
        [1, 2, "000002.png", 12, "True", "atypical-spindle-cell-nevus-of-reed"],
        [2, 3, "000003.png", 34, "FALSE", "actinic-keratosis"],
        [3, 4, "000004.png", 34, "FALSE", "hyperpigmentation"],
    ]
    tables = {"ddi_metadata.csv": text(",DDI_ID,DDI_file,skin_tone,malignant,disease", *rows)}
    found = survey("ddi", put(tmp_path, tables, [f"images/{row[2]}" for row in rows]))
    melanoma, reed, keratosis = found.images
    assert (melanoma.image, melanoma.lesion, melanoma.person) == ("DDI_000001", "DDI_000001", None)
    assert (melanoma.label, dict(melanoma.groups)) == (f"{MELANOMA}:Melanoma in situ", {"skin_tone": "56"})
    assert [i.official for i in found.images] == ["malignant", "malignant", "benign"]
    nodes = ADAPTERS["ddi"].official_nodes
    assert [official_class(i.label, tree(), nodes) for i in found.images] == [
        "malignant",
        "malignant",
        "benign",
    ]
    assert (keratosis.label, keratosis.patient) == (ACTINIC, PatientMetadata())
    assert found.unmapped == {"hyperpigmentation": 1}
    assert reed.label.startswith("Indeterminate:")


def test_ddi_refuses_what_is_neither_true_nor_false(tmp_path: Path) -> None:
    rows = [[0, 1, "000001.png", 56, "perhaps", "melanoma"]]
    tables = {"ddi_metadata.csv": text(",DDI_ID,DDI_file,skin_tone,malignant,disease", *rows)}
    message = refusal("ddi", put(tmp_path, tables, ["000001.png"]))
    assert "line 2: malignant must be one of TRUE, True, FALSE, False" in message


# SCIN

SCIN_CASES = ",".join(
    [
        "case_id", "source", "release", "year", "age_group", "sex_at_birth", "fitzpatrick_skin_type",
        *(f"body_parts_{part}" for part in BODY_PARTS), "related_category", "condition_duration",
        "image_1_path", "image_2_path", "image_3_path",
        "image_1_shot_type", "image_2_shot_type", "image_3_shot_type",
    ]
)  # fmt: skip
SCIN_LABELS = (
    "case_id,dermatologist_skin_condition_on_label_name,dermatologist_skin_condition_confidence,"
    "weighted_skin_condition_label,monk_skin_tone_label_india,monk_skin_tone_label_us"
)


def scin_case(case: str, images: Sequence[str], parts: Sequence[str] = (), **other: str) -> list[object]:
    row: dict[str, object] = dict.fromkeys(SCIN_CASES.split(","), "")
    row |= {"case_id": case, "source": "SCIN", "release": "1.0.0", "year": 2023, "age_group": "AGE_30_TO_39"}
    row |= {"sex_at_birth": "FEMALE", "fitzpatrick_skin_type": "FST2"}
    row |= {f"body_parts_{part}": "YES" for part in parts}
    for k, (image, shot) in enumerate(
        zip(images, ("CLOSE_UP", "AT_DISTANCE", "AT_AN_ANGLE"), strict=False), 1
    ):
        row |= {f"image_{k}_path": f"dataset/images/{image}.png", f"image_{k}_shot_type": shot}
    return list((row | other).values())


def scin(root: Path, cases: Sequence[list[object]], weights: Mapping[str, str], absent: str = "") -> Path:
    truth = [[case, "[]", "[]", weight, "", "4.0"] for case, weight in weights.items()]
    tables = {
        "dataset/scin_cases.csv": text(SCIN_CASES, *cases),
        "dataset/scin_labels.csv": text(SCIN_LABELS, *truth),
    }
    at = [SCIN_CASES.split(",").index(f"image_{k}_path") for k in (1, 2, 3)]
    named = {str(case[k]) for case in cases for k in at if case[k]}
    return put(root, tables, [name for name in named if name != f"dataset/images/{absent}.png"])


def test_scin_labels_a_case_by_the_weightiest_condition_and_never_makes_up_an_age(tmp_path: Path) -> None:
    root = scin(
        tmp_path,
        [scin_case("-1", ["-11", "12"], ["torso_back"]), scin_case("2", ["21"], ["palm", "back_of_hand"])],
        {"-1": "{'Verruca vulgaris': 0.7, 'Eczema': 0.3}", "2": '{"Kaposi\'s sarcoma of skin": 1.0}'},
    )
    found = survey("scin", root)
    close, far, hand = found.images
    assert (close.image, close.lesion, close.label) == ("SCIN_-11", "SCIN_-1", f"{INFLAMMATORY}:Verruca")
    assert (close.overview, far.overview) == (False, True)
    assert close.patient == PatientMetadata(sex="female", site="posterior_torso")
    assert dict(close.groups) == {"age_group": "AGE_30_TO_39", "fitzpatrick": "2", "monk": "4"}
    assert hand.patient.site == "hand"
    assert hand.label.endswith(":Kaposi sarcoma")


def test_scin_says_what_it_leaves_out(tmp_path: Path) -> None:
    tied, apart = "{'Eczema': 0.5, 'Verruca vulgaris': 0.5}", "{'Melanoma': 0.5, 'Melanocytic Nevus': 0.5}"
    root = scin(
        tmp_path,
        [
            scin_case("1", ["11"], ["other"], sex_at_birth="OTHER_OR_UNSPECIFIED", fitzpatrick_skin_type=""),
            scin_case("2", ["21"], ["arm", "leg"]),
            scin_case("3", ["31"]),
            scin_case("4", ["41", "shared"]),
            scin_case("5", ["51", "shared", "51"]),
            scin_case("6", ["61"]),
            scin_case("7", ["-2243186711511406658", "71"]),
        ],
        {
            "1": tied,
            "2": apart,
            "3": "{}",
            "4": tied,
            "5": "{'Xerosis': 1.0}",
            "6": "{'New name': 1}",
            "7": tied,
        },
        absent="-2243186711511406658",
    )
    found = survey("scin", root)
    assert {i.image: i.label for i in found.images} == dict.fromkeys(
        ("SCIN_11", "SCIN_41", "SCIN_71"), INFLAMMATORY
    )
    assert found.unmapped == {"Melanocytic Nevus or Melanoma": 1, "Xerosis": 1, "New name": 1}
    assert found.left_out == {
        "no label given": 1,
        "one photograph in several cases, so that its truth is not one": 1,
        "not in the published storage": 1,
    }
    assert found.sites == {"other": 1}
    assert found.images[0].patient == PatientMetadata()
    assert found.lines()[0] == "scin: images 3, lesions 3, left out 6"


@pytest.mark.parametrize(
    "weights", ["['Eczema']", "{'Eczema': 'much'}", "{'Eczema'", "__import__('os')", "1"]
)
def test_scin_refuses_a_differential_that_is_none(tmp_path: Path, weights: str) -> None:
    message = refusal("scin", scin(tmp_path, [scin_case("1", ["11"])], {"1": weights}))
    assert message.startswith("scin: scin_labels.csv, line 2: weighted_skin_condition_label must map")


def test_scin_refuses_tables_of_two_releases(tmp_path: Path) -> None:
    root = scin(tmp_path, [scin_case("1", ["11"])], {"2": "{}"})
    assert "scin_cases.csv, line 2: case_id stands twice or not in scin_labels.csv" in refusal("scin", root)


# Every adapter


MAKE: Mapping[str, Callable[[Path], Path]] = {
    "pad_ufes_20": lambda root: pad(root, pad_row()),
    "derm7pt": lambda root: derm7pt(root, derm7pt_row(1, "lentigo")),
    "isic_2019": lambda root: isic_2019(root, [hot("I", "NV")], [["I", "", "", "L", ""]]),
    "milk10k": lambda root: milk(root, {"IL_1": "NV"}),
    "fitzpatrick17k": fitzpatrick,
    "scin": lambda root: scin(root, [scin_case("1", ["11"])], {"1": "{'Acne': 1.0}"}),
}


@pytest.mark.parametrize("name", MAKE)
def test_a_set_may_lie_one_folder_below_the_one_given(tmp_path: Path, name: str) -> None:
    MAKE[name](tmp_path / "release")
    above = tmp_path / "release" if name == "scin" else tmp_path
    assert survey(name, above).images


@pytest.mark.parametrize("name", ["pad_ufes_20", "isic_2019", "milk10k", "fitzpatrick17k"])
def test_two_releases_below_the_folder_given_are_refused(tmp_path: Path, name: str) -> None:
    MAKE[name](tmp_path / "one")
    MAKE[name](tmp_path / "two")
    assert "stands in 2 folders below the one given; name one" in refusal(name, tmp_path)


def damaged(data: st.DataObject, content: bytes) -> bytes:
    found = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(found)))
        found[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    return bytes(found)


@settings(max_examples=120, deadline=None)
@given(name=st.sampled_from(sorted(MAKE)), data=st.data())
def test_no_damaged_table_gets_anything_but_an_answer_or_a_cohort_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    root = MAKE[name](tmp_path_factory.mktemp("damaged"))
    table = data.draw(st.sampled_from(sorted(root.rglob("*.csv"))))
    table.write_bytes(damaged(data, table.read_bytes()))
    try:
        survey(name, root)
    except CohortError as error:
        assert error.safe_message


@pytest.mark.parametrize("name", [n for n in ADAPTERS if n not in ("synthetic", "fine_signal", "isic")])
def test_an_empty_folder_is_refused_by_the_name_of_the_table(tmp_path: Path, name: str) -> None:
    message = refusal(name, tmp_path)
    assert message.endswith(f"in the folder given for cohort {name}")
    assert ".csv" in message


def test_an_unknown_set_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(CohortError, match=r"no data set 'isic2019'.*did you mean 'isic_2019'\?"):
        survey_cohort("isic2019", ".", tree())


@pytest.mark.parametrize("name", ["fitzpatrick17k", "ddi", "scin"])
def test_the_tables_that_ship_name_nodes_of_the_tree(name: str) -> None:
    nodes = shipped_nodes(name)
    assert [node for node in nodes.values() if node is not None and node not in tree()] == []
    assert len(nodes) == {"fitzpatrick17k": 114, "ddi": 78, "scin": 170}[name]


@pytest.mark.parametrize(
    "adapter",
    [a for a in ADAPTERS.values() if isinstance(getattr(a.survey, "__self__", None), FlatSet)],
    ids=lambda a: a.name,
)
def test_each_label_of_a_flat_set_has_a_node_of_its_tree_or_says_it_has_none(adapter: object) -> None:
    flat = adapter.survey.__self__  # type: ignore[attr-defined]
    for taxonomy, nodes in flat.labels.tables.items():
        assert {n for n in nodes.values() if n is not None and n not in tree(taxonomy)} == set()
        assert any(nodes.values())


@pytest.mark.parametrize("words", [SITES, HAM10000_SITES, PAD_UFES_20_SITES, DERM7PT_SITES, BODY_PARTS])
def test_each_word_for_a_site_means_a_node_or_none(words: Mapping[str, str | None]) -> None:
    assert [node for node in words.values() if node is not None and node not in body_sites()] == []


def test_the_nine_groups_are_the_nine_nodes_of_the_second_level() -> None:
    assert sorted(NINE.values()) == sorted(tree("esteva_2017").level(2))


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ((), None),
        ((BASAL,), BASAL),
        ((NEVUS, f"{NEVUS}:Nevus, Reed"), NEVUS),
        ((NEVUS, EPIDERMAL), "Benign"),
        ((NEVUS, MELANOMA), None),
    ],
)
def test_the_node_above_several_is_the_deepest_and_never_the_root(
    nodes: tuple[str, ...], expected: str | None
) -> None:
    assert common_node(nodes, tree()) == expected


def test_a_command_says_on_the_standard_error_what_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (spec,) = (s for s in dxtree.cohorts.plugin.dxtree_cohorts() if s.name == "fitzpatrick17k")
    with caplog.at_level(logging.WARNING, "dxtree.cohorts"):
        assert len(spec.read(fitzpatrick(tmp_path), tree())) == 2
    assert caplog.messages == [
        "fitzpatrick17k: images 2, lesions 2, left out 2",
        "  left out, no node for the label 'vitiligo': 1",
        "  left out, wrongly labelled by the set's own quality control: 1",
        "  without a lesion id, each taken for a lesion of its own: 2",
    ]
    caplog.clear()
    (whole,) = (s for s in dxtree.cohorts.plugin.dxtree_cohorts() if s.name == "pad_ufes_20")
    assert len(whole.read(pad(tmp_path / "pad", pad_row()), tree())) == 1
    assert caplog.messages == []


# The public data, where they are


@pytest.fixture(scope="module")
def real() -> Path:
    root = Path(os.environ.get("DXTREE_DATA", "."))
    if not (root / "milk10k" / "metadata.csv").is_file():
        pytest.skip("DXTREE_DATA names no folder with milk10k/metadata.csv")
    return root


def test_milk10k_s_two_layouts_say_the_same_of_every_image(real: Path, tmp_path: Path) -> None:
    with (real / "milk10k" / "metadata.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    classes = {row["lesion_id"]: row["milk_class"] for row in rows}
    names = MILK_TRUTH.split(",")[1:]
    tables = {
        "MILK10k_Training_Metadata.csv": text(
            MILK_META.removesuffix(",MONET_ulceration_crust"),
            *([row.get(c, "") for c in MILK_META.split(",")[:-1]] for row in rows),
        ),
        "MILK10k_Training_GroundTruth.csv": text(
            MILK_TRUTH, *([lesion, *(float(c == own) for c in names)] for lesion, own in classes.items())
        ),
        "MILK10k_Training_Supplement.csv": text(
            MILK_SUPPLEMENT, *([row["isic_id"], row["diagnosis_full"], "", ""] for row in rows)
        ),
    }
    root = put(tmp_path, tables, [])
    (root / "images").symlink_to(real / "milk10k" / "images")
    challenge, archive = survey("milk10k", root), survey("milk10k", real / "milk10k")
    assert len(challenge.images) == len(archive.images) == 7780
    assert [replace(i, path=Path()) for i in challenge.images] == [
        replace(i, path=Path()) for i in archive.images
    ]


def test_real_folders_of_the_archive_lose_nothing(real: Path) -> None:
    for name, count in (("milk10k", 7780), ("ham10000", 4429)):
        found = survey(name, real / name)
        assert (len(found.images), found.lost, found.alone, dict(found.sites)) == (count, 0, 0, {})
