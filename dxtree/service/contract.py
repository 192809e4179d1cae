"""What does the published contract say beside what the code says itself? Bodies, answers and examples."""

from __future__ import annotations

import json
from typing import Any

from core.case import FIELDS, PatientMetadata
from core.diagnosis import RESEARCH_USE, schema
from dxtree.service.intake import DICOM, FORM, JSON, Options
from dxtree.service.problems import MEDIA_TYPE

VERSION = "1.0.0"
"""Of the contract. A change that a client could trip over raises the first number, and the `/v1` of paths."""
TITLE = "dxtree"
ABOUT = (
    "Diagnosis on a disease tree from several images of one lesion and the patient's metadata. Nothing about "
    f"a case is stored or logged. {RESEARCH_USE}"
)
_PATIENT = {"age_years": 61, "sex": "female", "site": "back"}
_TINY = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP..."
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable for programs; see docs/reference/errors.md"},
        "detail": {"type": "string", "description": "What was wrong, what is allowed, what to do"},
    },
}
_WHEN = {
    400: "The body is no form, or no JSON",
    401: "No key, or one that is not known",
    403: "Sent by another site's page",
    404: "There is no such thing",
    405: "Not with this method",
    408: "The body came too slowly",
    413: "Too many bytes or pixels",
    415: "A media type or image format that is not read",
    421: "The service does not answer under this name",
    422: "The case is at fault: the code says how",
    429: "This client has too many requests under way; see Retry-After",
    503: "Full, or a model cannot be used; see code and Retry-After",
    504: "No answer within the time allowed",
}
METRICS = {"description": "Metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}
GUARDED = (401, 403, 421, 503)
ASKING = (*GUARDED, 400, 408, 413, 415, 422, 429, 504)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may end so."""
    content = {MEDIA_TYPE: {"schema": _PROBLEM}}
    return {s: {"description": _WHEN[s], "content": content} for s in sorted(statuses)}


def diagnose_responses() -> dict[int | str, dict[str, Any]]:
    """The answers of `POST /v1/diagnose`."""
    document = schema()
    told = {k: v for k, v in document.items() if k not in ("$schema", "$id")}
    told["properties"] = told["properties"] | {
        "contributions": {
            "type": "array",
            "items": {"type": "object"},
            "description": "Where options.explain asks",
        }
    }
    told["additionalProperties"] = False
    answer = {"description": "The answer", "content": {JSON: {"schema": told}}}
    return {200: answer, **problems(*ASKING)}


def diagnose_body() -> dict[str, Any]:
    """The bodies of `POST /v1/diagnose`, with examples."""
    patient = PatientMetadata.model_json_schema()
    patient["properties"] = {name: patient["properties"][name] for name in FIELDS}
    common = {
        "id": {"type": "string", "minLength": 1, "maxLength": 256, "description": "Your name for the case"},
        "patient": patient,
        "options": Options.model_json_schema(),
    }
    image = {
        "type": "object",
        "required": ["modality", "data"],
        "additionalProperties": False,
        "properties": {
            "modality": {
                "type": "string",
                "minLength": 1,
                "maxLength": 64,
                "description": f"Of /v1/modalities; {DICOM} where a DICOM file tells it",
            },
            "data": {
                "type": "string",
                "contentEncoding": "base64",
                "description": "The file: JPEG, PNG, WebP, TIFF, BMP or DICOM",
            },
        },
    }
    case = {
        "type": "object",
        "required": ["images"],
        "additionalProperties": False,
        "properties": {
            **common,
            "images": {"type": "array", "minItems": 1, "maxItems": 64, "items": image},
        },
    }
    form = {
        "type": "object",
        "description": "Files, each in a field named by its modality; and a field `case` of JSON.",
        "properties": {
            "case": {"type": "string", "contentMediaType": JSON, "description": "id, patient, options"},
            "dermoscopy": {"type": "array", "items": {"type": "string", "format": "binary"}},
            "clinical": {"type": "array", "items": {"type": "string", "format": "binary"}},
            DICOM: {
                "type": "array",
                "items": {"type": "string", "format": "binary"},
                "description": "DICOM files, whose SOP class tells the modality",
            },
        },
        "additionalProperties": {"type": "string", "format": "binary"},
    }
    example = {"id": "lesion-1", "patient": _PATIENT, "images": [{"modality": "dermoscopy", "data": _TINY}]}
    return {
        "required": True,
        "content": {
            FORM: {"schema": form, "example": {"case": json.dumps({"patient": _PATIENT})}},
            JSON: {"schema": case, "example": example},
        },
    }
