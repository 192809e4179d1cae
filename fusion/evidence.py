"""Is this evidence that may be fused? In one order, one a modality, over the partition's own classes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from core.errors import ContractError
from core.partition import Partition
from core.probabilities import LeafProbabilities
from core.protocols import Evidence


def in_order(evidence: Sequence[Evidence], partition: Partition) -> tuple[Evidence, ...]:
    """The evidence sorted by modality, so that the caller's order cannot change a bit.

    Raises `ContractError` where there is none, where a modality stands twice, or where probabilities or
    prior belong to other classes than the partition's.
    """
    if not evidence:
        raise ContractError("there is no evidence to fuse; at least one modality is needed")
    ordered = tuple(sorted(evidence, key=lambda e: e.modality))
    for one, other in pairwise(ordered):
        if one.modality == other.modality:
            raise ContractError(
                f"modality {one.modality!r} gives evidence twice; average its images into one Evidence first"
            )
    for one in ordered:
        # A stranger's model may have put anything here.
        parts: dict[str, object] = {"probabilities": one.probabilities, "prior": one.prior}
        for what, given in parts.items():
            if not isinstance(given, LeafProbabilities) or given.classes != partition.ids:
                raise ContractError(
                    f"the {what} of modality {one.modality!r} are not over the {len(partition.ids)} training "
                    f"classes of partition {partition.fingerprint[:12]}; models and fuser must share one"
                )
    return ordered
