"""A modality's net as a file that an app on a phone runs without dxtree, and what the app must know of it."""

from modalities.phone.agreement import LIMITS, Agreement, Limit, compare
from modalities.phone.card import CARD, card
from modalities.phone.converting import PRECISIONS, Precision, convert, quantise
from modalities.phone.exporting import PhoneFile, export_phone, write_phone
from modalities.phone.running import PhoneNet

__all__ = [
    "CARD",
    "LIMITS",
    "PRECISIONS",
    "Agreement",
    "Limit",
    "PhoneFile",
    "PhoneNet",
    "Precision",
    "card",
    "compare",
    "convert",
    "export_phone",
    "quantise",
    "write_phone",
]
