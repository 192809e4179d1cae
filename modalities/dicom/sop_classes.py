"""Which DICOM objects are read, and which modality is each of?"""

from __future__ import annotations

from core.errors import UnsupportedFormat

SOP_CLASSES: dict[str, tuple[str, str | None]] = {
    "1.2.840.10008.5.1.4.1.1.77.1.4": ("VL Photographic Image", "clinical"),
    "1.2.840.10008.5.1.4.1.1.77.1.7": ("Dermoscopic Photography Image", "dermoscopy"),
    "1.2.840.10008.5.1.4.1.1.77.1.8": ("Confocal Microscopy Image", "confocal"),
    "1.2.840.10008.5.1.4.1.1.77.1.9": ("Confocal Microscopy Tiled Pyramidal Image", "confocal"),
    "1.2.840.10008.5.1.4.1.1.6.1": ("Ultrasound Image", "ultrasound"),
    "1.2.840.10008.5.1.4.1.1.3.1": ("Ultrasound Multi-frame Image", "ultrasound"),
    "1.2.840.10008.5.1.4.1.1.77.1.3": ("VL Slide-Coordinates Microscopic Image", "histopathology"),
    "1.2.840.10008.5.1.4.1.1.77.1.5.4": ("Ophthalmic Tomography Image", "oct"),
    "1.2.840.10008.5.1.4.1.1.7": ("Secondary Capture Image", None),
    "1.2.840.10008.5.1.4.1.1.7.4": ("Multi-frame True Color Secondary Capture Image", None),
    "1.2.840.10008.5.1.4.1.1.7.2": ("Multi-frame Grayscale Byte Secondary Capture Image", None),
    "1.2.840.10008.5.1.4.1.1.7.3": ("Multi-frame Grayscale Word Secondary Capture Image", None),
}
"""SOP class UID (PS3.4 annex B.5) to its name and our modality; `None` where the class does not tell it, as a
secondary capture may be a picture of anything."""

DIRECTORY = "1.2.840.10008.1.3.10"


def check_class(uid: str) -> None:
    """Raises `UnsupportedFormat` unless objects of this SOP class are read."""
    if uid == DIRECTORY:
        raise UnsupportedFormat("file is a DICOMDIR; give the image files that it lists")
    if uid not in SOP_CLASSES:
        names = ", ".join(name for name, _ in SOP_CLASSES.values())
        raise UnsupportedFormat(f"file is a DICOM object of another kind; these are read: {names}")
