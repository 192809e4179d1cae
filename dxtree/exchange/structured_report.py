"""How does a diagnosis stand in a DICOM structured report? As a TID 1500 Measurement Report, written by
highdicom.

One measurement group (TID 1501) a node: the first is the answer with the status, the others are the nodes of
at least `shown.LEAST`. Each names the node as finding, its probability (122157, DCM) without unit, the
algorithm with version and digests, the site, and the images. The report is partial and unverified: nobody
has read it.

A node is coded in SNOMED CT where `codes.csv` has a code, else in our own scheme 99DXTREE; the tracking
identifier holds the node's id in full.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from core.diagnosis import Diagnosis
from core.errors import CaseError, MissingExtra
from core.taxonomy import Taxonomy
from dxtree.exchange.codes import OWN_SCHEME, codes_of, own_code, short_label
from dxtree.exchange.shown import LEAST, model_facts, shown_nodes, software_version
from modalities.dicom import DicomCase, DicomFile
from modalities.dicom.sites import exact_code

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept, MeasurementsAndQualitativeEvaluations
    from pydicom.dataset import Dataset

RESTRICTION = "For research use only; not a medical device"
_STATUS = {
    "complete": "Every image entered the answer",
    "partial": "Some images were left out of the answer",
    "abstained": "No answer should be read",
}
_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Attributes of type 2 in the patient and the study module: present, if only empty."""


def structured_report(
    diagnosis: Diagnosis, source: DicomCase, *, least: float = LEAST, at: datetime | None = None
) -> Dataset:
    """The report as a DICOM data set with file meta information; `save_as` writes it.

    `source` must have been read with `identity=True`, as the report belongs to the patient and the study of
    its images. `at`: the time of the content; default now.

    Raises `CaseError` where the identity was not read or the study is not named, and `MissingExtra` without
    highdicom.
    """
    if find_spec("highdicom") is None:
        raise MissingExtra("writing a DICOM report", "dicom")
    from highdicom.sr import ComprehensiveSR, MeasurementReport
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid
    from pydicom.valuerep import DA, TM

    evidence = [_evidence(file) for file in source.files]
    report = MeasurementReport(
        observation_context=_observer(diagnosis),
        procedure_reported=codes.SCT.ImagingProcedure,
        imaging_measurements=_groups(diagnosis, source, least),
        title=codes.DCM.ImagingMeasurementReport,
    )
    written = ComprehensiveSR(
        evidence=evidence,
        content=report[0],
        series_instance_uid=generate_uid(prefix=None),
        series_number=1,
        sop_instance_uid=generate_uid(prefix=None),
        instance_number=1,
        manufacturer="dxtree",
        is_complete=False,
        is_final=False,
        is_verified=False,
        manufacturer_model_name=model_facts(diagnosis.provenance)["model set"][:64],
        software_versions=software_version(),
        device_serial_number="none",
        series_description=RESTRICTION,
    )
    written.SpecificCharacterSet = "ISO_IR 192"  # UTF-8: a name or a node's label may need any letter
    if at is not None:
        written.ContentDate, written.ContentTime = DA(at.date()), TM(at.time())
    _name_scheme(written)
    return written


def _groups(
    diagnosis: Diagnosis, source: DicomCase, least: float
) -> list[MeasurementsAndQualitativeEvaluations]:
    from highdicom.sr import (
        AlgorithmIdentification,
        CodedConcept,
        FindingSite,
        Measurement,
        MeasurementsAndQualitativeEvaluations,
        QualitativeEvaluation,
        SourceImageForMeasurementGroup,
        TrackingIdentifier,
    )
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    nodes: tuple[str | None, ...] = shown_nodes(diagnosis, least) or (None,)
    site = None if source.case.patient.site is None else exact_code(source.case.patient.site)
    facts = model_facts(diagnosis.provenance)
    status = _own(diagnosis.status.upper(), _STATUS[diagnosis.status])
    about = [
        QualitativeEvaluation(_own("STATUS", "Status of the answer"), status),
        QualitativeEvaluation(_own("RESTRICTION", "Restriction of use"), _own("RESEARCH", RESTRICTION)),
    ]
    groups = []
    for number, node in enumerate(nodes):
        measurements = []
        if node is not None and diagnosis.tree is not None:
            value = float(f"{diagnosis.tree[node]:.6g}")  # a DICOM decimal string has 16 characters
            measurements = [Measurement(codes.DCM.Probability, value=value, unit=codes.UCUM.NoUnits)]
        groups.append(
            MeasurementsAndQualitativeEvaluations(
                tracking_identifier=TrackingIdentifier(
                    uid=generate_uid(prefix=None), identifier=node or "no answer"
                ),
                finding_type=None if node is None else _finding(diagnosis, node),
                algorithm_id=AlgorithmIdentification(
                    name="dxtree",
                    version=software_version(),
                    parameters=[f"{name}: {value}" for name, value in facts.items()],
                    family=codes.DCM.ArtificialIntelligence,
                ),
                finding_sites=[FindingSite(CodedConcept(site[0], "SCT", site[1]))] if site else None,
                measurements=measurements or None,
                qualitative_evaluations=about if number == 0 else None,
                source_images=[
                    SourceImageForMeasurementGroup(
                        file.sop_class, file.instance, list(file.frames) if file.frames else None
                    )
                    for file in source.files
                ],
            )
        )
    return groups


def _finding(diagnosis: Diagnosis, node: str) -> CodedConcept:
    """The node's SNOMED CT code, or one of our own."""
    from highdicom.sr import CodedConcept

    if diagnosis.tree is None:
        raise CaseError("an answer without a tree has no findings")
    taxonomy: Taxonomy = diagnosis.tree.sums.partition.taxonomy
    for known in codes_of(taxonomy, node):
        if known.system.designator == "SCT":
            return CodedConcept(known.code, "SCT", known.display)
    return CodedConcept(own_code(taxonomy, node), OWN_SCHEME, short_label(taxonomy, node))


def _own(value: str, meaning: str) -> CodedConcept:
    from highdicom.sr import CodedConcept

    return CodedConcept(value, OWN_SCHEME, meaning)


def _observer(diagnosis: Diagnosis) -> Any:
    """Who says so: a device, named by the digest of its model set."""
    from highdicom.sr import DeviceObserverIdentifyingAttributes, ObservationContext, ObserverContext
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    facts = model_facts(diagnosis.provenance)
    digest = facts.get("model set sha256")
    device = DeviceObserverIdentifyingAttributes(
        uid=f"2.25.{int(digest[:32], 16)}" if digest else generate_uid(prefix=None),
        name="dxtree",
        manufacturer_name="dxtree",
        model_name=facts["model set"],
    )
    return ObservationContext(observer_device_context=ObserverContext(codes.DCM.Device, device))


def _evidence(file: DicomFile) -> Dataset:
    """The image as far as a report repeats it."""
    from pydicom.dataset import Dataset

    if file.identity is None:
        raise CaseError("a report needs the identity of its images' study; read them with identity=True")
    image = Dataset.from_json(dict(file.identity))
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        if not getattr(image, keyword, None):
            raise CaseError(f"the DICOM file has no {keyword}, so no report can refer to it")
    for keyword in _EMPTY:
        if keyword not in image:
            setattr(image, keyword, "")
    return image


def _name_scheme(report: Dataset) -> None:
    """Says what 99DXTREE is, as a private scheme must be identified (PS3.3, C.12.1)."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence as Items

    scheme = Dataset()
    scheme.CodingSchemeDesignator = OWN_SCHEME
    scheme.CodingSchemeName = "Nodes of dxtree taxonomies"
    scheme.CodingSchemeResponsibleOrganization = "dxtree"
    found: Sequence[Dataset] = getattr(report, "CodingSchemeIdentificationSequence", None) or []
    report.CodingSchemeIdentificationSequence = Items([*found, scheme])
