"""What parses a stack in a process that may die? `python -m modalities.stacks.worker`.

It serves as `modalities.images.worker` does. A request is `{module, limits}` with a file's bytes as body;
`module` names one of ours that has `parse(data: bytes, limits: Limits) -> Stack`. The answer is what
`told` gives, with the float32 values as body, or `{error, message}`.
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import asdict
from typing import Any, BinaryIO

from core.errors import DxtreeError, MissingExtra
from modalities.images.limits import Limits
from modalities.images.wire import write_frame
from modalities.images.worker import confine, serve
from modalities.stacks.stack import Stack


def main() -> None:
    """Serve until the input ends."""
    serve(_answer)


def told(stack: Stack) -> dict[str, object]:
    """All of a stack but its values, JSON-ready."""
    return {
        "shape": stack.values.shape,
        "axis": stack.axis,
        "positions": stack.positions,
        "spacing_um": stack.spacing_um,
        "channels": [asdict(channel) for channel in stack.channels],
        "bits": stack.bits,
        "notes": stack.notes,
    }


def _answer(replies: BinaryIO, header: dict[str, Any], data: bytes) -> None:
    limits = Limits(**header["limits"])
    body: memoryview | bytes = b""
    try:
        # Before the limit of memory: libraries reserve more address space than they use.
        parse = importlib.import_module(header["module"]).parse
        confine(limits)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged files; each value used is checked
            stack = parse(data, limits)
        answer, body = told(stack), memoryview(stack.values.tobytes())
    except MissingExtra as error:
        needed, extra = error._given
        answer = {"error": error.code, "message": error.safe_message, "needed": needed, "extra": extra}
    except DxtreeError as error:
        answer = {"error": error.code, "message": error.safe_message}
    except MemoryError:
        answer = {"error": "ImageTooLarge", "message": "file needs more memory than one may take"}
    except Exception as error:  # a damaged file answers with dozens of classes, whose texts may quote it
        name = type(error).__name__
        answer = {"error": "CorruptImage", "message": f"file is damaged or cut short ({name})"}
    write_frame(replies, answer, body)


if __name__ == "__main__":
    main()
