"""Which answers and inputs are compared? One column a node or a property of the input, one row a case."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.case import FIELDS
from core.errors import AuditError, InputError, did_you_mean
from core.gathering import LEFT_OUT
from core.partition import Partition
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.tree import TreeSums
from dxtree.audit import records
from dxtree.audit.record import DIAGNOSIS
from dxtree.evaluation.records import read_predictions

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Cases of a time or of an evaluation.

    `nodes` has P(node) by node and `inputs` properties of what was given, (cases,) each; NaN stands where a
    case has no answer. `inputs` is empty where only answers are known. The other fields say what gave the
    answers; more than one of a kind means that they changed within the sample.
    """

    cases: int
    nodes: Mapping[str, FloatArray]
    inputs: Mapping[str, FloatArray]
    partitions: frozenset[str]
    models: frozenset[str]
    fusers: frozenset[str]


def moment(text: str, what: str) -> str:
    """A date, or one with a time, as records write theirs; UTC without an offset. Raises `InputError`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{what} is no date; give one such as 2026-11-28 or 2026-11-28T09:00 (UTC)"
        ) from None
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return found.isoformat(timespec="microseconds").replace("+00:00", "Z")


def of_trail(path: Path, *, since: str | None = None, until: str | None = None) -> Sample:
    """The diagnoses of a trail from `since` on and before `until`, both as `moment` gives them.

    The chain is checked on the way. Raises `AuditError` where it does not hold and `InputError` where answers
    over several partitions, which have no nodes in common to compare, stand in this time.
    """
    every = (
        record
        for record in records(path)
        if record.get("kind") == DIAGNOSIS
        and (since is None or record["time"] >= since)
        and (until is None or record["time"] < until)
    )
    try:
        return _collected(every)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AuditError(
            f"{path.name} holds a record of another format ({type(error).__name__}); use the version of "
            "dxtree that wrote it"
        ) from error


def of_predictions(path: Path, partition: Partition, pipeline: str) -> Sample:
    """What `dxtree evaluate --predictions` wrote for one pipeline: answers alone, nothing of the inputs.

    Raises `CohortError` for another layout or other classes and `InputError` where the pipeline is not there
    or the file cannot be read.
    """
    sums = TreeSums(partition)
    try:
        rows = read_predictions(path, partition)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"{path.name} cannot be read as predictions ({type(error).__name__}); dxtree evaluate writes them"
        ) from error
    values = [value for keys, value in rows if keys["pipeline"] == pipeline]
    if not values:
        names = sorted({keys["pipeline"] for keys, _ in rows})
        raise InputError(
            f"{path.name} has no pipeline {pipeline!r}; it has {', '.join(names) or 'none'}"
            f"{did_you_mean(pipeline, names)}"
        )
    trees = [TreeProbabilities(sums, LeafProbabilities(partition.ids, np.array(v))).to_dict() for v in values]
    return Sample(
        cases=len(trees),
        nodes={node: np.array([tree[node] for tree in trees]) for node in sums.nodes},
        inputs={},
        partitions=frozenset({partition.fingerprint}),
        models=frozenset(),
        fusers=frozenset({pipeline}),
    )


def _collected(every: Iterable[Mapping[str, Any]]) -> Sample:
    nodes: list[str] = []
    answers: list[FloatArray | None] = []
    inputs: list[dict[str, float]] = []
    made: dict[str, set[str]] = {"partition": set(), "digest": set(), "fuser": set()}
    for record in every:
        made["partition"].add(str(record["made_with"].get("partition")))
        made["digest"].add(str(record["made_with"].get("digest")))
        made["fuser"].add(str(record["fuser"]))
        if len(made["partition"]) > 1:
            raise InputError(
                "answers over two partitions of the tree stand in this time; choose a time before or after "
                "the models were changed"
            )
        answer: Mapping[str, float] = record["nodes"]
        if answer and not nodes:
            nodes = list(answer)
        answers.append(np.array([answer[node] for node in nodes]) if answer else None)
        inputs.append(_of_input(record))
    known = np.full((len(answers), len(nodes)), np.nan)
    for row, values in enumerate(answers):
        if values is not None:
            known[row] = values
    return Sample(
        cases=len(answers),
        nodes={node: known[:, k] for k, node in enumerate(nodes)},
        inputs=_columns(inputs),
        partitions=frozenset(made["partition"]),
        models=frozenset(made["digest"]),
        fusers=frozenset(made["fuser"]),
    )


def _of_input(record: Mapping[str, Any]) -> dict[str, float]:
    codes = Counter(notice["code"] for notice in record["notices"])
    images = Counter(image["modality"] for image in record["images"])
    ranked = [record["nodes"][node] for node in record["ranked"]]
    return {
        **{f"images of {modality}": float(count) for modality, count in images.items()},
        **{f"{field} missing": float(field in record["missing"]) for field in FIELDS},
        "images left out": float(codes[LEFT_OUT]),
        "images with a note": float(codes["ImageNote"]),
        "modalities failed": float(len(record["failed"])),
        "abstained": float(record["status"] == "abstained"),
        "highest probability": float(max(ranked)) if ranked else float("nan"),
    }


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, FloatArray]:
    names = sorted({name for row in rows for name in row})
    return {name: np.array([row.get(name, 0.0) for row in rows]) for name in names}
