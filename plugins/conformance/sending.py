"""What arrives of a thing that is sent to another process?"""

from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler
from typing import TypeVar

Thing = TypeVar("Thing")


def sent(thing: Thing) -> Thing:
    """A copy as another process gets it. Raises what pickle raises."""
    arrived: Thing = pickle.loads(bytes(ForkingPickler.dumps(thing)))  # noqa: S301 - written on this line
    return arrived
