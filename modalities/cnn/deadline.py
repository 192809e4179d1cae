"""By when must a map be there?"""

from __future__ import annotations

import math
import time

from core.errors import ExplanationError


class Deadline:
    """So many seconds from now; `None` is never. Work that cannot be stopped asks it now and then."""

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._since = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds since it was set."""
        return time.monotonic() - self._since

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0; infinite without an end."""
        return math.inf if self._seconds is None else max(0.0, self._seconds - self.spent)

    def check(self) -> None:
        """Raises `ExplanationError` once it has passed."""
        if not self.left:
            raise ExplanationError(
                f"no map within {self._seconds:.0f} s; ask for a faster one, such as saliency"
            )
