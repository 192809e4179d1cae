"""How do DICOM files become a case? See `case_from_dicom`. Reading needs the extra `dicom`."""

from modalities.dicom.case import DicomCase, case_from_dicom
from modalities.dicom.preface import TRANSFER_SYNTAXES, is_dicom
from modalities.dicom.reader import LIMITS, DicomFile, DicomReader, Frame
from modalities.dicom.remarks import REMARKS
from modalities.dicom.sop_classes import SOP_CLASSES

__all__ = [
    "LIMITS",
    "REMARKS",
    "SOP_CLASSES",
    "TRANSFER_SYNTAXES",
    "DicomCase",
    "DicomFile",
    "DicomReader",
    "Frame",
    "case_from_dicom",
    "is_dicom",
]
