"""What parses DICOM in a process that may die? `python -m modalities.dicom.worker`.

It serves as `modalities.images.worker` does. A request is `{limits, frame, key, identity}` with a file's
bytes, which have passed `preface.check_file`, as body; `frame` is a number from 1, "all" or null; `key` is
hexadecimal. The answer is `{facts, sizes, identity}` with one PNG after the other as body, or `{error,
message}`.

Only the elements named here are taken from the file.
"""

from __future__ import annotations

import hashlib
import hmac
import io
from typing import Any, BinaryIO

import pydicom
from PIL import Image

from core.errors import CorruptImage, DxtreeError, ImageTooLarge, MultiFrame
from modalities.dicom.facts import age_of, is_burned_in, is_identified, sex_of, site_in
from modalities.dicom.pixels import frame_pixels
from modalities.dicom.sop_classes import check_class
from modalities.images.header import check_size
from modalities.images.limits import Limits
from modalities.images.wire import write_frame
from modalities.images.worker import confine, serve

MOST_FRAMES = 64
MOST_PIXELS = 6_500_000
"""Of a picture that leaves: as PNG it stays below the bytes that the decoder of images reads."""

IDENTITY = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "StudyID", "StudyDate",
    "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientID", "PatientName",
    "PatientBirthDate", "PatientSex", "SpecificCharacterSet", "Rows", "Columns", "Modality",
)  # fmt: skip
"""What a report on the image has to repeat; read only when a report is asked for."""
_FACTS = (
    "PatientAge", "PatientBirthDate", "StudyDate", "PatientSex", "AnatomicRegionSequence",
    "PatientIdentityRemoved", "BurnedInAnnotation", "PatientID", "IssuerOfPatientID", "SOPClassUID",
    "SOPInstanceUID",
)  # fmt: skip
_PIXELS = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "PlanarConfiguration", "NumberOfFrames", "PixelData",
    "PixelAspectRatio", "ICCProfile", "ColorSpace", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "VOILUTSequence", "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip


def main() -> None:
    """Serve until the input ends."""
    pydicom.config.settings.reading_validation_mode = (
        pydicom.config.IGNORE
    )  # every value used is checked here
    serve(_answer)


def _answer(replies: BinaryIO, header: dict[str, Any], data: bytes) -> None:
    limits = Limits(**header["limits"])
    confine(limits)
    try:
        told, body = _read(data, limits, header)
    except DxtreeError as error:
        told, body = {"error": error.code, "message": error.safe_message}, b""
    except MemoryError:
        told, body = {"error": "ImageTooLarge", "message": "file needs more memory than one may take"}, b""
    except Exception as error:  # a damaged file answers with dozens of classes, whose texts may quote it
        name = type(error).__name__
        told, body = {"error": "CorruptImage", "message": f"file is damaged or cut short ({name})"}, b""
    write_frame(replies, told, body)


def _read(data: bytes, limits: Limits, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    identity = IDENTITY if header["identity"] else ()
    names: list[Any] = sorted({*_FACTS, *_PIXELS, *identity})
    dataset = pydicom.dcmread(io.BytesIO(data), specific_tags=names)
    _check(dataset, limits)
    frames, remarks = _frames(dataset, header["frame"], limits.max_pixels), _remarks(dataset)
    pictures = []
    for number in frames:
        picture = Image.fromarray(frame_pixels(dataset, number, limits))
        while picture.width * picture.height > MOST_PIXELS:
            picture = picture.reduce(2)
            remarks.append("reduced")
        packed = io.BytesIO()
        picture.save(packed, "PNG", compress_level=1)
        pictures.append(packed.getvalue())
    age, sex, site = age_of(dataset), sex_of(dataset), site_in(dataset)
    facts = {
        "sop_class": str(dataset.SOPClassUID),
        "instance": str(dataset.SOPInstanceUID),
        "patient": _token(dataset, bytes.fromhex(header["key"])),
        "age_years": age[0], "sex": sex[0], "site": site[0],
        "remarks": sorted({*remarks, *(r for _, r in (age, sex, site) if r)}),
        "frames": frames if _count(dataset) > 1 else [],
    }  # fmt: skip
    told = {"facts": facts, "sizes": [len(p) for p in pictures], "identity": None}
    if identity:
        kept = pydicom.Dataset()
        for name in identity:
            if name in dataset:
                kept[name] = dataset[name]
        told["identity"] = kept.to_json_dict()
    return told, b"".join(pictures)


def _check(dataset: Any, limits: Limits) -> None:
    """The data set is what its file meta information says, and its size is legal before a pixel is
    touched.
    """
    if dataset.get("SOPClassUID") != dataset.file_meta.MediaStorageSOPClassUID:
        raise CorruptImage("file is another DICOM object than its header says; export it again")
    check_class(str(dataset.SOPClassUID))
    if "PixelData" not in dataset:
        raise CorruptImage("file holds no pixel data; send the image itself")
    sides = dataset.get("Columns"), dataset.get("Rows")
    if not all(isinstance(side, int) and side > 0 for side in sides):
        raise CorruptImage("file does not say how many rows and columns it has; export it again")
    check_size((int(dataset.Columns), int(dataset.Rows)), limits)


def _count(dataset: Any) -> int:
    count = dataset.get("NumberOfFrames")
    return 1 if count is None else int(count)


def _frames(dataset: Any, wanted: int | str | None, most_pixels: int) -> list[int]:
    """Numbers of the frames to take.

    Raises `MultiFrame` where the choice is missing or does not fit, `ImageTooLarge` for more pixels than two
    images.
    """
    count = _count(dataset)
    if count < 1:
        raise CorruptImage("file has a number of frames that is not above zero; export it again")
    if isinstance(wanted, int):
        if wanted > count:
            raise MultiFrame(f"file has {count} frames; the frame must be a number from 1 to that")
        return [wanted]
    if count > 1 and wanted is None:
        raise MultiFrame(f"file has {count} frames; say which by its number from 1, or take all")
    if count > MOST_FRAMES:
        raise MultiFrame(f"file has {count} frames, and a case holds {MOST_FRAMES} images; say which frame")
    if count * int(dataset.Rows) * int(dataset.Columns) > 2 * most_pixels:
        raise ImageTooLarge(f"file has too many pixels in its {count} frames; say which frame")
    return list(range(1, count + 1))


def _remarks(dataset: Any) -> list[str]:
    found = []
    if is_burned_in(dataset):
        found.append("burned_in")
    if is_identified(dataset):
        found.append("identified")
    ratio = dataset.get("PixelAspectRatio")
    if ratio is not None and len(set(ratio)) > 1:
        found.append("pixel_aspect")
    if "ICCProfile" in dataset and dataset.get("ColorSpace") != "SRGB":
        found.append("colour_profile")
    return found


def _token(dataset: Any, key: bytes) -> str:
    """Equal for two files of one patient and one key, and of no other use; empty where no patient is
    named.
    """
    patient = dataset.get("PatientID")
    if not patient:
        return ""
    text = f"{dataset.get('IssuerOfPatientID') or ''}\0{patient}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


if __name__ == "__main__":
    main()
