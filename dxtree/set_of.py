"""Which prediction set goes with an answer, and when is there none?"""

from __future__ import annotations

import json
from pathlib import Path

from core.diagnosis import Diagnosis, Notice
from core.errors import ContractError
from core.partition import Partition
from core.prediction_set import PredictionSet
from core.set_rule import SetRule

MOST_BYTES = 16 * 1024 * 1024
NO_SET = "NoPredictionSet"
"""Code of the notice that no set is given, and why."""
_REASONS = {
    "abstained": "the answer abstains",
    "partial": "an image was left out, and the rule knows whole cases only",
    "Prevalence": "the answer was moved to another prevalence than the rule was fitted at",
    "OtherFuser": "another fuser answered than the one that the rule was fitted for",
}


def read_rule(path: Path, partition: Partition) -> SetRule:
    """The rule in a file of `SetRule.to_dict()` as JSON.

    Raises `ContractError` for a file that is none, a rule of other training classes, and one that needs every
    case to have an id of its own (`aps_randomised`), which nothing makes sure of here.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ContractError("the file of the prediction-set rule is too large to be one")
        raw = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        raise ContractError("the file of the prediction-set rule cannot be read as JSON") from None
    if not isinstance(raw, dict):
        raise ContractError("a prediction-set rule is a JSON object, as SetRule.to_dict() gives it")
    rule = SetRule.from_dict(raw, partition)
    if rule.score == "aps_randomised":
        raise ContractError("a randomised rule needs an id of its own for each case; fit lac or aps")
    return rule


def set_of(rule: SetRule, answer: Diagnosis) -> tuple[PredictionSet | None, tuple[Notice, ...]]:
    """The set of an answer; else `None` and a notice of why its coverage would not hold."""
    codes = [answer.status, *(notice.code for notice in answer.notices)]
    reason = next((_REASONS[code] for code in codes if code in _REASONS), None)
    if answer.tree is None or reason is not None:
        text = f"no prediction set is given: {reason or _REASONS['abstained']}"
        return None, (Notice(NO_SET, text),)
    return rule.apply(answer.tree), ()
