"""Which codes of the clinic's code systems mean a node of the tree?

`codes.csv` is the one table. A row stands only where node and code mean the same; a code that is broader,
such as ICD-10 C44 for basal cell carcinoma, has none. A node without a row keeps its own name alone.
"""

from __future__ import annotations

import csv
import hashlib
import uuid
from dataclasses import dataclass
from functools import cache
from importlib import resources

from core.taxonomy import Taxonomy

OWN_SCHEME = "99DXTREE"
"""Coding scheme designator of our own codes in DICOM: 99 starts private ones (PS3.16, 8.2)."""

_NAMESPACE = uuid.UUID("8d9f6d0c-6d0e-5f2a-9a57-2b6a0d0b7e11")
_LABEL_CHARACTERS = 64


@dataclass(frozen=True)
class CodeSystem:
    """A code system: its name in the table, its URI in FHIR and its designator in DICOM (PS3.16, table
    8-1).
    """

    name: str
    uri: str
    designator: str


SYSTEMS = {
    system.name: system
    for system in (
        CodeSystem("SNOMED CT", "http://snomed.info/sct", "SCT"),
        CodeSystem("ICD-10", "http://hl7.org/fhir/sid/icd-10", "I10"),
        CodeSystem("ICD-11", "http://id.who.int/icd/release/11/mms", "I11"),
    )
}


@dataclass(frozen=True)
class NodeCode:
    """One code that means a node."""

    system: CodeSystem
    code: str
    display: str


def codes_of(taxonomy: Taxonomy, node: str) -> tuple[NodeCode, ...]:
    """The codes of a node, SNOMED CT first; empty where the table has none for this tree and node."""
    return _table().get((taxonomy.name, node), ())


def own_code(taxonomy: Taxonomy, node: str) -> str:
    """16 characters that name the node of this tree in a DICOM code value: of the sha256 of tree and id."""
    return hashlib.sha256(f"{taxonomy.name}\0{node}".encode()).hexdigest()[:16].upper()


def own_system(name: str) -> str:
    """The URI of a code system of ours: a tree by the fingerprint it has, or one of our short lists."""
    return f"urn:uuid:{uuid.uuid5(_NAMESPACE, name)}"


def short_label(taxonomy: Taxonomy, node: str) -> str:
    """The node's label within the 64 characters of a DICOM code meaning, cut ones ending in an ellipsis."""
    label = taxonomy.label(node)
    return label if len(label) <= _LABEL_CHARACTERS else label[: _LABEL_CHARACTERS - 3] + "..."


@cache
def rows() -> tuple[dict[str, str], ...]:
    """The table as it is written: `taxonomy`, `node`, `system`, `code`, `display`, `source`."""
    text = resources.files("dxtree.exchange").joinpath("codes.csv").read_text("utf-8")
    return tuple(csv.DictReader(text.splitlines()))


@cache
def _table() -> dict[tuple[str, str], tuple[NodeCode, ...]]:
    found: dict[tuple[str, str], tuple[NodeCode, ...]] = {}
    for row in rows():
        key = row["taxonomy"], row["node"]
        code = NodeCode(SYSTEMS[row["system"]], row["code"], row["display"])
        found[key] = (*found.get(key, ()), code)
    return found
