"""Can a hostile, damaged or odd file crash, stall or mislead us? Every such file is made here."""

from __future__ import annotations

import io
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, PngImagePlugin

import modalities.images
from core.errors import (
    CorruptImage,
    DecodeTimeout,
    DxtreeError,
    EmptyInput,
    ImageTooLarge,
    ImageTooSmall,
    InputError,
    MultiFrame,
    PathRejected,
    UnsupportedFormat,
    UnsupportedPixels,
)
from modalities.images import DecodedImage, Decoder, Limits, decode, decode_here
from modalities.images.wire import read_frame

MIB = 1024**2
ENCODINGS: dict[str, tuple[str, dict[str, object]]] = {
    "jpeg": ("JPEG", {}),
    "progressive": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {}),
    "webp-lossless": ("WEBP", {"lossless": True}),
    "tiff": ("TIFF", {}),
    "tiff-deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "bmp": ("BMP", {}),
}
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc or stops a process by signal")


def photo(width: int = 96, height: int = 80, seed: int = 7) -> Image.Image:
    """Smooth colours with some grain, no two corners alike."""
    y, x = np.mgrid[0:height, 0:width]
    grain = np.random.default_rng(seed).integers(0, 12, (height, width, 3))
    planes = np.stack([x * 230 / width, y * 230 / height, (x + 2 * y) * 230 / (width + 2 * height)], axis=-1)
    return Image.fromarray((planes + grain).astype(np.uint8))


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    name, usual = ENCODINGS.get(kind, (kind, {}))
    stream = io.BytesIO()
    image.save(stream, name, **(usual | options))
    return stream.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, pixels: bytes, depth: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def black_png(width: int, height: int) -> bytes:
    """A PNG of honest checksums that unpacks to a thousand times its size."""
    packer = zlib.compressobj(1)
    row = bytes(1 + 3 * width)
    return png(width, height, b"".join(packer.compress(row) for _ in range(height)) + packer.flush())


def webp_lossless_header(width: int, height: int) -> bytes:
    """34 bytes that claim `width` x `height`; at most 16,384 fit."""
    bits = struct.pack("<I", (width - 1) | (height - 1) << 14)
    body = b"WEBPVP8L" + struct.pack("<I", 14) + b"\x2f" + bits + bytes(9)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def slow_bmp(side: int = 2400) -> bytes:
    """Run-length encoded, every run one pixel long: Pillow unpacks this in Python, for seconds."""
    rows = (b"\x01\x07" * side + b"\0\0") * side + b"\0\1"
    info = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(rows), 0, 0, 256, 0)
    palette = b"".join(bytes([i, 255 - i, i // 2, 0]) for i in range(256))
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + info + palette + rows


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated until there are at least `count`."""
    data = encode(photo(), "progressive")
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * count + data[end:]


def cmyk_profile() -> bytes:
    """An ICC profile of a press whose inks do nothing but darken: L = 100 (1 - C/3 - M/3 - Y/3)(1 - K)."""
    corners = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    table = bytes(v for c, m, y, k in corners for v in (round(255 * (3 - c - m - y) / 3 * (1 - k)), 128, 128))
    ramp = bytes(range(256))
    unity = b"".join(struct.pack(">i", 65536 * (i % 4 == 0)) for i in range(9))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + unity + ramp * 4 + table + ramp * 3
    words = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)
    white = b"XYZ " + bytes(4) + struct.pack(">iii", 63190, 65536, 54061)
    tags, bodies, offset = b"", b"", 128 + 4 + 3 * 12
    for name, body in ((b"desc", words), (b"wtpt", white), (b"A2B0", lut)):
        padded = body + bytes(-len(body) % 4)
        tags += name + struct.pack(">II", offset + len(bodies), len(body))
        bodies += padded
    size = offset + len(bodies)
    header = (
        struct.pack(">II", size, 0) + struct.pack(">I", 0x02400000) + b"prtrCMYKLab " + bytes(12) + b"acsp"
    )
    header = header.ljust(68, b"\0") + struct.pack(">iii", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", 3) + tags + bodies


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One to eight bytes changed, a piece dropped, doubled or cut off."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    start, length = chance.randrange(len(changed)), chance.randrange(1, 60)
    piece = changed[start : start + length]
    kind = chance.randrange(5)
    if kind == 1:
        changed[start : start + length] = b""
    elif kind == 2:
        changed[start:start] = piece
    elif kind == 3:
        del changed[start + 1 :]
    return bytes(changed)


def resealed(data: bytes) -> bytes:
    """A PNG whose checksums are made to fit, so that Pillow and zlib meet what is wrong inside."""
    sealed, position = bytearray(data), 8
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if end <= len(data):
            sealed[end - 4 : end] = struct.pack(">I", zlib.crc32(data[position + 4 : end - 4]))
        position = end
    return bytes(sealed)


def same(one: DecodedImage, other: DecodedImage) -> bool:
    return bool(np.array_equal(one.pixels, other.pixels)) and one.notes == other.notes


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as shared:
        yield shared


Reader = Callable[..., DecodedImage]


@pytest.fixture(params=["worker", "here"])
def read(request: pytest.FixtureRequest, decoder: Decoder) -> Reader:
    """Both ways in; each must answer alike."""
    return decoder.decode if request.param == "worker" else decode_here


def test_front_door_is_sorted_and_complete() -> None:
    assert modalities.images.__all__ == sorted(modalities.images.__all__)
    assert set(modalities.images.__all__) == {
        *("DecodedImage", "Decoder", "Limits", "Square", "SquareImage"),
        *("decode", "decode_here", "decode_square", "start_decoder"),
    }


# --- what is accepted ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ENCODINGS)
def test_each_format_decodes_to_the_pixels_that_pillow_sees(read: Reader, kind: str) -> None:
    data = encode(photo(), kind)
    image = read(data)
    assert np.array_equal(image.pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert (image.format, image.notes) == (ENCODINGS[kind][0], ())


def test_pixels_are_uint8_rgb_and_read_only(read: Reader) -> None:
    pixels = read(encode(photo(), "png")).pixels
    assert pixels.dtype == np.uint8
    assert pixels.shape == (80, 96, 3)
    assert not pixels.flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
        pixels.setflags(write=True)


def test_decoded_image_copies_a_writable_array_and_refuses_other_shapes() -> None:
    array = np.zeros((64, 64, 3), np.uint8)
    image = DecodedImage(array, "PNG")
    array[:] = 9
    assert image.pixels.max() == 0
    for shape, kind in (((64, 64), np.uint8), ((64, 64, 3), np.float32), ((0, 9, 3), np.uint8)):
        wrong: Any = np.zeros(shape, kind)
        with pytest.raises(UnsupportedPixels, match="uint8"):
            DecodedImage(wrong, "PNG")


# --- IN-01, IN-02, IN-14: what a file is -----------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a" + bytes(200),
        b"%PDF-1.7\n" + encode(photo(), "jpeg"),
        b"PK\x03\x04" + encode(photo(), "png"),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\0\0\0\x20ftypheic" + bytes(100),
        b"BMW is not a bitmap, whatever its first letters",
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
        b"\xff\xd8",
        bytes(1000),
    ],
    ids=["gif", "pdf", "zip", "svg", "heic", "text", "wave", "stub", "zeros"],
)
def test_unlisted_format_is_refused_and_the_allowed_ones_named(read: Reader, data: bytes) -> None:
    with pytest.raises(UnsupportedFormat, match="BMP, JPEG, PNG, TIFF, WEBP"):
        read(data)


def test_zero_bytes_are_empty_input(read: Reader, tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    for source in (b"", tmp_path / "empty.jpg"):
        with pytest.raises(EmptyInput):
            read(source)


def test_extension_does_not_matter(read: Reader, tmp_path: Path) -> None:
    data = encode(photo(), "png")
    (tmp_path / "lesion.jpg").write_bytes(data)
    (tmp_path / "animation.png").write_bytes(b"GIF89a" + bytes(99))
    assert read(tmp_path / "lesion.jpg").format == "PNG"
    with pytest.raises(UnsupportedFormat):
        read(str(tmp_path / "animation.png"))


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
@pytest.mark.parametrize(
    "tail", [b"PK\x03\x04payload", b"<script>alert(1)</script>", b"%PDF-1.7\n" + bytes(400)]
)
def test_polyglot_gives_pixels_alone(read: Reader, kind: str, tail: bytes) -> None:
    data = encode(photo(), kind)
    assert same(read(data + tail), read(data))


def test_markup_in_a_comment_does_not_come_out(read: Reader) -> None:
    image = read(encode(photo(), "jpeg", comment=b"<!--<script>alert(1)</script>-->"))
    assert same(image, read(encode(photo(), "jpeg")))
    assert "script" not in repr(image)


# --- IN-03 to IN-06: size --------------------------------------------------------------------------------


def test_more_than_20_mib_are_refused(read: Reader, tmp_path: Path) -> None:
    data = encode(photo(), "jpeg").ljust(20 * MIB + 1, b"\0")
    (tmp_path / "large").write_bytes(data)
    for source in (data, tmp_path / "large"):
        with pytest.raises(ImageTooLarge, match="bytes"):
            read(source)
    assert read(data[:-1]).format == "JPEG"


def with_size(kind: str, width: int, height: int) -> bytes:
    """A small file whose header claims another size."""
    data = bytearray(encode(photo(), kind))
    if kind == "png":
        data[16:33] = (body := struct.pack(">II", width, height) + data[24:29]) + struct.pack(
            ">I", zlib.crc32(b"IHDR" + body)
        )
    elif kind == "bmp":
        data[18:26] = struct.pack("<ii", width, height)
    elif kind == "jpeg":
        start = data.index(b"\xff\xc0") + 5
        data[start : start + 4] = struct.pack(">HH", height, width)
    elif kind == "tiff":
        for tag, value in ((256, width), (257, height)):
            entry = data.index(struct.pack("<HHI", tag, 4, 1))
            data[entry + 8 : entry + 12] = struct.pack("<I", value)
    elif kind == "webp":
        data[26:30] = struct.pack("<HH", width, height)
    return bytes(data)


@pytest.mark.parametrize("kind", ["png", "bmp", "jpeg", "tiff"])
def test_header_claiming_60000_squared_is_refused(read: Reader, kind: str) -> None:
    started = time.process_time()
    with pytest.raises(ImageTooLarge, match="pixels"):
        read(with_size(kind, 60_000, 60_000))
    assert time.process_time() - started < 1


@pytest.mark.parametrize("kind", ["png", "bmp", "jpeg", "tiff", "webp"])
@pytest.mark.parametrize(
    ("width", "height", "fault", "rule"),
    [
        (8000, 8000, ImageTooLarge, "50000000 pixels"),
        (16_383, 640, ImageTooLarge, "20 times"),
        (1281, 64, ImageTooLarge, "20 times"),
        (63, 640, ImageTooSmall, "at least 64"),
        (640, 63, ImageTooSmall, "at least 64"),
    ],
)
def test_size_rules_hold_for_every_format(
    read: Reader, kind: str, width: int, height: int, fault: type[DxtreeError], rule: str
) -> None:
    with pytest.raises(fault, match=rule):
        read(with_size(kind, width, height))


def test_side_over_16384_is_refused_whatever_the_aspect(read: Reader) -> None:
    with pytest.raises(ImageTooLarge, match="at most 16384"):
        read(with_size("png", 16_385, 1000))


def test_smallest_and_longest_allowed_images_decode(read: Reader) -> None:
    for size in ((64, 64), (64, 1280), (1280, 64)):
        assert read(encode(photo(*size), "png")).pixels.shape == (size[1], size[0], 3)


def test_webp_of_34_bytes_is_refused_before_pillow_sees_it(
    read: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object, **__: object) -> None:
        pytest.fail("Pillow allocates the canvas when it opens a WebP")

    monkeypatch.setattr(Image, "open", opened)
    bomb = webp_lossless_header(16_384, 16_384)
    assert len(bomb) == 34
    canvas = bytes(4) + struct.pack("<I", 16_383)[:3] * 2
    extended = b"WEBPVP8X" + struct.pack("<I", 10) + canvas
    for data in (bomb, b"RIFF" + struct.pack("<I", len(extended)) + extended):
        with pytest.raises(ImageTooLarge):
            read(data)


def test_pillow_without_its_bomb_guard_is_no_danger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(ImageTooLarge):
        decode_here(with_size("png", 60_000, 60_000))


def test_pillow_s_bomb_guard_is_obeyed_where_our_limits_are_wider() -> None:
    wide = Limits(max_pixels=10**10, max_side=10**6)
    with pytest.raises(ImageTooLarge), Decoder(wide) as decoder:  # over 89 million, where Pillow only warns
        decoder.decode(with_size("png", 10_000, 10_000))
    with pytest.raises(ImageTooLarge):
        decode_here(with_size("png", 60_000, 60_000), limits=wide)


def test_worker_out_of_memory_is_image_too_large_and_the_next_image_decodes() -> None:
    with Decoder(Limits(memory_bytes=256 * MIB)) as decoder:
        with pytest.raises(ImageTooLarge, match="memory"):
            decoder.decode(black_png(7000, 7000))
        assert decoder.decode(encode(photo(), "png")).pixels.shape == (80, 96, 3)


MEMORY = """
import sys
from modalities.images import Decoder
from core.errors import DxtreeError

def resident(field):
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(field))

bombs = [open(path, "rb").read() for path in sys.argv[2:]]
with Decoder() as decoder:
    decoder.decode(open(sys.argv[1], "rb").read())
    before = resident("VmRSS")
    for bomb in bombs:
        try:
            decoder.decode(bomb)
        except DxtreeError as error:
            print(error.code)
    print((resident("VmHWM") - before) // 1024)
"""


def run(script: str, *arguments: str | Path) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


@linux
def test_memory_bombs_leave_the_parent_below_50_mb(tmp_path: Path) -> None:
    files = {
        "good": encode(photo(), "png"),
        "webp": webp_lossless_header(7000, 7000),  # within the limits, so the worker takes it on
        "webp16k": webp_lossless_header(16_384, 16_384),
        "png": with_size("png", 7000, 7000),
        "bmp": with_size("bmp", 7000, 7000),
        "tiff": with_size("tiff", 7000, 7000),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    *codes, grown = run(MEMORY, *(tmp_path / name for name in files)).split()
    assert codes == ["CorruptImage", "ImageTooLarge", "CorruptImage", "CorruptImage", "CorruptImage"]
    assert int(grown) < 50


# --- IN-07 to IN-09: time, crashes, damage ---------------------------------------------------------------


def test_jpeg_of_more_than_100_scans_is_refused_at_once(read: Reader) -> None:
    started = time.process_time()
    with pytest.raises(CorruptImage, match="more than 100 scans"):
        read(many_scans(2000))
    assert time.process_time() - started < 0.5
    assert read(many_scans(50)).format == "JPEG"


def test_scans_are_counted_behind_fill_bytes_restarts_and_false_lengths(read: Reader) -> None:
    data = encode(photo(), "progressive")
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    for hidden in (b"\xff\xff\xff", b"\xff\xd0", b"\xff\0\0", b"\xff\x02\xff\xf0", b"junk"):
        with pytest.raises(CorruptImage, match="scans"):
            read(data[:end] + (hidden + data[last:end]) * 101 + data[end:])


def test_what_looks_like_a_scan_inside_a_segment_is_not_counted(read: Reader) -> None:
    thumbnail = b"\xff\xda\0\x08" * 1000
    plain = encode(photo(), "jpeg")
    data = plain[:2] + b"\xff\xe5" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail + plain[2:]
    assert same(read(data), read(plain))


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_millions_of_empty_parts_are_refused_within_a_second(kind: str) -> None:
    data = encode(photo(), kind)
    head, part = (2, b"\xff\xfe\0\2") if kind == "jpeg" else (33, chunk(b"teXt", b""))
    started = time.process_time()
    with pytest.raises(CorruptImage, match="more than 100000"):
        decode_here(data[:head] + part * (19 * MIB // len(part)) + data[head:])
    assert time.process_time() - started < 1


@pytest.mark.parametrize("kind", ENCODINGS)
def test_file_cut_anywhere_is_corrupt(decoder: Decoder, kind: str) -> None:
    data = encode(photo(), kind)
    ends = [*range(20, len(data), len(data) // 20), len(data) - 1, len(data) - 2, len(data) - 9]
    for end in ends:
        with pytest.raises(CorruptImage):
            decoder.decode(data[:end])


def test_flipped_bit_in_a_png_is_always_noticed(read: Reader) -> None:
    data = encode(photo(), "png")
    chance = random.Random(3)
    for _ in range(40):
        flipped = bytearray(data)
        flipped[chance.randrange(8, len(data))] ^= 1 << chance.randrange(8)
        with pytest.raises(CorruptImage):
            read(bytes(flipped))


def test_cut_file_is_refused_though_somebody_allowed_truncated_images(
    read: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for kind in ("bmp", "tiff"):  # no check of ours comes before Pillow's for these
        data = encode(photo(), kind)
        with pytest.raises(CorruptImage):
            read(data[: len(data) // 2])
        assert read(data).format == ENCODINGS[kind][0]
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True, "what another package set is put back"


def test_switch_for_truncated_images_thrown_while_decoding_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load = PngImagePlugin.PngImageFile.load

    def meddle(image: PngImagePlugin.PngImageFile) -> object:
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        return load(image)

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", meddle)
    with pytest.raises(CorruptImage, match="LOAD_TRUNCATED_IMAGES"):
        decode_here(encode(photo(), "png"))


def test_switch_for_truncated_images_stays_off_while_threads_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    whole = [encode(photo(300, 300, seed), "bmp") for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        cut = [pool.submit(decode_here, data[: len(data) - 99]) for _ in range(10) for data in whole]
        good = [pool.submit(decode_here, data) for _ in range(10) for data in whole]
        assert all(isinstance(answer.exception(), CorruptImage) for answer in cut)
        assert all(answer.exception() is None for answer in good)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


@pytest.mark.parametrize(
    "fault",
    [
        *(OSError, SyntaxError, ValueError, struct.error, ZeroDivisionError, EOFError, IndexError),
        *(OverflowError, zlib.error, KeyError, TypeError, AttributeError, RecursionError),
        *(UnicodeDecodeError, AssertionError, UserWarning),
    ],
)
def test_whatever_pillow_raises_ends_as_corrupt_image_without_its_words(
    fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(image: object) -> None:
        raise fault("utf-8", b"Jane", 0, 1, "Doe") if fault is UnicodeDecodeError else fault("Jane Doe")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(CorruptImage, match=fault.__name__) as caught:
        decode_here(encode(photo(), "png"))
    assert "Jane" not in str(caught.value)


def test_memory_error_while_decoding_is_image_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(image: object) -> None:
        raise MemoryError

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(ImageTooLarge):
        decode_here(encode(photo(), "png"))


def test_slow_image_times_out_and_the_next_one_decodes() -> None:
    with Decoder(Limits(seconds=0.4)) as decoder:
        decoder.decode(encode(photo(), "png"))
        first = decoder.worker_pids
        started = time.monotonic()
        with pytest.raises(DecodeTimeout, match=r"0\.4 s"):
            decoder.decode(slow_bmp())
        assert time.monotonic() - started < 3
        assert decoder.decode(encode(photo(), "png")).format == "PNG"
        assert decoder.worker_pids != first


@linux
def test_stopped_worker_times_out_even_before_it_has_taken_the_request() -> None:
    with Decoder(Limits(seconds=0.4)) as decoder:
        decoder.decode(encode(photo(), "png"))
        os.kill(decoder.worker_pids[0], signal.SIGSTOP)
        with pytest.raises(DecodeTimeout):
            decoder.decode(encode(photo(), "jpeg").ljust(MIB, b"\0"))  # more than a pipe holds
        assert decoder.decode(encode(photo(), "png")).format == "PNG"


def test_deadline_strikes_no_worker_that_has_answered() -> None:
    with Decoder(Limits(seconds=0.3)) as decoder:
        decoder.decode(encode(photo(), "png"))
        worker = decoder.worker_pids
        time.sleep(0.6)
        assert decoder.decode(encode(photo(), "png")).format == "PNG"
        assert decoder.worker_pids == worker


def test_images_leave_no_threads_behind(decoder: Decoder) -> None:
    decoder.decode(encode(photo(), "png"))
    before = threading.active_count()
    for _ in range(30):
        decoder.decode(encode(photo(), "png"))
    assert threading.active_count() == before


@linux
def test_worker_killed_while_it_decodes_is_corrupt_image_and_the_next_one_decodes(decoder: Decoder) -> None:
    decoder.decode(encode(photo(), "png"))
    worker = decoder.worker_pids[0]
    killer = threading.Timer(0.2, os.kill, (worker, signal.SIGKILL))
    killer.start()
    with pytest.raises(CorruptImage, match="made the decoder stop"):
        decoder.decode(slow_bmp())
    started = time.monotonic()
    assert decoder.decode(encode(photo(), "png")).format == "PNG"
    assert time.monotonic() - started < 5
    assert decoder.worker_pids != worker


@linux
def test_worker_killed_between_images_costs_no_image(decoder: Decoder) -> None:
    decoder.decode(encode(photo(), "png"))
    worker = decoder.worker_pids[0]
    os.kill(worker, signal.SIGKILL)
    os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
    assert decoder.decode(encode(photo(), "png")).format == "PNG"


@linux
def test_interrupted_caller_does_not_get_the_next_caller_s_pixels(decoder: Decoder) -> None:
    decoder.decode(encode(photo(), "png"))
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    # A job that a shell put into the background ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            decoder.decode(slow_bmp())
    finally:
        signal.signal(signal.SIGINT, before)
    data = encode(photo(seed=5), "png")
    assert same(decoder.decode(data), decode_here(data))


def test_worker_that_answers_nonsense_is_ended(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(photo(), "png")
    decoder.decode(data)
    worker = decoder.worker_pids
    for reply in ({"height": 9, "width": 9, "notes": []}, {"error": "SystemExit", "message": ""}, {}):
        monkeypatch.setattr("modalities.images.child.read_frame", lambda *_, reply=reply: (reply, b"abc"))
        with pytest.raises(CorruptImage, match="nonsense"):
            decoder.decode(data)
    monkeypatch.undo()
    assert decoder.decode(data).format == "PNG"
    assert decoder.worker_pids != worker


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">I", 2**31),
        struct.pack(">I", 2) + b"[]",
        struct.pack(">I", 2) + b"{}",
        struct.pack(">I", 13) + b'{"body": 101}',
        struct.pack(">I", 12) + b'{"body": -1}',
        struct.pack(">I", 9) + b"not json!",
    ],
)
def test_frame_that_is_none_is_refused(frame: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_frame(io.BytesIO(frame + bytes(200)), max_body=100)


@given(
    head=st.sampled_from([encode(photo(), kind)[:size] for kind in ENCODINGS for size in (12, 40, 700)]),
    tail=st.binary(max_size=300),
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_behind_a_known_beginning_give_pixels_or_a_typed_error(head: bytes, tail: bytes) -> None:
    answer(decode, head + tail)


def answer(read: Reader, data: bytes) -> type[InputError] | None:
    """None for a proper image, else the class of the refusal; any other exception fails the test."""
    try:
        image = read(data)
    except InputError as error:
        return type(error)
    assert image.pixels.dtype == np.uint8
    assert min(image.pixels.shape[:2]) >= 64
    return None


def mutate_and_decode(decoder: Decoder, rounds: int, seed: int) -> set[type[InputError] | None]:
    originals = {kind: encode(photo(), kind) for kind in ENCODINGS}
    chance = random.Random(seed)
    answers = set()
    for _ in range(rounds):
        for kind, data in originals.items():
            hostile = mutated(data, chance)
            answers.add(answer(decoder.decode, resealed(hostile) if kind == "png" else hostile))
    return answers


def test_mutated_files_give_pixels_or_a_typed_error_and_kill_no_worker(decoder: Decoder) -> None:
    decoder.decode(encode(photo(), "png"))
    worker = decoder.worker_pids
    assert mutate_and_decode(decoder, 60, seed=11) >= {None, CorruptImage, UnsupportedFormat}
    assert decoder.worker_pids == worker


@pytest.mark.slow
def test_five_thousand_mutated_files_give_pixels_or_a_typed_error(decoder: Decoder) -> None:
    assert mutate_and_decode(decoder, 5000 // len(ENCODINGS), seed=12).isdisjoint(
        {DecodeTimeout, PathRejected}
    )


# --- IN-10: frames ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "webp", "tiff", "tiff-deflate"])
def test_several_frames_or_pages_are_refused(read: Reader, kind: str) -> None:
    others = [photo(seed=seed) for seed in (1, 2)]
    with pytest.raises(MultiFrame):
        read(encode(photo(), kind, save_all=True, append_images=others))


def test_first_picture_of_an_mpo_is_read_with_a_note(read: Reader) -> None:
    image = read(encode(photo(), "MPO", save_all=True, append_images=[photo(seed=1)]))
    assert np.array_equal(image.pixels, read(encode(photo(), "jpeg")).pixels)
    assert (image.format, len(image.notes)) == ("JPEG", 1)
    assert "first" in image.notes[0]


# --- IN-11: modes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "tiff", "bmp"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_grey_palette_and_colour_become_rgb_without_a_note(read: Reader, kind: str, mode: str) -> None:
    image = photo().convert(mode)
    decoded = read(encode(image, kind))
    assert np.array_equal(decoded.pixels, np.asarray(image.convert("RGB")))
    assert decoded.notes == ()


def with_alpha(mode: str, alpha: int) -> Image.Image:
    """`photo` with a left half of this alpha."""
    image = photo().convert("RGBA")
    plane = Image.new("L", image.size, 255)
    plane.paste(alpha, (0, 0, 48, 80))
    image.putalpha(plane)
    return image.convert(mode)


@pytest.mark.parametrize("kind", ["png", "tiff", "webp-lossless"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_opaque_alpha_is_dropped_without_a_note(read: Reader, kind: str, mode: str) -> None:
    image = with_alpha(mode, 255)
    decoded = read(encode(image, kind, exact=True) if kind == "webp-lossless" else encode(image, kind))
    assert np.array_equal(decoded.pixels, np.asarray(image.convert("RGB")))
    assert decoded.notes == ()


@pytest.mark.parametrize("kind", ["png", "tiff", "webp-lossless"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_pixels_are_laid_on_white_with_a_note(read: Reader, kind: str, mode: str) -> None:
    decoded = read(encode(with_alpha(mode, 0), kind))
    assert (decoded.pixels[:, :48] == 255).all()
    assert np.array_equal(
        decoded.pixels[:, 48:], np.asarray(photo().convert(mode[:-1]).convert("RGB"))[:, 48:]
    )
    assert decoded.notes == ("transparent pixels were laid on white",)


def test_half_transparent_black_on_white_is_grey(read: Reader) -> None:
    decoded = read(encode(Image.new("RGBA", (64, 64), (0, 0, 0, 128)), "png"))
    assert set(np.unique(decoded.pixels)) == {127}


def test_transparency_chunk_of_palette_grey_and_colour_is_laid_on_white(read: Reader) -> None:
    palette = Image.new("P", (64, 64))
    palette.putpalette([9, 9, 9, 200, 0, 0])
    palette.paste(1, (32, 0, 64, 64))
    for image, key, seen in (
        (palette, b"\x00\xff", [200, 0, 0]),
        (Image.new("L", (64, 64), 7), 8, [7, 7, 7]),
        (Image.new("RGB", (64, 64), (1, 2, 3)), (1, 2, 4), [1, 2, 3]),
    ):
        decoded = read(encode(image, "png", transparency=key))
        assert decoded.pixels[0, 63].tolist() == seen
        assert decoded.pixels[0, 0].tolist() == ([255] * 3 if image is palette else seen)
    hidden = read(encode(Image.new("RGB", (64, 64), (1, 2, 3)), "png", transparency=(1, 2, 3)))
    assert hidden.pixels.min() == 255
    assert hidden.notes


@pytest.mark.parametrize("kind", ["jpeg", "tiff"])
def test_cmyk_without_a_profile_is_refused(read: Reader, kind: str) -> None:
    with pytest.raises(UnsupportedPixels, match="CMYK without a colour profile"):
        read(encode(photo().convert("CMYK"), kind))


@pytest.mark.parametrize("kind", ["jpeg", "tiff"])
def test_cmyk_with_a_profile_becomes_srgb_with_a_note(read: Reader, kind: str) -> None:
    inks = Image.new("CMYK", (96, 64), (0, 0, 0, 0))
    inks.paste((0, 0, 0, 255), (32, 0, 64, 64))
    inks.paste((255, 0, 0, 0), (64, 0, 96, 64))  # the profile turns cyan to a grey of L = 67
    decoded = read(encode(inks, kind, icc_profile=cmyk_profile()))
    for column, level in ((10, 255), (48, 0), (86, 163)):
        assert np.abs(decoded.pixels[32, column].astype(int) - level).max() <= 3
    assert "sRGB" in decoded.notes[0]


def test_cmyk_with_a_useless_profile_is_refused(read: Reader) -> None:
    grey = photo().convert("CMYK")
    for profile in (b"not a profile", cmyk_profile()[:300], cmyk_profile().replace(b"CMYK", b"RGB ")):
        with pytest.raises(UnsupportedPixels, match="profile that cannot be used"):
            read(encode(grey, "jpeg", icc_profile=profile))


@pytest.mark.parametrize("mode", ["I;16", "I", "F", "LAB", "YCbCr"])
def test_deep_float_and_other_colour_spaces_are_refused(read: Reader, mode: str) -> None:
    if mode == "LAB":
        image = Image.new("LAB", (96, 80), (120, 10, 10))
    else:
        image = photo().convert("L" if mode in ("I;16", "I", "F") else "RGB").convert(mode)
    with pytest.raises(UnsupportedPixels):
        read(encode(image, "tiff"))


def test_sixteen_bit_png_is_refused_in_grey_and_in_colour(read: Reader) -> None:
    for colour, channels in ((0, 1), (2, 3), (4, 2), (6, 4)):
        rows = zlib.compress((b"\0" + bytes(64 * 2 * channels)) * 64)
        with pytest.raises(UnsupportedPixels):
            read(png(64, 64, rows, depth=16, colour=colour))


def test_sixteen_bit_colour_tiff_is_refused(read: Reader) -> None:
    data = bytearray(encode(photo(96, 160), "tiff"))
    bits = data.index(struct.pack("<HHH", 8, 8, 8))
    data[bits : bits + 6] = struct.pack("<HHH", 16, 16, 16)
    height = data.index(struct.pack("<HHI", 257, 4, 1)) + 8
    data[height : height + 4] = struct.pack("<I", 80)
    with pytest.raises(UnsupportedPixels, match="16 bits"):
        read(bytes(data))


# --- IN-12, IN-13: orientation and metadata --------------------------------------------------------------

STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = orientation
    data[0x010E] = "Jane Doe, left arm"
    data.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    return data


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["png", "webp-lossless", "tiff", "tiff-deflate", "jpeg"])
def test_every_orientation_gives_the_same_upright_pixels(read: Reader, kind: str, orientation: int) -> None:
    turn = STORED[orientation]
    stored = photo() if turn is None else photo().transpose(turn)
    more = {"quality": 100, "subsampling": 0} if kind == "jpeg" else {}
    decoded = read(encode(stored, kind, exif=exif(orientation), **more))
    expected = np.asarray(photo())
    assert decoded.pixels.shape == expected.shape
    assert np.abs(decoded.pixels.astype(int) - expected).max() <= (4 if kind == "jpeg" else 0)
    assert decoded.notes == ()


@pytest.mark.parametrize("orientation", [0, 9, 300])
def test_orientation_outside_1_to_8_leaves_the_picture_as_it_is(read: Reader, orientation: int) -> None:
    assert same(read(encode(photo(), "png", exif=exif(orientation))), read(encode(photo(), "png")))


def test_unreadable_orientation_leaves_the_picture_as_it_is_with_a_note(read: Reader) -> None:
    decoded = read(encode(photo(), "png", exif=b"Exif\0\0Jane Doe"))
    assert np.array_equal(decoded.pixels, np.asarray(photo()))
    assert len(decoded.notes) == 1
    assert "Jane" not in decoded.notes[0]


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
def test_nothing_but_pixels_comes_out(read: Reader, kind: str) -> None:
    more: dict[str, object] = {"exif": exif(1), "dpi": (31, 31)}
    if kind == "jpeg":
        more |= {"comment": b"Jane Doe", "xmp": b"<x>Jane Doe</x>"}
    if kind == "png":
        more["pnginfo"] = PngImagePlugin.PngInfo()
        more["pnginfo"].add_text("Patient", "Jane Doe")  # type: ignore[attr-defined]
    data = encode(photo(), kind, **more)
    assert b"Jane Doe" in data
    decoded = read(data)
    assert set(vars(decoded)) == {"pixels", "format", "notes"}
    assert same(decoded, read(encode(photo(), kind)))
    assert isinstance(decoded.pixels.base, (np.ndarray, bytes))
    assert b"Jane" not in decoded.pixels.tobytes() + repr(decoded).encode()


# --- scaled decoding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "shape"),
    [(None, (400, 600)), (401, (400, 600)), (200, (200, 300)), (99, (100, 150)), (20, (50, 75))],
)
@pytest.mark.parametrize("kind", ["jpeg", "progressive"])
def test_jpeg_is_scaled_no_further_than_the_target(
    read: Reader, kind: str, target: int | None, shape: tuple[int, int]
) -> None:
    decoded = read(encode(photo(600, 400), kind), target_side=target)
    assert decoded.pixels.shape[:2] == shape
    small = np.asarray(photo(600, 400).resize(shape[::-1], Image.Resampling.BOX)).astype(int)
    assert np.abs(decoded.pixels - small).mean() < 4


def test_scaled_jpeg_is_turned_upright_and_an_mpo_is_scaled(read: Reader) -> None:
    assert read(encode(photo(600, 400), "jpeg", exif=exif(6)), target_side=200).pixels.shape == (300, 200, 3)
    mpo = encode(photo(600, 400), "MPO", save_all=True, append_images=[photo(seed=1)])
    assert read(mpo, target_side=200).pixels.shape == (200, 300, 3)


def test_other_formats_ignore_the_target(read: Reader) -> None:
    for kind in ("png", "webp", "tiff", "bmp"):
        assert read(encode(photo(600, 400), kind), target_side=64).pixels.shape == (400, 600, 3)


@pytest.mark.parametrize("target", [0, -5, 2.5, "64"])
def test_target_that_is_no_number_of_pixels_is_an_input_error(read: Reader, target: object) -> None:
    with pytest.raises(InputError, match="target_side"):
        read(encode(photo(), "jpeg"), target_side=target)


# --- IN-15, IN-16: paths ---------------------------------------------------------------------------------


def test_path_that_is_no_regular_file_is_rejected_without_naming_it(read: Reader, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "JaneDoe.fifo")
    (tmp_path / "JaneDoe.loop").symlink_to(tmp_path / "JaneDoe.loop")
    (tmp_path / "JaneDoe").mkdir()
    wrong = [
        "/dev/zero",
        "JaneDoe.missing",
        "JaneDoe",
        "JaneDoe.fifo",
        "JaneDoe.loop",
        "JaneDoe\0.jpg",
        "J" * 300,
    ]
    for name in [*wrong, "JaneDoe\udcff\n<script>.jpg", "JaneDoe/..", ""]:
        with pytest.raises(PathRejected, match="image path") as caught:
            read(tmp_path / name if name else "")
        shown = f"{caught.value}{caught.value.__cause__}"
        assert "Jane" not in shown
        assert str(tmp_path) not in shown


def test_path_outside_the_root_is_rejected(read: Reader, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "root-not"
    for folder in (root, outside):
        folder.mkdir()
        (folder / "a.png").write_bytes(encode(photo(), "png"))
    (root / "inside").symlink_to(root / "a.png")
    (root / "out").symlink_to(outside / "a.png")
    (root / "away").symlink_to(outside)
    for good in (root / "a.png", root / "inside", root / "away" / ".." / "root" / "a.png"):
        assert read(good, root=root).format == "PNG"
    for wrong in (
        outside / "a.png",
        root / "out",
        root / "away" / "a.png",
        root / ".." / "root-not" / "a.png",
    ):
        with pytest.raises(PathRejected, match="outside the allowed folder"):
            read(wrong, root=root)
    with pytest.raises(PathRejected, match="root"):
        read(root / "a.png", root=tmp_path / "missing")


def test_file_swapped_for_a_fifo_after_the_check_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode(photo(), "png"))
    opened = os.open

    def swap(target: Path, flags: int) -> int:
        path.unlink()
        os.mkfifo(path)
        return opened(target, flags)

    monkeypatch.setattr("modalities.images.source.os.open", swap)
    with pytest.raises(PathRejected, match="not a regular file"):
        decode_here(path)


def test_what_is_no_regular_file_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "modalities.images.source.os.open", lambda *_: pytest.fail("opening can have effects")
    )
    for source in ("/dev/zero", tmp_path):
        with pytest.raises(PathRejected):
            decode_here(source)


def test_file_that_cannot_be_opened_is_rejected_without_naming_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "JaneDoe.png").write_bytes(encode(photo(), "png"))
    monkeypatch.setattr("modalities.images.source.os.open", refuse)
    with pytest.raises(PathRejected, match="PermissionError") as caught:
        decode_here(tmp_path / "JaneDoe.png")
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize("source", [None, 7, ["a.png"], np.zeros(3)])
def test_source_that_is_neither_bytes_nor_path_is_an_input_error(read: Reader, source: object) -> None:
    with pytest.raises(InputError, match="bytes or the path"):
        read(source)


# --- limits, threads, processes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        *({"max_bytes": 0}, {"seconds": float("nan")}, {"seconds": float("inf")}, {"max_side": 2.5}),
        *({"min_side": True}, {"max_aspect": "20"}, {"memory_bytes": 1024}),
    ],
)
def test_limit_that_is_no_bound_is_an_input_error(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Limits(**wrong)  # type: ignore[arg-type]


def test_limits_of_a_decoder_hold_in_its_worker() -> None:
    with Decoder(Limits(max_pixels=7000, min_side=1, max_aspect=2, max_scans=3)) as decoder:
        assert decoder.decode(encode(photo(20, 20), "png")).pixels.shape == (20, 20, 3)
        for data in (encode(photo(), "png"), encode(photo(50, 20), "png")):
            with pytest.raises(ImageTooLarge):
                decoder.decode(data)
        with pytest.raises(CorruptImage, match="more than 3 scans"):
            decoder.decode(encode(photo(40, 40), "progressive"))


def test_eight_threads_get_the_same_pixels_as_one() -> None:
    files = [encode(photo(seed=seed), kind) for seed in range(3) for kind in ENCODINGS]
    alone = [decode_here(data) for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(decode, files * 8))
        here = list(pool.map(decode_here, files * 8))
    assert all(same(one, other) for one, other in zip(alone * 8, together, strict=True))
    assert all(same(one, other) for one, other in zip(alone * 8, here, strict=True))


def test_closed_decoder_leaves_no_process_and_opens_again() -> None:
    decoder = Decoder()
    assert decoder.worker_pids == ()
    decoder.close()
    decoder.decode(encode(photo(), "png"))
    (worker,) = decoder.worker_pids
    decoder.close()
    assert decoder.worker_pids == ()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    with decoder:
        assert decoder.decode(encode(photo(), "png")).format == "PNG"


def gone(pid: int, within: float) -> bool:
    """Whether the process has ended, reaped or not."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


ORPHAN = """
import os, signal, sys
from modalities.images import Decoder
decoder = Decoder()
decoder.decode(sys.argv[1])
print(*decoder.worker_pids, flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@linux
@pytest.mark.parametrize("end", ["killed", "exits"])
def test_worker_ends_with_its_parent(tmp_path: Path, end: str) -> None:
    (tmp_path / "a.png").write_bytes(encode(photo(), "png"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", ORPHAN, str(tmp_path / "a.png"), end]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
    assert gone(int(output), within=5)


FORK = """
import os, sys, threading
from modalities.images import Decoder
decoder = Decoder()
decoder.decode(sys.argv[1])
parent = decoder.worker_pids
slow = threading.Thread(target=decoder.decode, args=[sys.argv[2]])
slow.start()  # holds the decoder's only place over the fork
while decoder._pool()._idle:
    pass
child = os.fork()
if not child:
    decoder.decode(sys.argv[1])
    sys.exit(decoder.worker_pids == parent)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
slow.join()
print(decoder.worker_pids == parent)
"""


@linux
def test_forked_process_neither_waits_for_nor_ends_its_parent_s_worker(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(photo(), "png"))
    (tmp_path / "slow.bmp").write_bytes(slow_bmp(1200))
    assert run(FORK, tmp_path / "a.png", tmp_path / "slow.bmp").split() == ["0", "True"]


LOADED = """
import sys
from modalities.images import child
program = child._PROGRAM.replace(".main()", "; print(*sys.modules)")
for name in [n for n in sys.modules if n.partition(".")[0] in ("core", "modalities", "pydantic")]:
    del sys.modules[name]
sys.argv = ["-c", "modalities.images.worker"]
exec(program)
"""


def test_worker_imports_neither_torch_nor_the_rest_of_the_house() -> None:
    loaded = run(LOADED).split()
    assert "modalities.images.worker" in loaded
    heavy = {
        "core.case",
        "modalities.images.decoder",
        "pydantic",
        "torch",
        "torchvision",
        "sklearn",
        "xgboost",
        "onnxruntime",
        "scipy",
        "pandas",
        "dxtree",
        "plugins",
    }
    assert not heavy & set(loaded)


def test_default_decoder_is_made_once_by_the_first_of_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def make(**given: Any) -> Decoder:
        time.sleep(0.05)
        made.append(Decoder(**given))
        return made[-1]

    monkeypatch.setattr("modalities.images.decoder.Decoder", make)
    monkeypatch.setattr("modalities.images.decoder._shared_decoder", None)
    data = encode(photo(), "png")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, [data] * 8))
    assert len(made) == 1
    made[0].close()
