"""What speaks against an image, how much, and what is done about it?

A model makes named checks of every image and says what it found; it never acts on them. The pipeline does,
as each check proposes or as a `GatePolicy` says in its place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from core.errors import CaseError, ContractError, did_you_mean

Action = Literal["refuse", "warn", "off"]
"""`refuse`: the image is left out of the answer. `warn`: it is used, and a notice says what was found.
`off`: nothing is done or said."""

Outcome = Literal["passed", "warned", "refused"]

ALL = "all"
"""In place of a check's name in a policy: every check that the policy does not name."""


@dataclass(frozen=True)
class Check:
    """One check of one image. The larger the `score`, the more speaks against the image.

    It is flagged where the score is above the `threshold`; `reason` then says so to people, `action` is what
    is done unless a policy says otherwise. Raises `ContractError` for numbers that are not finite, for no
    name or reason and for an action that is none.
    """

    name: str
    score: float
    threshold: float
    reason: str
    action: Action = "refuse"

    def __post_init__(self) -> None:
        if not (self.name and self.reason):
            raise ContractError("a check needs a name and a reason")
        if not (math.isfinite(self.score) and math.isfinite(self.threshold)):
            raise ContractError(f"the check {self.name!r} needs a finite score and a finite threshold")
        if self.action not in get_args(Action):
            raise ContractError(f"the check {self.name!r} proposes no action; there are {_actions()}")

    @property
    def flagged(self) -> bool:
        """Whether the score is above the threshold."""
        return self.score > self.threshold


@dataclass(frozen=True)
class GatePolicy:
    """Check to what is done where it is flagged; a check that is not named does what it proposes.

    The name `all` stands for every check that has no entry. Raises `CaseError` for an action that is none.
    """

    actions: Mapping[str, Action] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, action in self.actions.items():
            if not name or action not in get_args(Action):
                raise CaseError(f"the gate takes CHECK=ACTION with one of {_actions()}, such as blurred=warn")

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> GatePolicy:
        """From CHECK=ACTION, each check once. Raises `CaseError` for any other text."""
        actions: dict[str, Any] = {}
        for text in texts:
            name, _, action = text.partition("=")
            if name in actions:
                raise CaseError(f"the gate's action for {name!r} is given twice; give it once")
            actions[name] = action
        return cls(actions)

    def check_names(self, known: Iterable[str]) -> None:
        """Raises `CaseError` for a name that is no check of these, not `all` and not of a plugin.

        A plugin's check has a colon in its name, such as `thermal:cold`.
        """
        names = sorted(known)
        for name in self.actions:
            if name != ALL and ":" not in name and name not in names:
                near = did_you_mean(name, names)
                raise CaseError(f"there is no check {name!r}; there are {', '.join(names)} and {ALL}{near}")

    def action_of(self, check: Check) -> Action:
        """What is done where this check is flagged."""
        return self.actions.get(check.name, self.actions.get(ALL, check.action))

    def judge(self, checks: Iterable[Check]) -> tuple[tuple[Check, Outcome], ...]:
        """Each check that is not off, with what became of the image by it alone."""
        outcomes: dict[str, Outcome] = {"refuse": "refused", "warn": "warned"}
        asked = ((check, self.action_of(check)) for check in checks)
        return tuple((c, outcomes[a] if c.flagged else "passed") for c, a in asked if a != "off")

    def refuses(self, checks: Iterable[Check]) -> bool:
        """Whether an image with these checks is left out."""
        return any(outcome == "refused" for _, outcome in self.judge(checks))


@dataclass(frozen=True)
class ImageCheck:
    """What became of a check: `image` is the image's number among those of its modality, from 1."""

    modality: str
    image: int
    check: Check
    outcome: Outcome

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the reason is null where the image passed."""
        return {
            "modality": self.modality,
            "image": self.image,
            "name": self.check.name,
            "score": self.check.score,
            "threshold": self.check.threshold,
            "outcome": self.outcome,
            "reason": None if self.outcome == "passed" else self.check.reason,
        }


def _actions() -> str:
    return ", ".join(get_args(Action))
