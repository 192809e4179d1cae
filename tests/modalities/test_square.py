"""Does a net see in a stranger's file the pixels that it was trained on?"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from core.errors import CorruptImage, EmptyInput, UnsupportedPixels
from modalities.cnn.preprocess import Preprocessing, planes_of
from modalities.images import Decoder, Square, SquareImage, decode_here, decode_square

SEEN = Square(72, 64)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as made:
        yield made


def picture(width: int, height: int, seed: int = 3) -> Image.Image:
    """Skin with a dark spot off the middle, some hairs and grain."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    short = min(width, height)
    edge = (np.hypot(x - 0.45 * width, y - 0.55 * height) - short / 4) / (short / 60)
    spot = (1 - np.tanh(edge)) / 2
    pixels = np.array([222, 184, 168], np.float32) - spot[..., None] * np.array([110, 115, 105], np.float32)
    pixels += (np.random.default_rng(seed).standard_normal((height, width, 1)) * 6).astype(np.float32)
    pixels[np.abs(np.sin((x + 2 * y) / short * 9)) < 0.01] = 40
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def by_hand(data: bytes, seen: Square) -> np.ndarray:
    """Upright with Pillow's own function, whole, resized and then cut: torchvision's evaluation recipe."""
    from PIL import ImageOps

    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    width, height = upright.size
    scale = seen.resize / min(width, height)
    new = max(seen.resize, round(width * scale)), max(seen.resize, round(height * scale))
    left, top = (new[0] - seen.size) // 2, (new[1] - seen.size) // 2
    box = (left, top, left + seen.size, top + seen.size)
    return np.asarray(upright.resize(new, Image.Resampling.BILINEAR).crop(box))


def training(data: bytes, seen: Square) -> np.ndarray:
    """What a net is trained on: `decode_here`, then `Preprocessing`."""
    return Preprocessing(seen.size, seen.resize).square(decode_here(data).pixels)


# --- exact ----------------------------------------------------------------------------------------------


@given(
    st.integers(65, 143),
    st.integers(65, 300),
    st.booleans(),
    st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "WEBP"]),
    st.sampled_from([SEEN, Square(64, 64), Square(71, 33)]),
)
@settings(max_examples=40, deadline=None)
def test_a_file_that_is_not_scaled_while_decoded_gives_the_pixels_of_the_training(
    decoder: Decoder, short: int, long: int, upright: bool, form: str, seen: Square
) -> None:
    image = picture(*((short, max(short, long)) if upright else (max(short, long), short)))
    data = encoded(image, form)
    found = decoder.square(data, seen).padded[..., :3]
    assert np.array_equal(found, training(data, seen))
    assert np.array_equal(found, by_hand(data, seen))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_orientation_is_turned_upright_before_it_is_cut(
    decoder: Decoder, orientation: int, form: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if form == "WEBP" else {}
    data = encoded(picture(140, 100), form, exif=exif, **options)
    found = decoder.square(data, SEEN).padded[..., :3]
    assert np.array_equal(found, by_hand(data, SEEN))
    assert np.array_equal(found, training(data, SEEN))


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA"])
def test_grey_palette_and_opaque_pictures_give_the_pixels_of_the_training(
    decoder: Decoder, mode: str
) -> None:
    data = encoded(picture(150, 110).convert(mode), "PNG")
    found = decoder.square(data, SEEN)
    assert np.array_equal(found.padded[..., :3], by_hand(data, SEEN))
    assert np.array_equal(found.padded[..., :3], training(data, SEEN))
    assert found.notes == ()


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_transparent_pixels_are_laid_on_white_and_the_note_arrives(decoder: Decoder, mode: str) -> None:
    image = picture(150, 110).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size).point(lambda v: 255 * (v > 99)))
    data = encoded(image.convert(mode), "PNG")
    found = decoder.square(data, SEEN)
    assert np.array_equal(found.padded[..., :3], training(data, SEEN))
    assert found.notes == ("transparent pixels were laid on white",)
    assert (found.padded[0, :, :3] == 255).all()


def test_cmyk_goes_through_its_profile_and_without_one_is_refused(decoder: Decoder) -> None:
    cmyk = picture(150, 110).convert("CMYK")
    with pytest.raises(UnsupportedPixels, match="CMYK without"):
        decoder.square(encoded(cmyk, "JPEG"), SEEN)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(cmyk, "JPEG", icc_profile=profile)  # an RGB profile cannot be used for four inks
    with pytest.raises(UnsupportedPixels, match="cannot be used"):
        decoder.square(data, SEEN)


def test_faults_of_the_file_are_those_of_decode(decoder: Decoder) -> None:
    whole = encoded(picture(150, 110), "JPEG")
    with pytest.raises(CorruptImage):
        decoder.square(whole[: len(whole) // 2], SEEN)
    with pytest.raises(EmptyInput):
        decoder.square(b"", SEEN)


# --- scaled while decoded -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return picture(4000, 3000)


@pytest.mark.parametrize(("seen", "mean"), [(Square(256, 224), 0.6), (Square(342, 299), 0.6)])
def test_a_photograph_of_12_megapixels_is_scaled_within_the_stated_tolerance(
    decoder: Decoder, photograph: Image.Image, seen: Square, mean: float
) -> None:
    data = encoded(photograph, "JPEG", quality=92)
    found = decoder.square(data, seen).padded[..., :3].astype(int)
    off = np.abs(found - by_hand(data, seen))
    assert 0 < off.mean() < mean
    assert np.quantile(off, 0.999) <= 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_scaled_photograph_is_turned_upright_too(decoder: Decoder, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture(1600, 1200), "JPEG", quality=92, exif=exif)
    found = decoder.square(data, SEEN).padded[..., :3].astype(int)
    assert np.abs(found - by_hand(data, SEEN)).mean() < 1.5


def test_scaling_stops_at_twice_the_side_that_is_needed() -> None:
    assert SEEN.target_side == 144
    short = encoded(picture(400, 287), "JPEG")  # half would be 143.5
    with Decoder() as decoder:
        found = decoder.square(short, SEEN).padded[..., :3]
    assert np.array_equal(found, training(short, SEEN))


# --- the shape of the answer ----------------------------------------------------------------------------


def test_a_square_is_read_only_and_has_four_bytes_a_pixel() -> None:
    found = decode_square(encoded(picture(100, 90), "PNG"), SEEN)
    assert (found.padded.shape, found.padded.dtype) == ((64, 64, 4), np.uint8)
    assert not found.padded.flags.writeable


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((8, 9, 4), np.uint8),
        np.zeros((0, 0, 4), np.uint8),
        np.zeros((8, 8, 4), np.float32),
        np.zeros((8, 8), np.uint8),
        np.zeros((), np.uint8),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_what_is_no_square_is_unsupported_pixels(array: np.ndarray) -> None:
    with pytest.raises(UnsupportedPixels, match="give uint8"):
        SquareImage(array)


@given(st.integers(5, 40), st.integers(5, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_planes_are_the_colours_of_the_picture_however_it_lies_in_memory(
    height: int, width: int, seed: int
) -> None:
    padded = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    wanted = padded[..., :3].transpose(2, 0, 1)
    for image in (padded, padded[..., :3], np.ascontiguousarray(padded[..., :3]), np.asfortranarray(padded)):
        assert np.array_equal(planes_of(image), wanted)
    assert np.array_equal(planes_of(padded[:, ::-1]), wanted[..., ::-1])
    assert planes_of(np.ascontiguousarray(wanted)).tobytes() == wanted.tobytes()
