"""How does a diagnosis stand in FHIR R4? As a Bundle of a DiagnosticReport, an Observation and a Device.

The report and the observation are preliminary: software asserts them, and nobody has read them. The
observation's value is the answer, its components are the nodes' probabilities. Nothing of the patient but
the lesion's site is repeated; whom it concerns is for the caller to say. A node is coded in its tree, and in
SNOMED CT, ICD-10 and ICD-11 where `codes.csv` has a code.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from core.case import PatientMetadata, body_sites
from core.diagnosis import RESEARCH_USE, Diagnosis
from core.errors import InputError
from core.taxonomy import Taxonomy
from dxtree.exchange.codes import codes_of, own_system
from dxtree.exchange.shown import LEAST, model_facts, shown_nodes, software_version
from modalities.dicom.sites import exact_code

_SNOMED = "http://snomed.info/sct"


def to_fhir(
    patient: PatientMetadata | None,
    diagnosis: Diagnosis,
    *,
    subject: str | None = None,
    at: datetime | None = None,
    least: float = LEAST,
) -> dict[str, Any]:
    """A Bundle of type collection, JSON-ready, valid in FHIR R4 (4.0.1).

    `patient`: whence the site is taken. `subject`: a reference that the receiving server knows, such as
    "Patient/123"; without it the report has no subject. `at`: when the images were judged, with its time
    zone; default now. `least`: nodes below this probability are left out.

    Raises `InputError` for an `at` without time zone or an empty subject.
    """
    moment = at or datetime.now(UTC)
    if moment.tzinfo is None:
        raise InputError("at must have a time zone, as FHIR's instants do")
    if subject is not None and not subject.strip():
        raise InputError("subject must be a reference such as Patient/123, or be left out")
    when = moment.isoformat(timespec="seconds")
    device, observation, report = (f"urn:uuid:{uuid.uuid4()}" for _ in range(3))
    concerns = {} if subject is None else {"subject": {"reference": subject}}
    common = {"status": "preliminary", **concerns, "effectiveDateTime": when, "issued": when}
    resources = {
        report: _report(diagnosis, observation) | common,
        observation: _observation(patient, diagnosis, device, least) | common,
        device: _device(diagnosis),
    }
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": when,
        "entry": [{"fullUrl": url, "resource": resource} for url, resource in resources.items()],
    }


def _report(diagnosis: Diagnosis, observation: str) -> dict[str, Any]:
    nodes = shown_nodes(diagnosis, 2.0)  # the answer alone
    conclusion = "no answer" if not nodes else _taxonomy(diagnosis).label(nodes[0])
    found: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "category": [_concept("http://terminology.hl7.org/CodeSystem/v2-0074", "IMG", "Diagnostic Imaging")],
        "code": {"text": "Lesion classified by software from images"},
        "result": [{"reference": observation}],
        "conclusion": f"AI-asserted, {diagnosis.status}: {conclusion}. {RESEARCH_USE}",
    }
    if nodes:
        found["conclusionCode"] = [_node(_taxonomy(diagnosis), nodes[0])]
    return found


def _observation(
    patient: PatientMetadata | None, diagnosis: Diagnosis, device: str, least: float
) -> dict[str, Any]:
    nodes = shown_nodes(diagnosis, least)
    category = "http://terminology.hl7.org/CodeSystem/observation-category"
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "category": [_concept(category, "imaging", "Imaging")],
        "code": _own("lesion-class", "AI-asserted class of the lesion"),
        "device": {"reference": device},
        "note": [{"text": RESEARCH_USE}, *({"text": notice.text} for notice in diagnosis.notices)],
        "method": {"text": f"fused by {diagnosis.fuser} from {', '.join(diagnosis.used) or 'nothing'}"},
    }
    site = patient.site if patient is not None else None
    if site is not None:
        found["bodySite"] = _site(site)
    if nodes and nodes[0] == _answer(diagnosis):
        found["valueCodeableConcept"] = _node(_taxonomy(diagnosis), nodes[0])
    else:
        absent = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
        found["dataAbsentReason"] = _concept(absent, "unknown", "Unknown")
    if nodes and diagnosis.tree is not None:
        found["component"] = [
            {
                "code": _node(_taxonomy(diagnosis), node),
                "valueQuantity": {
                    "value": float(f"{diagnosis.tree[node]:.6g}"),
                    "unit": "1",
                    "system": "http://unitsofmeasure.org",
                    "code": "1",
                },
            }
            for node in nodes
        ]
    return found


def _device(diagnosis: Diagnosis) -> dict[str, Any]:
    facts = model_facts(diagnosis.provenance)
    versions = [{"type": {"text": "software"}, "value": software_version()}]
    versions += [
        {"type": {"text": name}, "value": value} for name, value in facts.items() if name != "model set"
    ]
    return {
        "resourceType": "Device",
        "status": "active",
        "deviceName": [{"name": "dxtree", "type": "model-name"}],
        "modelNumber": facts["model set"],
        "version": versions,
        "note": [{"text": RESEARCH_USE}],
    }


def _answer(diagnosis: Diagnosis) -> str | None:
    """The most specific node, unless that is the root, which says nothing."""
    node = diagnosis.most_specific()
    return None if node is None or node == _taxonomy(diagnosis).root else node


def _taxonomy(diagnosis: Diagnosis) -> Taxonomy:
    if diagnosis.tree is None:
        raise InputError("an answer without a tree has no nodes")
    return diagnosis.tree.sums.partition.taxonomy


def _node(taxonomy: Taxonomy, node: str) -> dict[str, Any]:
    """The node in its own tree, and what means the same elsewhere."""
    own = {
        "system": own_system(f"taxonomy {taxonomy.fingerprint}"),
        "code": " ".join(node.split()),
        "display": taxonomy.label(node),
    }
    others = [
        {"system": c.system.uri, "code": c.code, "display": c.display} for c in codes_of(taxonomy, node)
    ]
    return {"coding": [*others, own], "text": taxonomy.label(node)}


def _site(site: str) -> dict[str, Any]:
    code = exact_code(site)
    coding = [] if code is None else [{"system": _SNOMED, "code": code[0], "display": code[1]}]
    coding.append({"system": own_system("sites"), "code": site, "display": body_sites().label(site)})
    return {"coding": coding, "text": body_sites().label(site)}


def _own(code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": own_system("codes"), "code": code, "display": display}], "text": display}


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}]}
