"""Which case do well-formed DICOM files make?"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom.data
import pytest
from PIL import Image

from core.case import PatientMetadata
from core.errors import CaseError, InputError, MetadataError, MultiFrame, UnsupportedPixels
from modalities.dicom import SOP_CLASSES, DicomReader, case_from_dicom

Make = Callable[..., bytes]
Region = Callable[..., dict[int, tuple[str, Any]]]
Colours = npt.NDArray[np.uint8]

FILES = Path(pydicom.data.__file__).parent / "test_files"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.3.1"
AGE, BORN, SEEN, SEX = 0x00101010, 0x00100030, 0x00080020, 0x00100040
PATIENT = {0x00100010: ("PN", "Doe^Jane"), 0x00100020: ("LO", "MRN-4711")}


def pixels_of(png: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)))


def case(reader: DicomReader, *files: Any, **options: Any) -> Any:
    return case_from_dicom(files, reader=reader, **options)


@pytest.mark.parametrize(("uid", "modality"), [(u, m) for u, (_, m) in SOP_CLASSES.items() if m])
def test_a_class_that_tells_its_modality_gives_it(
    reader: DicomReader, make: Make, colours: Colours, uid: str, modality: str
) -> None:
    found = case(reader, make(colours, sop_class=uid))
    assert found.case.modalities() == (modality,)
    assert np.array_equal(pixels_of(found.case.images[0].data), colours)


def test_a_secondary_capture_takes_the_modality_that_is_given(
    reader: DicomReader, make: Make, colours: Colours
) -> None:
    file = make(colours, sop_class=SECONDARY)
    assert case(reader, ("dermoscopy", file)).case.modalities() == ("dermoscopy",)
    with pytest.raises(CaseError, match="does not tell its modality"):
        case(reader, file)


def test_a_modality_against_the_class_is_taken_and_noticed(
    reader: DicomReader, make: Make, colours: Colours
) -> None:
    found = case(reader, ("clinical", make(colours)))
    assert found.case.modalities() == ("clinical",)
    assert "DicomModality" in [n.code for n in found.notices]


@pytest.mark.parametrize(
    ("elements", "years"),
    [
        ({AGE: ("AS", "062Y")}, 62.0),
        ({AGE: ("AS", "006M")}, 0.5),
        ({AGE: ("AS", "000D")}, 0.0),
        ({BORN: ("DA", "19640302"), SEEN: ("DA", "20260301")}, 61.0),
        ({BORN: ("DA", "19640302"), SEEN: ("DA", "20260302")}, 62.0),
        ({AGE: ("AS", "040Y"), BORN: ("DA", "19640302"), SEEN: ("DA", "20260302")}, 40.0),
        ({BORN: ("DA", "19640302")}, None),
        ({}, None),
    ],
)
def test_the_age_is_the_files_or_the_whole_years_between_its_dates(
    reader: DicomReader, make: Make, colours: Colours, elements: dict[int, Any], years: float | None
) -> None:
    found = case(reader, make(colours, elements))
    assert found.case.patient.age_years == years
    assert "DicomAge" not in [n.code for n in found.notices]


@pytest.mark.parametrize(
    "elements",
    [
        {AGE: ("AS", "62")},
        {AGE: ("AS", "999Y")},
        {AGE: ("AS", "12\xb2Y")},
        {BORN: ("DA", "20260302"), SEEN: ("DA", "19640302")},
        {BORN: ("DA", "19000101"), SEEN: ("DA", "20260101")},
        {BORN: ("DA", "19641302"), SEEN: ("DA", "20260101")},
    ],
)
def test_an_age_that_cannot_be_read_is_missing_and_noticed(
    reader: DicomReader, make: Make, colours: Colours, elements: dict[int, Any]
) -> None:
    found = case(reader, make(colours, elements))
    assert found.case.patient.age_years is None
    assert "DicomAge" in [n.code for n in found.notices]


@pytest.mark.parametrize(("term", "sex"), [("F", "female"), ("M", "male"), ("O", None), ("", None)])
def test_sex_is_f_or_m_and_anything_else_is_missing(
    reader: DicomReader, make: Make, colours: Colours, term: str, sex: str | None
) -> None:
    found = case(reader, make(colours, {SEX: ("CS", term)}))
    assert found.case.patient.sex == sex
    assert ("DicomSex" in [n.code for n in found.notices]) == (term == "O")


@pytest.mark.parametrize(
    ("code", "scheme", "site"),
    [
        ("66643007", "SCT", "back"),
        ("T-D2100", "SRT", "back"),
        ("T-D2100", "SNM3", "back"),
        ("T-D2100", "SCT", None),
        ("T-00000", "SRT", None),
        ("130323", "DCM", "back"),
        ("66643007", "99LOCAL", None),
        ("76261009", "SCT", None),
    ],
)
def test_a_site_is_a_code_of_the_table_or_missing_with_a_notice(
    reader: DicomReader, make: Make, colours: Colours, region_of: Region, code: str, scheme: str, site: str
) -> None:
    found = case(reader, make(colours, region_of(code, scheme)))
    assert found.case.patient.site == site
    assert ("DicomSite" in [n.code for n in found.notices]) == (site is None)


def test_a_site_in_the_shared_functional_groups_counts(
    reader: DicomReader, make: Make, colours: Colours, region_of: Region
) -> None:
    shared = {0x52009229: ("SQ", [{0x00209071: ("SQ", [region_of("66643007")])}])}
    assert case(reader, make(colours, shared)).case.patient.site == "back"


def test_two_regions_leave_the_site_missing(
    reader: DicomReader, make: Make, colours: Colours, region_of: Region
) -> None:
    both = {
        0x00082218: ("SQ", [*region_of("66643007")[0x00082218][1], *region_of("75093004")[0x00082218][1]])
    }
    found = case(reader, make(colours, both))
    assert found.case.patient.site is None
    assert "DicomSite" in [n.code for n in found.notices]


def test_nothing_of_the_patient_but_age_sex_and_site_reaches_the_case(
    reader: DicomReader, make: Make, colours: Colours
) -> None:
    found = case(reader, make(colours, PATIENT | {AGE: ("AS", "062Y"), 0x00104000: ("LT", "seen by Dr Roe")}))
    told = repr(found) + repr(found.case.model_dump())
    assert "DicomIdentified" in [n.code for n in found.notices]
    for secret in ("Doe", "Jane", "4711", "Roe"):
        assert secret not in told
    assert found.files[0].identity is None
    assert Image.open(io.BytesIO(found.case.images[0].data)).info == {}


def test_a_file_whose_identity_was_removed_needs_no_notice(
    reader: DicomReader, make: Make, colours: Colours
) -> None:
    assert case(reader, make(colours, {0x00120062: ("CS", "YES")}), refuse=["identified"]).notices == ()


def test_text_in_the_picture_is_noticed_or_refused(reader: DicomReader, make: Make, colours: Colours) -> None:
    file = make(colours, {0x00280301: ("CS", "YES")})
    assert "DicomBurnedIn" in [n.code for n in case(reader, file).notices]
    with pytest.raises(CaseError, match="drawn into the picture"):
        case(reader, file, refuse=["burned_in"])
    with pytest.raises(InputError, match="refuse takes"):
        case(reader, file, refuse=["everything"])


def test_files_of_two_patients_are_no_case(reader: DicomReader, make: Make, colours: Colours) -> None:
    one, other = make(colours, PATIENT), make(colours, PATIENT | {0x00100020: ("LO", "MRN-4712")})
    assert len(case(reader, one, one).case.images) == 2
    with pytest.raises(CaseError, match="more than one patient") as caught:
        case(reader, one, other)
    assert "4711" not in str(caught.value)


def test_files_that_disagree_are_refused_unless_the_caller_knows(
    reader: DicomReader, make: Make, colours: Colours, region_of: Region
) -> None:
    back, belly, trunk = (make(colours, region_of(c)) for c in ("66643007", "75093004", "22943007"))
    assert case(reader, trunk, back).case.patient.site == "back"
    with pytest.raises(MetadataError, match="disagree about site"):
        case(reader, back, belly)
    assert case(reader, back, belly, patient=PatientMetadata(site="chest")).case.patient.site == "chest"
    women, men = make(colours, {SEX: ("CS", "F")}), make(colours, {SEX: ("CS", "M")})
    with pytest.raises(MetadataError, match="disagree about sex"):
        case(reader, women, men)
    ages = [make(colours, {AGE: ("AS", age)}) for age in ("040Y", "041Y", "043Y")]
    assert case(reader, *ages[:2]).case.patient.age_years == 40
    with pytest.raises(MetadataError, match="disagree about age_years"):
        case(reader, *ages)


def test_frames_are_chosen_by_number_or_all_and_never_by_chance(
    reader: DicomReader, make: Make, colours: Colours
) -> None:
    frames = np.stack([colours, colours[::-1], colours[:, ::-1]])
    file = make(frames, sop_class=ULTRASOUND)
    with pytest.raises(MultiFrame, match="3 frames"):
        case(reader, file)
    with pytest.raises(MultiFrame, match="3 frames"):
        case(reader, file, frame=4)
    with pytest.raises(InputError, match="from 1"):
        case(reader, file, frame=0)
    second = case(reader, file, frame=2)
    assert second.files[0].frames == (2,)
    assert np.array_equal(pixels_of(second.case.images[0].data), frames[1])
    every = case(reader, file, frame="all")
    assert every.files[0].frames == (1, 2, 3)
    assert np.array_equal(np.stack([pixels_of(i.data) for i in every.case.images]), frames)


def test_a_large_picture_is_halved_by_means_and_noticed(reader: DicomReader, make: Make) -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (2600, 2800, 3), dtype=np.uint8)
    found = case(reader, make(pixels))
    means = pixels.reshape(1300, 2, 1400, 2, 3).mean((1, 3))
    assert np.abs(pixels_of(found.case.images[0].data) - means).max() <= 0.51
    assert "DicomReduced" in [n.code for n in found.notices]


@pytest.mark.parametrize("name", sorted(p.name for p in FILES.glob("SC_rgb_*") if "small" not in p.name))
def test_files_that_others_wrote_show_their_colour_bars(reader: DicomReader, name: str) -> None:
    """dcmtk, GDCM and others wrote these, uncompressed, RLE, JPEG and JPEG-LS, in RGB and YBR."""
    if "32bit" in name:
        pytest.skip("32 bits a sample are refused")
    if name == "SC_rgb_jpeg_gdcm.dcm" and find_spec("libjpeg") is None:
        with pytest.raises(UnsupportedPixels, match="no decoder"):
            reader.read(FILES / name, frame=1)
        return
    pixels = pixels_of(reader.read(FILES / name, frame=1).pictures[0])
    assert pixels.shape[2] == 3
    if pixels.shape[:2] == (100, 100):
        assert np.abs(pixels[5, 50].astype(int) - (255, 0, 0)).max() <= 3
        assert np.abs(pixels[95, 50].astype(int) - 255).max() <= 3


@pytest.mark.skipif(shutil.which("img2dcm") is None, reason="dcmtk is not installed")
@pytest.mark.parametrize(("option", "modality"), [("-vlp", "clinical"), ("-sc", "dermoscopy")])
def test_a_photograph_that_dcmtk_wrote_is_the_photograph(
    reader: DicomReader, colours: Colours, tmp_path: Path, option: str, modality: str
) -> None:
    jpeg, dicom = tmp_path / "a.jpg", tmp_path / "a.dcm"
    Image.fromarray(colours).resize((192, 160)).save(jpeg, quality=90)
    with jpeg.open("ab") as file:
        file.write(b"what a camera puts behind the picture" * 9)
    keys = ["PatientAge=062Y", "PatientSex=F", "(0008,2218)[0].CodeValue=66643007",
            "(0008,2218)[0].CodingSchemeDesignator=SCT", "(0008,2218)[0].CodeMeaning=Back"]  # fmt: skip
    options = [part for key in keys for part in ("-k", key)]
    subprocess.run(["img2dcm", option, *options, jpeg, dicom], check=True)
    found = case(reader, (modality, dicom) if option == "-sc" else dicom)
    assert found.case.patient == PatientMetadata(age_years=62.0, sex="female", site="back")
    assert found.case.modalities() == (modality,)
    shown, decoded = pixels_of(found.case.images[0].data), np.asarray(Image.open(jpeg))
    assert np.abs(shown.astype(int) - decoded).mean() < 1


def test_importing_loads_no_dicom_library_and_their_absence_names_the_extra() -> None:
    code = (
        "import sys, importlib.util as u\n"
        "real, wanted = u.find_spec, ('pydicom', 'highdicom')\n"
        "u.find_spec = lambda n, *a: None if n in wanted else real(n, *a)\n"
        "import dxtree.exchange\n"
        "from core.errors import MissingExtra\n"
        "from modalities.dicom import case_from_dicom\n"
        "try:\n    case_from_dicom(['a.dcm'])\n"
        "except MissingExtra as error:\n"
        "    print(error.safe_message, [w for w in wanted if w in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "reading DICOM needs the extra 'dicom': pip install 'dxtree[dicom]' []\n"
