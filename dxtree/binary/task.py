"""Which two sets of nodes stand against each other, and which lesions belong to neither?

A lesion is positive or negative where its label lies at or below a node of that set. A label above a node of
a set does not tell, and one elsewhere in the tree is another disease; both are left out, and counted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import CohortError, MissingExtra, TaxonomyError
from core.taxonomy import IntArray, Taxonomy

POSITIVE, NEGATIVE, LEFT_OUT = 1, 0, -1
"""Truth of a lesion in a task."""


class BinaryTask(BaseModel):
    """Two disjoint sets of nodes, and the modality whose images answer (`None`: all that there are).

    The sets are checked against a tree by `check`: a task may be written down without one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str = Field(min_length=1, max_length=200)
    positive: tuple[str, ...] = Field(min_length=1)
    negative: tuple[str, ...] = Field(min_length=1)
    modality: str | None = Field(default=None, min_length=1, max_length=64)

    @classmethod
    def from_dict(cls, raw: Any) -> BinaryTask:
        """What JSON or YAML holds: name, title, positive, negative and, at will, modality.

        Raises `TaxonomyError` naming each field that is absent, unknown or of another kind; an empty set too.
        """
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            parts = [f"{'.'.join(map(str, e['loc'])) or 'task'}: {e['msg']}" for e in faults]
            raise TaxonomyError(
                f"a binary task cannot be read ({'; '.join(parts)}); it holds name (a-z, 0-9 and -), title, "
                "positive and negative (lists of node ids, not empty) and, at will, modality"
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it back."""
        return self.model_dump(mode="json")

    def check(self, taxonomy: Taxonomy) -> None:
        """Whether the sets can stand against each other in this tree.

        Raises `UnknownNode` ("did you mean") for a node that the tree lacks, and `TaxonomyError` where a node
        stands in both sets, above or below a node of the other one, or twice in its own.
        """
        taxonomy.positions((*self.positive, *self.negative))
        for one in self.positive:
            for other in self.negative:
                if taxonomy.covers(one, other) or taxonomy.covers(other, one):
                    raise TaxonomyError(
                        f"task {self.name}: {one!r} (positive) and {other!r} (negative) overlap; "
                        "name nodes of which none lies above another"
                    )
        for nodes in (self.positive, self.negative):
            for k, one in enumerate(nodes):
                for other in nodes[k + 1 :]:
                    if taxonomy.covers(one, other) or taxonomy.covers(other, one):
                        raise TaxonomyError(
                            f"task {self.name}: {one!r} and {other!r} of one set overlap and would count "
                            "twice; name the upper one alone"
                        )

    def select(self, labels: Sequence[str], taxonomy: Taxonomy) -> Selection:
        """The truth of each lesion by its label. Raises what `check` raises; `UnknownNode` for a label."""
        self.check(taxonomy)
        kinds = {label: self._kind(label, taxonomy) for label in set(labels)}
        truth = np.array([kinds[label][0] for label in labels], np.int64)
        reasons = [kinds[label][1] for label in labels]
        return Selection(truth, above=reasons.count("above"), elsewhere=reasons.count("elsewhere"))

    def _kind(self, label: str, taxonomy: Taxonomy) -> tuple[int, str]:
        for nodes, kind in ((self.positive, POSITIVE), (self.negative, NEGATIVE)):
            if any(taxonomy.covers(node, label) for node in nodes):
                return kind, ""
        above = any(taxonomy.covers(label, node) for node in (*self.positive, *self.negative))
        return LEFT_OUT, "above" if above else "elsewhere"


@dataclass(frozen=True)
class Selection:
    """`truth`: 1, 0 or -1 a lesion. `above`: lesions with a label too coarse to tell; `elsewhere`: others."""

    truth: IntArray
    above: int
    elsewhere: int

    @property
    def rows(self) -> IntArray:
        """The lesions that the task is about."""
        return np.flatnonzero(self.truth != LEFT_OUT)

    @property
    def positives(self) -> int:
        """Lesions of the positive set."""
        return int((self.truth == POSITIVE).sum())

    @property
    def negatives(self) -> int:
        """Lesions of the negative set."""
        return int((self.truth == NEGATIVE).sum())


def read_tasks(path: str | Path) -> tuple[BinaryTask, ...]:
    """Tasks from a file: one, or a list of them; `.json`, or `.yaml` and `.yml` (which need PyYAML).

    Raises `CohortError` for a file that cannot be read and for two tasks of one name, and what
    `BinaryTask.from_dict` raises.
    """
    source = Path(path)
    try:
        text = source.read_text("utf-8-sig")
        raw = json.loads(text) if source.suffix == ".json" else _yaml(text)
    except (OSError, ValueError, RecursionError) as error:
        raise CohortError(
            f"the tasks in {source.name} cannot be read ({type(error).__name__}); give JSON or YAML in UTF-8"
        ) from None
    found = tuple(BinaryTask.from_dict(one) for one in (raw if isinstance(raw, list) else [raw]))
    names = [task.name for task in found]
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise CohortError(f"{source.name}: two tasks are called {twice!r}; names are unique")
    return found


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra("reading a task from YAML", "report") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(type(error).__name__) from None


_SQUAMOUS = "Malignant:Malignant epidermal proliferations:Squamous cell carcinoma"
_CARCINOMA = (
    "Malignant:Malignant adnexal epithelial proliferations - Follicular:Basal cell carcinoma",
    f"{_SQUAMOUS} in situ",
    f"{_SQUAMOUS}, Invasive",
    f"{_SQUAMOUS}, NOS",
)
"""Keratinocyte carcinoma as the ISIC tree names it. Keratoacanthoma, verrucous and baso-squamous carcinoma
have nodes of their own there and are left out."""

_KERATOSIS = ("Benign:Benign epidermal proliferations:Seborrheic keratosis",)
_MELANOMA = ("Malignant:Malignant melanocytic proliferations (Melanoma)",)
_NEVUS = ("Benign:Benign melanocytic proliferations:Nevus",)

CARCINOMA_KERATOSIS_CLINICAL = BinaryTask(
    name="carcinoma-keratosis-clinical",
    title="Keratinocyte carcinoma against seborrhoeic keratosis, photographs",
    positive=_CARCINOMA,
    negative=_KERATOSIS,
    modality="clinical",
)
MELANOMA_NEVUS_CLINICAL = BinaryTask(
    name="melanoma-nevus-clinical",
    title="Melanoma against nevus, photographs",
    positive=_MELANOMA,
    negative=_NEVUS,
    modality="clinical",
)
MELANOMA_NEVUS_DERMOSCOPY = BinaryTask(
    name="melanoma-nevus-dermoscopy",
    title="Melanoma against nevus, dermoscopy",
    positive=_MELANOMA,
    negative=_NEVUS,
    modality="dermoscopy",
)
PAPER_TASKS = (CARCINOMA_KERATOSIS_CLINICAL, MELANOMA_NEVUS_CLINICAL, MELANOMA_NEVUS_DERMOSCOPY)
"""The three tasks of Esteva et al., Nature 542:115 (2017), on the tree `isic_diagnosis`."""
