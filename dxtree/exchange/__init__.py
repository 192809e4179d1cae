"""How does a diagnosis reach the clinic's other software? As a DICOM structured report, or in FHIR."""

from dxtree.exchange.codes import NodeCode, codes_of
from dxtree.exchange.fhir import to_fhir
from dxtree.exchange.shown import LEAST
from dxtree.exchange.structured_report import structured_report

__all__ = ["LEAST", "NodeCode", "codes_of", "structured_report", "to_fhir"]
