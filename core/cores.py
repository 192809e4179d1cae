"""How many cores may this process use?"""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores that the process may run on, at least 1: its affinity where the system tells it, else all."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity to ask for
        return os.cpu_count() or 1
