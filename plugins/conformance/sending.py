"""What arrives of a thing that is sent to another process?"""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar, cast

Thing = TypeVar("Thing")


def sent(thing: Thing) -> Thing:
    """A copy as another process gets it. Raises what pickle raises."""
    wire = cast("Any", ForkingPickler)
    arrived: Thing = wire.loads(wire.dumps(thing))
    return arrived
