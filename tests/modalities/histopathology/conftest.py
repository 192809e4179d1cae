"""Slides by libvips and by pydicom, which share nothing with the reader or with the simulator's writer."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("openslide", reason="the extra slides is not installed")
pytest.importorskip("tifffile", reason="the extra slides is not installed")

Pixels = npt.NDArray[np.uint8]
Save = Callable[..., Path]
TILE = 256
"""Pixels of a tile of the net, 128 micrometres, at half a micrometre a pixel."""


@pytest.fixture
def by_vips(tmp_path: Path) -> Save:
    pyvips = pytest.importorskip("pyvips")

    def save(pixels: Pixels, um: float | None = 0.5, about: str = "", **options: Any) -> Path:
        height, width, _ = pixels.shape
        image = pyvips.Image.new_from_memory(pixels.tobytes(), width, height, 3, "uchar")
        image = image.copy(interpretation="srgb")
        if about:
            image.set_type(pyvips.GValue.gstr_type, "image-description", about)
        if um is not None:
            options = {"xres": 1000 / um, "yres": 1000 / um, "resunit": "cm"} | options
        path = tmp_path / "slide.tif"
        chosen = {"tile": True, "pyramid": True, "compression": "deflate"} | options
        image.tiffsave(str(path), **{k: v for k, v in chosen.items() if v is not None})
        return path

    return save


@pytest.fixture
def by_pydicom(tmp_path: Path) -> Save:
    pydicom = pytest.importorskip("pydicom")

    def save(pixels: Pixels, um: float | None = 0.5) -> Path:
        from PIL import Image
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.encaps import encapsulate
        from pydicom.uid import JPEGBaseline8Bit, generate_uid

        height, width, _ = pixels.shape
        frames = []
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                packed = io.BytesIO()
                Image.fromarray(pixels[top : top + TILE, left : left + TILE]).save(
                    packed, "JPEG", quality=98, subsampling=0
                )
                frames.append(packed.getvalue())
        slide, meta = Dataset(), FileMetaDataset()
        meta.TransferSyntaxUID = JPEGBaseline8Bit
        meta.MediaStorageSOPClassUID = slide.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"
        meta.MediaStorageSOPInstanceUID = slide.SOPInstanceUID = generate_uid()
        slide.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
        slide.Modality, slide.SeriesInstanceUID, slide.StudyInstanceUID = "SM", generate_uid(), generate_uid()
        slide.SamplesPerPixel, slide.PhotometricInterpretation, slide.PlanarConfiguration = (
            3,
            "YBR_FULL_422",
            0,
        )
        slide.NumberOfFrames, slide.Rows, slide.Columns = len(frames), TILE, TILE
        slide.BitsAllocated = slide.BitsStored = 8
        slide.HighBit, slide.PixelRepresentation = 7, 0
        slide.TotalPixelMatrixColumns, slide.TotalPixelMatrixRows = width, height
        slide.DimensionOrganizationType, slide.TotalPixelMatrixFocalPlanes = "TILED_FULL", 1
        slide.NumberOfOpticalPaths = 1
        shared = Dataset()
        if um is not None:
            measures = Dataset()
            measures.PixelSpacing = [um / 1000, um / 1000]
            shared.PixelMeasuresSequence = [measures]
        slide.SharedFunctionalGroupsSequence = [shared]
        slide.PixelData = encapsulate(frames)
        slide.file_meta = meta
        folder = tmp_path / "dicom"
        folder.mkdir()
        path = folder / "level0.dcm"
        pydicom.dcmwrite(path, slide, enforce_file_format=True)
        return path

    return save
