"""What does one net say of images and metadata side by side? Concatenation, the plainest joint fusion.

See `fusion.nets` for the formula and its source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.manifest import Bundle
from core.partition import Partition
from fusion import joint
from fusion.fitted import FittedFuser
from fusion.training import Fitting, Learned, prepare
from plugins.specs import FusionCase

NAME = "joint_concat"


def load(partition: Partition, bundle: Bundle | None) -> FittedFuser:
    """The fitted fuser. Errors are those of `fusion.joint.load`."""
    return joint.load(NAME, "concat", partition, bundle)


def fit(
    cases: Sequence[FusionCase], partition: Partition, seed: int
) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """Manifest and files. Raises `MissingExtra` where torch is not installed."""
    return learn(prepare(cases, partition, seed)).bundle


def learn(data: Fitting) -> Learned:
    """The same on rows that are already there."""
    return joint.learn(NAME, "concat", data)
