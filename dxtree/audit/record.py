"""What is kept of a diagnosis? What it was made with and what it said, nothing of the patient in clear."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from core.case import FIELDS, Case, ImageInput
from core.diagnosis import Diagnosis
from core.prediction_set import PredictionSet
from dxtree.audit.chain import canonical
from dxtree.audit.key import fingerprint, name_of

FORMAT = 1
DIAGNOSIS, ROTATED, TORN = "diagnosis", "rotated", "torn"
"""Kinds of record."""

_MADE_WITH = (
    "model_set", "digest", "demonstration", "taxonomy", "taxonomy_fingerprint", "partition", "models",
    "fuser", "adjustments", "plugins_failed", "gate",
)  # fmt: skip
_PLACE = ("time", "index", "previous", "seal", "hash")
_BLOCK = 1024 * 1024


def of_diagnosis(
    case: Case,
    diagnosis: Diagnosis,
    key: bytes,
    *,
    plugins: Mapping[str, str],
    actor: str | None = None,
    prediction_set: PredictionSet | None = None,
    batch: Mapping[str, str | int] | None = None,
) -> dict[str, Any]:
    """The content of a record. Images given as paths are read again, from the disk, as they are now.

    `batch`: the run of `dxtree diagnose-many` and the row that the case is of.
    """
    images = [(image.modality, _sha256(image)) for image in case.images]
    patient = {field: getattr(case.patient, field) for field in FIELDS}
    tree = diagnosis.tree
    made = dict(diagnosis.provenance)
    if tree is not None:
        made["taxonomy_fingerprint"] = tree.sums.partition.taxonomy.fingerprint
    gate = {"checks": [found.to_dict() for found in diagnosis.checks]} if diagnosis.checks else {}
    return {
        **_common(DIAGNOSIS, key),
        **({} if batch is None else {"batch": dict(batch)}),
        "actor": actor,
        "case": fingerprint(key, "case", case.id.encode("utf-8", "surrogatepass")),
        "images": [
            {"modality": modality, "hmac": None if sha is None else fingerprint(key, "image", sha)}
            for modality, sha in images
        ],
        # With the images in it, equal metadata of two cases give two fingerprints: nobody can count them.
        "input": fingerprint(
            key, "input", canonical({"patient": patient, "images": [[m, s and s.hex()] for m, s in images]})
        ),
        "made_with": {name: made[name] for name in _MADE_WITH if name in made},
        "plugins": dict(plugins),
        "fuser": diagnosis.fuser,
        "status": diagnosis.status,
        "used": list(diagnosis.used),
        "missing": list(diagnosis.missing),
        "failed": dict(diagnosis.modalities_failed),
        "notices": [{"code": n.code, "text": n.text} for n in diagnosis.notices],
        **gate,
        "answer": diagnosis.most_specific(),
        "ranked": [node for node, _ in tree.ranked()] if tree else [],
        "nodes": tree.to_dict() if tree else {},
        "prediction_set": None if prediction_set is None else _set(prediction_set),
    }


def gist(record: Mapping[str, Any]) -> str:
    """SHA-256 of what a record says, but for when and where in the trail: equal where the same is said."""
    told = {name: value for name, value in record.items() if name not in _PLACE}
    return hashlib.sha256(canonical(told)).hexdigest()


def of_torn(size: int, sha256: str, key: bytes) -> dict[str, Any]:
    """The content of a record that bytes without an end were moved aside."""
    return {**_common(TORN, key), "bytes": size, "sha256": sha256}


def of_rotation(key: bytes, segment: int, head: str, records: int, removed: Sequence[int]) -> dict[str, Any]:
    """The content of the first record after a segment was closed: its number, head and number of records."""
    told = {"segment": segment, "head": head, "records": records, "removed": list(removed)}
    return {**_common(ROTATED, key), **told}


def _common(kind: str, key: bytes) -> dict[str, Any]:
    time = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"format": FORMAT, "kind": kind, "time": time, "dxtree": _version(), "key": name_of(key)}


@cache
def _version() -> str:
    return version("dxtree")


def _set(found: PredictionSet) -> dict[str, Any]:
    return {
        "level": found.level,
        "coverage": found.coverage,
        "score": found.score,
        "per_class": found.per_class,
        "members": list(found.ids),
        "cover": found.cover,
    }


def _sha256(image: ImageInput) -> bytes | None:
    """Of the image's bytes; `None` where its file cannot be read."""
    if image.data is not None:
        return hashlib.sha256(image.data).digest()
    path, found = image.path, hashlib.sha256()
    if path is None or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                found.update(block)
    except OSError:
        return None
    return found.digest()
