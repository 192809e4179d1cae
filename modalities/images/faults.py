"""Which typed error does the reply of a worker name?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core import errors

_KINDS = {
    kind.__name__: kind
    for kind in (
        errors.CorruptImage,
        errors.EmptyInput,
        errors.ImageTooLarge,
        errors.ImageTooSmall,
        errors.MultiFrame,
        errors.UnsupportedFormat,
        errors.UnsupportedPixels,
    )
}
"""What a file may be at fault for; a worker that names another kind answers nonsense."""


def raise_fault(reply: Mapping[str, Any]) -> None:
    """Raises the error of a reply that has one, with its message; `KeyError` for any other kind."""
    if "error" in reply:
        raise _KINDS[reply["error"]](str(reply["message"]))
