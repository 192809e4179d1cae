"""Which pixels does a file hold, without guessing and without anything but pixels?

The bytes must have passed `header.check_bytes`. What leaves is rebuilt from decoded pixels: no EXIF, no
position, no comment, no thumbnail, and never the bytes that came in. Without numpy, whose import would be
half of the time that a worker takes to come up.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

# The two plugins are imported so that Pillow need not load all forty of its own to find them.
from PIL import Image, ImageCms, ImageFile, TiffImagePlugin, WebPImagePlugin

from core.errors import CorruptImage, DxtreeError, ImageTooLarge, UnsupportedPixels
from modalities.images.header import check_frames, check_size
from modalities.images.limits import Limits

Made = TypeVar("Made")

_PLUGINS = (TiffImagePlugin, WebPImagePlugin)

_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_OPAQUE = ("1", "L", "P", "RGB")
_WITH_ALPHA = ("LA", "PA", "RGBA")

_strict_lock = threading.Lock()
_strict_users = 0
_strict_before = False


def decode_pixels(
    data: bytes,
    name: str,
    limits: Limits,
    target_side: int | None,
    finish: Callable[[Image.Image], Made],
) -> tuple[Made, tuple[str, ...]]:
    """Decode all of `data`, whose format `name` came from `header.check_bytes`.

    What `finish` makes of the upright RGB picture, and the notes. With `target_side` (pixels), a JPEG is
    decoded at 1/2, 1/4 or 1/8 of its size, the smallest whose short side is still at least that; other
    formats ignore it. The limits hold for the size in the file.

    Raises `CorruptImage`, `ImageTooLarge`, `ImageTooSmall`, `MultiFrame`, `UnsupportedPixels`.
    """
    try:
        with strict_pillow():
            return _decode(data, name, limits, target_side, finish)
    except DxtreeError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageTooLarge("image has more pixels than Pillow reads; send a smaller one") from None
    except MemoryError:
        raise ImageTooLarge("image needs more memory than one image may take; send a smaller one") from None
    except Exception as error:  # Pillow answers a damaged file with a dozen classes, and plugins with more
        # Neither its text nor the error itself goes on: they may quote what stands in the file.
        raise CorruptImage(f"image is damaged or cut short ({type(error).__name__})") from None


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Keep Pillow from accepting cut files while the block runs, whatever another package has set.

    `ImageFile.LOAD_TRUNCATED_IMAGES` belongs to the whole process: the first thread in turns it off and
    the last one out puts back what it found. `CorruptImage` if somebody turned it on in between.
    """
    global _strict_users, _strict_before
    with _strict_lock:
        if not _strict_users:
            _strict_before = ImageFile.LOAD_TRUNCATED_IMAGES
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        _strict_users += 1
    try:
        yield
        if ImageFile.LOAD_TRUNCATED_IMAGES:
            raise CorruptImage("image cannot be trusted: LOAD_TRUNCATED_IMAGES was set while it was read")
    finally:
        with _strict_lock:
            _strict_users -= 1
            if not _strict_users:
                ImageFile.LOAD_TRUNCATED_IMAGES = _strict_before


def _decode(
    data: bytes,
    name: str,
    limits: Limits,
    target_side: int | None,
    finish: Callable[[Image.Image], Made],
) -> tuple[Made, tuple[str, ...]]:
    with Image.open(io.BytesIO(data), formats=[name]) as image:
        check_size(image.size, limits)
        notes = [check_frames(image)]
        _require_eight_bits(image)
        if target_side is not None:
            image.draft(None, (target_side, target_side))
        image.load()
        turned, note = _upright(image)
        notes.append(note)
        flat, note = _to_rgb(turned)
        notes.append(note)
        return finish(flat), tuple(note for note in notes if note)


def _require_eight_bits(image: ImageFile.ImageFile) -> None:
    """Pillow halves 16-bit colour to its high byte, which turns 12 bits stored in 16 nearly black."""
    if image.format in ("PNG", "TIFF") and any(";16" in str(tile.args) for tile in image.tile):
        raise UnsupportedPixels("image has 16 bits a channel; save it with 8")


def _upright(image: Image.Image) -> tuple[Image.Image, str | None]:
    """Apply the EXIF orientation. Pillow has already done so for TIFF, and removed the tag."""
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except MemoryError:
        raise
    except Exception:  # a picture is not refused for damage outside its pixels
        return image, "the orientation could not be read; the picture is shown as it is stored"
    return (image, None) if turn is None else (image.transpose(turn), None)


def _to_rgb(image: Image.Image) -> tuple[Image.Image, str | None]:
    """The table of modes; a mode that is not in it would need a guess about depth or colour space."""
    if image.mode in _WITH_ALPHA or (image.mode in _OPAQUE and image.has_transparency_data):
        return _on_white(image.convert("RGBA"))
    if image.mode == "RGB":
        return image, None
    if image.mode in _OPAQUE:
        return image.convert("RGB"), None
    if image.mode == "CMYK" and image.info.get("icc_profile"):
        return _from_cmyk(image), "CMYK was converted to sRGB by the file's colour profile"
    if image.mode == "CMYK":
        raise UnsupportedPixels("image is CMYK without a colour profile; save it as sRGB")
    raise UnsupportedPixels(f"image has the colour mode {image.mode}; save it as 8-bit grey or sRGB")


def _on_white(image: Image.Image) -> tuple[Image.Image, str | None]:
    if image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB"), None
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB"), "transparent pixels were laid on white"


def _from_cmyk(image: Image.Image) -> Image.Image:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        converted = ImageCms.profileToProfile(
            image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        converted = None
    if converted is None:
        raise UnsupportedPixels("image is CMYK with a colour profile that cannot be used; save it as sRGB")
    return converted
