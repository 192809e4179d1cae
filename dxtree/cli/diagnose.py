"""`dxtree diagnose`: one lesion's images and metadata in, a diagnosis on the tree out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dxtree.cli.clinic import (
    DicomOption,
    DicomSrOption,
    FhirOption,
    FrameOption,
    RefuseOption,
    Reports,
    SubjectOption,
    dicom_case,
)
from dxtree.cli.gate import GateOption, policy_of
from dxtree.cli.options import (
    CalibrationOption,
    FuserOption,
    JsonOption,
    ModelsOption,
    PluginOption,
    PredictionSetsOption,
    existing,
    models_of,
    print_json,
    registry_of,
    trail_of,
)

if TYPE_CHECKING:
    from core.case import Case, PatientMetadata

ExplainOption = Annotated[
    list[str] | None,
    typer.Option(
        "--explain", help="A node of the tree: what every image and field adds to its log-odds. Repeatable."
    ),
]
PrevalenceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--prevalence", help="NODE=SHARE where you work, such as Malignant=0.05. Repeatable; may be nested."
    ),
]
UtilitiesOption = Annotated[
    Path | None,
    typer.Option(help="What each action is worth in each state, as YAML: the best action is stated as well."),
]
AuditOption = Annotated[
    Path | None,
    typer.Option(help="Record the diagnosis in this audit trail; without the record no answer is printed."),
]
AuditKeyOption = Annotated[
    Path | None, typer.Option(help="File of the trail's key. Default: beside the trail, with .key behind it.")
]


def diagnose(
    image: Annotated[
        list[str] | None, typer.Option(help="MODALITY=FILE, such as dermoscopy=lesion.jpg. Repeatable.")
    ] = None,
    dicom: DicomOption = None,
    frame: FrameOption = None,
    refuse: RefuseOption = None,
    age: Annotated[str | None, typer.Option(help="Age in years. Leave out what is not known.")] = None,
    sex: Annotated[str | None, typer.Option(help="female or male.")] = None,
    site: Annotated[str | None, typer.Option(help="Where the lesion is, such as back or head_neck.")] = None,
    case: Annotated[
        Path | None,
        typer.Option(help="A case as JSON, in place of the options above; paths beside the file."),
    ] = None,
    fuser: FuserOption = None,
    calibration: CalibrationOption = None,
    engine: Annotated[str, typer.Option(help="auto, or an engine of `dxtree bench`.")] = "auto",
    strict: Annotated[
        bool, typer.Option(help="Fail when any modality fails, in place of a partial answer.")
    ] = False,
    gate: GateOption = None,
    explain: ExplainOption = None,
    prevalence: PrevalenceOption = None,
    utilities: UtilitiesOption = None,
    prediction_sets: PredictionSetsOption = None,
    audit: AuditOption = None,
    audit_key: AuditKeyOption = None,
    dicom_sr: DicomSrOption = None,
    fhir: FhirOption = None,
    fhir_subject: SubjectOption = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of --json, and stop.")
    ] = False,
    models: ModelsOption = None,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Diagnose one lesion. For research use only; not a medical device."""
    if schema:
        from core.diagnosis import schema as published

        print_json(published())
        return
    from modalities.images import start_decoder

    start_decoder()  # it comes up while everything else is imported
    from dataclasses import replace

    from core.contributions import check_node
    from dxtree.cli.decide import decided, read_utilities
    from dxtree.set_of import read_rule, set_of
    from plugins.assembly import assemble

    reports = Reports(dicom_sr, fhir, fhir_subject)
    if dicom or frame or refuse or dicom_sr:
        reports = _from_dicom(reports, dicom, image or case, frame, refuse, patient_of(age, sex, site))
    if reports.source is not None:
        asked = reports.source.case
    else:
        asked = read_case(case) if case is not None else case_of(image or [], age, sex, site)
    shares = shares_of(prevalence or [])
    policy = policy_of(gate)
    worth = None if utilities is None else read_utilities(utilities)
    registry = registry_of(plugin)
    pipeline = assemble(
        registry, models_of(registry, models), fuser=fuser, engine=engine, calibration=calibration
    )
    pipeline = pipeline.with_prevalence(shares).with_gate(policy)
    trail = None if audit is None else trail_of(audit, audit_key, registry, plugin)
    nodes = dict.fromkeys(explain or [])
    for node in nodes:
        check_node(node, pipeline.sums)
    if worth is not None:
        worth.state_of_classes(pipeline.sums)
    rule = None if prediction_sets is None else read_rule(prediction_sets, pipeline.partition)
    answer = reports.noted(pipeline.diagnose(asked, strict=strict))
    possible = None
    if rule is not None:
        possible, why = set_of(rule, answer)
        answer = replace(answer, notices=(*answer.notices, *why))
    if trail is not None:
        trail.record(asked, answer, prediction_set=possible)
    reports.write(answer, asked.patient)
    decision = None if worth is None else decided(answer, worth)
    explained = [pipeline.contributions(asked, answer, node) for node in nodes if answer.evidence]
    if json:
        told: dict[str, Any] = {"contributions": [c.to_dict() for c in explained]} if nodes else {}
        if worth is not None:
            told["decision"] = None if decision is None else decision.to_dict()
        if rule is not None:
            told["prediction_set"] = None if possible is None else possible.to_dict()
        print_json(answer.to_dict() | told)
    else:
        from dxtree.cli.show import show_diagnosis

        show_diagnosis(answer, contributions=explained if nodes else None)
        if worth is not None:
            typer.echo(str(decision or "no decision: the answer abstained"))
        if possible is not None:
            typer.echo(str(possible))


def _from_dicom(
    reports: Reports,
    files: list[str] | None,
    others: object,
    frame: str | None,
    refuse: list[str] | None,
    patient: PatientMetadata,
) -> Reports:
    """The reports with the case of the DICOM files. Raises `CaseError` where options do not go together."""
    from dataclasses import replace

    from core.errors import CaseError

    if not files:
        raise CaseError("--frame, --refuse and --dicom-sr go with --dicom")
    if others:
        raise CaseError("give either --dicom, or --image, or --case")
    identity = reports.structured is not None
    return replace(reports, source=dicom_case(files, frame, refuse, patient, identity=identity))


def shares_of(prevalence: list[str]) -> dict[str, float]:
    """Node to share from the options' texts. Raises `TaxonomyError`."""
    from core.errors import TaxonomyError

    found: dict[str, float] = {}
    for text in prevalence:
        node, _, share = text.rpartition("=")
        if node in found:
            raise TaxonomyError(f"the prevalence of {node!r} is given twice; give it once")
        try:
            found[node] = float(share)
        except ValueError:
            node = ""
        if not node:
            raise TaxonomyError(f"{text!r} is no prevalence; give NODE=SHARE, such as Malignant=0.05")
    return found


def case_of(images: list[str], age: str | None, sex: str | None, site: str | None) -> Case:
    """A case from the options' texts. Raises `CaseError` or `MetadataError`."""
    from core.case import Case, ImageInput
    from core.errors import CaseError

    given = []
    for text in images:
        modality, separator, path = text.partition("=")
        if not separator or not modality or not path:
            raise CaseError("an image is given as MODALITY=FILE, such as dermoscopy=lesion.jpg")
        given.append(ImageInput(modality=modality, path=Path(path)))
    if not given:
        raise CaseError("give at least one --image MODALITY=FILE, a --dicom FILE, or a --case")
    return Case(images=tuple(given), patient=patient_of(age, sex, site))


def patient_of(age: str | None, sex: str | None, site: str | None) -> PatientMetadata:
    """What the options say of the patient. Raises `MetadataError`."""
    from core.case import PatientMetadata
    from core.errors import MetadataError

    known: dict[str, Any] = {"sex": sex, "site": site}
    if age is not None:
        try:
            known["age_years"] = None if age == "unknown" else float(age)
        except ValueError:
            raise MetadataError("age must be a number from 0 to 120 in years, or be left out") from None
    return PatientMetadata(**known)


def read_case(path: Path) -> Case:
    """A case from JSON; relative image paths start at the file's folder. Raises `CaseError`."""
    import json

    from core.case import Case
    from core.errors import CaseError

    try:
        raw = json.loads(existing(path, "the case file").read_text("utf-8-sig"))
    except (OSError, ValueError):
        raise CaseError("the case file is no JSON in UTF-8") from None
    if isinstance(raw, dict) and isinstance(raw.get("images"), list):
        for image in raw["images"]:
            if isinstance(image, dict) and isinstance(image.get("path"), str):
                image["path"] = str(path.parent / image["path"])
    return Case.model_validate(raw)
