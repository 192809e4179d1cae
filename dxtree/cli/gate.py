"""What shall be done about an image that a check flags? The option that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from core.checks import GatePolicy

GateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--gate",
        help="CHECK=refuse, warn or off, such as blurred=warn; all=... for those not named. Repeatable.",
    ),
]


def policy_of(texts: list[str] | None) -> GatePolicy:
    """The policy of the option's texts. Raises `CaseError` for another form or an unknown check."""
    from core.checks import GatePolicy

    policy = GatePolicy.from_texts(texts or ())
    if policy.actions:
        from modalities.gate import NAMES

        policy.check_names(NAMES)
    return policy
