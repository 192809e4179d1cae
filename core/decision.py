"""Which action has the highest expected utility, given what each is worth in each state of the patient?

Expected utility over states (von Neumann and Morgenstern 1944); the threshold between two actions is that of
Pauker and Kassirer (NEJM 302:1109, 1980). It is as good as the probabilities are calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.diagnosis import RESEARCH_USE
from core.errors import InputError, TaxonomyError, did_you_mean
from core.probabilities import TreeProbabilities
from core.taxonomy import IntArray
from core.tree import TreeSums

TIE = 1e-9
"""Share of the range of all utilities within which two expectations count as equal: rounding, not worth."""

_Utility = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Name = Annotated[str, Field(min_length=1, max_length=100)]


class Utilities(BaseModel):
    """What each action is worth in each state, in any unit; only differences matter.

    `states`: name to disjoint nodes of the tree; `otherwise`: name of the state of all other diagnoses, where
    the nodes are not everything. `actions`: name to a utility for every state; among equals the action named
    first is taken. Read it with `from_dict`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    title: str = Field(min_length=1, max_length=200)
    unit: str = Field(min_length=1, max_length=100)
    states: dict[_Name, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(min_length=1)
    otherwise: _Name | None = None
    actions: dict[_Name, dict[_Name, _Utility]] = Field(min_length=2)

    @model_validator(mode="after")
    def _complete(self) -> Utilities:
        if self.otherwise in self.states:
            raise ValueError(f"otherwise is called {self.otherwise!r}, which is a state of its own")
        for action, given in self.actions.items():
            for state in self.names:
                if state not in given:
                    raise ValueError(f"action {action!r} has no utility for state {state!r}")
            for state in given:
                if state not in self.names:
                    near = did_you_mean(state, self.names)
                    raise ValueError(
                        f"action {action!r} has a utility for {state!r}, which is no state{near}"
                    )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the states in order, `otherwise` last."""
        return (*self.states, *([] if self.otherwise is None else [self.otherwise]))

    @classmethod
    def from_dict(cls, raw: Any) -> Utilities:
        """What YAML or JSON holds. Raises `InputError` naming each field that is absent or wrong."""
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            parts = [f"{'.'.join(map(str, e['loc'])) or 'utilities'}: {e['msg']}" for e in faults]
            raise InputError(
                f"utilities cannot be read ({'; '.join(parts)}); they hold title, unit, states (name to "
                "nodes), at will otherwise (a name), and actions (name to a finite number for every state)"
            ) from None

    def state_of_classes(self, sums: TreeSums) -> IntArray:
        """Number of the state of each training class.

        Raises `UnknownNode`, `BelowTrainingClass` where a node cannot be read, and `TaxonomyError` where
        states overlap, or leave a class out and there is no `otherwise`.
        """
        taxonomy, classes = sums.partition.taxonomy, sums.partition.classes
        owner: dict[str, str] = {}
        for state, nodes in self.states.items():
            for node in nodes:
                sums.column(node)
                for other, its in owner.items():
                    if taxonomy.covers(node, other) or taxonomy.covers(other, node):
                        raise TaxonomyError(
                            f"{node!r} (state {state!r}) and {other!r} (state {its!r}) overlap; name "
                            "nodes of which none lies above another, each once"
                        )
                owner[node] = state
        found = np.full(len(classes), len(self.states), np.int64)
        for k, c in enumerate(classes):
            held = [self.names.index(s) for node, s in owner.items() if taxonomy.covers(node, c.node)]
            found[k] = held[0] if held else len(self.states)
            if not held and self.otherwise is None:
                raise TaxonomyError(
                    f"the states leave out {c.id!r}; name a node above it, or an 'otherwise' for all the rest"
                )
        return found

    def threshold(self) -> str | None:
        """Between two actions in two states: from which probability of the first state on each is taken.

        `None` for other numbers of actions or states, where no single threshold exists.
        """
        if len(self.actions) != 2 or len(self.names) != 2:
            return None
        (first, a), (second, b) = self.actions.items()
        state, rest = self.names
        gain, loss = a[state] - b[state], a[rest] - b[rest]
        if gain == loss == 0:
            return f"{first} and {second} are worth the same at any probability"
        if min(gain, loss) >= 0:
            return f"{first} at any probability"
        if max(gain, loss) < 0:
            return f"{second} at any probability"
        at, side = loss / (loss - gain), "at least" if gain >= 0 else "at most"
        return f"{first} where P({state}) is {side} {at:.4g}, else {second}"


@dataclass(frozen=True)
class Decision:
    """The action of highest expected utility for one case.

    `expected`: every action's expected utility, in the order given. `probabilities`: of the states; they sum
    to 1. `regret`: what taking the `second` best in its place would lose, >= 0. `tied`: actions of equal
    utility, of which the one named first is taken. `threshold`: see `Utilities.threshold`.
    """

    action: str
    expected: Mapping[str, float]
    probabilities: Mapping[str, float]
    second: str
    regret: float
    tied: tuple[str, ...]
    threshold: str | None
    title: str
    unit: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "title": self.title,
            "unit": self.unit,
            "action": self.action,
            "expected": dict(self.expected),
            "probabilities": dict(self.probabilities),
            "second": self.second,
            "regret": self.regret,
            "tied": list(self.tied),
            "threshold": self.threshold,
            "research_use": RESEARCH_USE,
        }

    def __str__(self) -> str:
        lines = [f"{self.title}: {self.action}"]
        lines += [f"  {value:10.4g} {self.unit}  {action}" for action, value in self.expected.items()]
        lines.append("states   " + ", ".join(f"{s} {p:.1%}" for s, p in self.probabilities.items()))
        if self.tied:
            lines.append(f"tie      {', '.join(self.tied)} are worth the same; the one named first is taken")
        else:
            lines.append(f"second   {self.second}, which loses {self.regret:.4g} {self.unit}")
        if self.threshold is not None:
            lines.append(f"rule     {self.threshold}")
        return "\n".join([*lines, RESEARCH_USE])


def decide(tree: TreeProbabilities, utilities: Utilities) -> Decision:
    """The action of highest expected utility; of equal ones the one named first.

    Raises what `Utilities.state_of_classes` raises for states that do not fit the tree.
    """
    names, actions = utilities.names, tuple(utilities.actions)
    states = utilities.state_of_classes(tree.sums)
    probabilities = np.bincount(states, weights=tree.leaf.values, minlength=len(names))
    worth = np.array([[utilities.actions[a][s] for s in names] for a in actions])
    expected = worth @ probabilities
    near = np.flatnonzero(expected >= expected.max() - TIE * np.ptp(worth))
    best = int(near[0])
    order = [k for k in np.argsort(-expected, kind="stable").tolist() if k != best]
    second = int(near[1]) if len(near) > 1 else order[0]
    return Decision(
        action=actions[best],
        expected=dict(zip(actions, expected.tolist(), strict=True)),
        probabilities=dict(zip(names, probabilities.tolist(), strict=True)),
        second=actions[second],
        regret=max(0.0, float(expected[best] - expected[second])),
        tied=tuple(actions[k] for k in near.tolist()) if len(near) > 1 else (),
        threshold=utilities.threshold(),
        title=utilities.title,
        unit=utilities.unit,
    )
