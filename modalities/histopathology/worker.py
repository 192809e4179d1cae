"""What opens a slide in a process that may die? `python -m modalities.histopathology.worker`.

It serves as `modalities.images.worker` does. A request is `{path, limits, asked}`; its body is empty, since a
slide is read piece by piece from where it lies. The answer is `{shape, notes}` with the tiles' pixels as
body, or `{error, message}`.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from core.errors import DxtreeError
from modalities.histopathology.slide import Asked, read_tiles
from modalities.images.limits import Limits
from modalities.images.wire import write_frame
from modalities.images.worker import confine, serve


def main() -> None:
    """Serve until the input ends."""
    serve(_answer)


def _answer(replies: BinaryIO, header: dict[str, Any], _: bytes) -> None:
    confine(Limits(**header["limits"]))
    told: dict[str, object]
    try:
        tiles = read_tiles(header["path"], Asked(**header["asked"]))
        told, body = {"shape": tiles.pixels.shape, "notes": tiles.notes}, tiles.pixels.tobytes()
    except DxtreeError as error:
        told, body = {"error": error.code, "message": error.safe_message}, b""
    except MemoryError:
        told, body = {"error": "ImageTooLarge", "message": "slide needs more memory than one may take"}, b""
    except Exception as error:  # whatever a damaged file provokes; its text may quote the file
        name = type(error).__name__
        told, body = {"error": "CorruptImage", "message": f"slide is damaged or cut short ({name})"}, b""
    write_frame(replies, told, body)


if __name__ == "__main__":
    main()
