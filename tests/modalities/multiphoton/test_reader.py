"""Is an OME-TIFF read as it was written, by libraries that have nothing in common with the reader's?"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from core.errors import (
    CorruptImage,
    DxtreeError,
    EmptyInput,
    ImageTooLarge,
    MultiFrame,
    UnsupportedFormat,
    UnsupportedPixels,
)
from modalities.multiphoton.ome import OmeChannel, read_ome
from modalities.multiphoton.reader import FLUORESCENCE, HARMONIC, OTHER, parse, part_of, read
from modalities.multiphoton.simulate import NEVUS, draw, written
from modalities.stacks.limits import LIMITS

PLANES = np.random.default_rng(0).integers(0, 60_000, (3, 2, 40, 56)).astype(np.uint16)
"""Depth, channel, height, width."""


def independent(planes: np.ndarray = PLANES, order: str = "XYZCT", **changed: Any) -> bytes:
    """Pages by Pillow, XML by ome-types; the channel of fluorescence comes first."""
    model = pytest.importorskip("ome_types.model")
    depth, count, height, width = planes.shape
    told: dict[str, Any] = {
        "dimension_order": order, "type": str(planes.dtype), "size_x": width, "size_y": height,
        "size_z": depth, "size_c": count, "size_t": 1, "physical_size_x": 500.0, "physical_size_x_unit": "nm",
        "physical_size_y": 0.75, "physical_size_z": 4.0, "significant_bits": 12,
        "channels": [
            model.Channel(id="Channel:0:0", emission_wavelength=470.0, excitation_wavelength=780.0),
            model.Channel(id="Channel:0:1", emission_wavelength=390.0, excitation_wavelength=780.0),
        ],
        "tiff_data_blocks": [model.TiffData(ifd=0, plane_count=depth * count)],
        **changed,
    }  # fmt: skip
    ome = model.OME(images=[model.Image(pixels=model.Pixels(**told))])
    axes = (1, 0) if order == "XYZCT" else (0, 1)
    pages = [Image.fromarray(page) for page in planes.transpose(*axes, 2, 3).reshape(-1, height, width)]
    target = io.BytesIO()
    xml = ome.to_xml().encode()
    pages[0].save(target, "TIFF", save_all=True, append_images=pages[1:], tiffinfo={270: xml})
    return target.getvalue()


def described(text: str, pages: int = 1, **options: Any) -> bytes:
    target = io.BytesIO()
    with tifffile.TiffWriter(target) as writer:
        for number in range(pages):
            page = np.zeros((40, 40), np.uint16)
            note = text.encode() if number == 0 else None
            writer.write(page, photometric="minisblack", description=note, metadata=None, **options)
    return target.getvalue()


@pytest.fixture(scope="module")
def drawn() -> bytes:
    return draw(NEVUS, np.random.default_rng(0))


@pytest.mark.parametrize("order", ["XYZCT", "XYCZT"])
def test_a_file_of_other_libraries_is_read_right_in_either_order(order: str) -> None:
    stack = read(independent(order=order))
    assert stack.values.shape == (3, 40, 56, 2)
    assert (stack.values == PLANES.transpose(0, 2, 3, 1)).all()
    assert [c.name.partition(",")[0] for c in stack.channels] == [FLUORESCENCE, HARMONIC]
    assert [c.value for c in stack.channels] == [470.0, 390.0]
    assert stack.spacing_um == pytest.approx((0.75, 0.5))
    assert (stack.axis, stack.positions, stack.bits) == ("depth", (0.0, 4.0, 8.0), 12)


def test_floating_point_planes_are_read_as_they_are() -> None:
    planes = np.random.default_rng(1).normal(size=(1, 2, 40, 40)).astype(np.float32)
    stack = read(independent(planes, type="float", significant_bits=None))
    assert (stack.values[0] == planes[0].transpose(1, 2, 0)).all()
    assert (stack.axis, stack.positions, stack.bits) == ("none", (), None)


def test_planes_that_are_placed_one_by_one_are_found() -> None:
    model = pytest.importorskip("ome_types.model")
    places = [(z, c) for c in range(2) for z in range(3)]
    blocks = [
        model.TiffData(ifd=5 - k, first_z=z, first_c=c, plane_count=1) for k, (z, c) in enumerate(places)
    ]
    stack = parse(independent(tiff_data_blocks=blocks), LIMITS)
    turned = PLANES.transpose(1, 0, 2, 3).reshape(6, 40, 56)[::-1].reshape(2, 3, 40, 56)
    assert (stack.values == turned.transpose(1, 2, 3, 0)).all()


def test_distances_that_are_not_given_stay_unknown_and_are_noted() -> None:
    stack = parse(independent(physical_size_x=None, physical_size_z=None), LIMITS)
    assert stack.spacing_um is None
    assert stack.positions == (None, None, None)
    assert any("PhysicalSizeZ" in note for note in stack.notes)


@pytest.mark.parametrize(
    ("excitation", "emission", "part"),
    [
        (780, 390, HARMONIC),
        (820, 415, HARMONIC),
        (780, 470, FLUORESCENCE),
        (780, 420, FLUORESCENCE),
        (1250, 625, HARMONIC),
        (780, 700, OTHER),
        (780, 300, OTHER),
        (390, 470, OTHER),
        (None, 390, OTHER),
        (780, None, OTHER),
    ],
)
def test_a_channel_is_known_by_its_wavelengths(excitation: Any, emission: Any, part: str) -> None:
    assert part_of(OmeChannel("SHG", excitation, emission)) == part


def test_a_name_is_no_wavelength() -> None:
    model = pytest.importorskip("ome_types.model")
    named = [model.Channel(id=f"Channel:0:{k}", name=name) for k, name in enumerate(("SHG", "AF"))]
    with pytest.raises(UnsupportedPixels, match="needed: ExcitationWavelength and EmissionWavelength"):
        parse(independent(channels=named), LIMITS)


@pytest.mark.parametrize(
    ("changed", "fault", "said"),
    [
        ({"size_t": 2}, MultiFrame, "over time"),
        ({"size_z": 4}, CorruptImage, "where each plane lies"),
        ({"size_x": 57}, CorruptImage, "size or type"),
        ({"size_x": 9_000_000}, ImageTooLarge, "numbers"),
        ({"size_z": 60_000, "tiff_data_blocks": []}, CorruptImage, "more than a stack has"),
        ({"size_z": 30_000, "tiff_data_blocks": []}, CorruptImage, "where each plane lies"),
    ],
)
def test_what_contradicts_is_a_typed_error(changed: Any, fault: type[DxtreeError], said: str) -> None:
    with pytest.raises(fault, match=said):
        parse(independent(**changed), LIMITS)


def test_a_page_that_is_missing_is_a_contract_of_the_file_broken() -> None:
    model = pytest.importorskip("ome_types.model")
    later = [model.TiffData(ifd=2, plane_count=6)]
    with pytest.raises(CorruptImage, match="fewer pages"):
        parse(independent(tiff_data_blocks=later), LIMITS)


def test_an_entity_is_never_expanded() -> None:
    laughs = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 10))
    bomb = f'<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY l0 "ha">{laughs}]><OME>&l9;</OME>'
    for text in (bomb, '<!DOCTYPE OME [<!ENTITY x SYSTEM "file:///etc/passwd">]><OME>&x;</OME>'):
        with pytest.raises(CorruptImage, match="document type"):
            parse(described(text), LIMITS)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", UnsupportedFormat),
        ("just a picture", UnsupportedFormat),
        ("<OME><Image", CorruptImage),
        ("<OME/>", MultiFrame),
        ("<OME><Image/></OME>", CorruptImage),
        ("<OME><Image><Pixels SizeX='40'/></Image></OME>", CorruptImage),
        (
            "<OME><Image><Pixels SizeX='-4' SizeY='1' SizeZ='1' SizeC='1' SizeT='1'/></Image></OME>",
            CorruptImage,
        ),
        ("<OME><Image/><Image/></OME>", MultiFrame),
        ("<p><OME/></p>", UnsupportedFormat),
    ],
)
def test_text_that_is_no_ome_of_one_image_is_a_typed_error(text: str, fault: type[DxtreeError]) -> None:
    with pytest.raises(fault):
        parse(described(text), LIMITS)


def test_deflate_is_read_and_a_lossy_packing_is_not(drawn: bytes) -> None:
    with tifffile.TiffFile(io.BytesIO(drawn)) as file:
        pages, text = file.asarray(), file.pages.first.description
    target = io.BytesIO()
    with tifffile.TiffWriter(target) as writer:
        for number, page in enumerate(pages.reshape(-1, *pages.shape[-2:])):
            note = text if number == 0 else None
            writer.write(page, compression="zlib", predictor=True, description=note, metadata=None)
    assert (read(target.getvalue()).values == read(drawn).values).all()
    jpeg = bytearray(drawn)
    at = jpeg.find(struct.pack("<HHIHH", 259, 3, 1, 1, 0))
    jpeg[at + 8 : at + 10] = struct.pack("<H", 34712)
    with pytest.raises(UnsupportedFormat, match="without compression"):
        parse(bytes(jpeg), LIMITS)


def test_a_deflate_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = zlib.compress(bytes(1 << 27), 9)
    stack = np.zeros((1, 40, 40, 2))
    plain = written(stack, [(780, 390), (780, 470)], (1, 1, 1))
    packed = bytearray(plain)
    at = packed.find(struct.pack("<HHIHH", 259, 3, 1, 1, 0))
    packed[at + 8 : at + 10] = struct.pack("<H", 8)
    for tag, value in ((273, len(packed)), (279, len(bomb))):
        head = struct.pack("<HHI", tag, 4, 1)
        where = packed.find(head)
        assert where > 0
        packed[where + 8 : where + 12] = struct.pack("<I", value)
    with pytest.raises(CorruptImage, match="pack more than they can hold"):
        read(bytes(packed) + bomb)


def test_numbers_that_are_not_finite_are_refused() -> None:
    planes = np.ones((1, 2, 40, 40), np.float32)
    planes[0, 1, 3, 3] = np.nan
    with pytest.raises(CorruptImage, match="not finite"):
        read(independent(planes, type="float", significant_bits=None))


@pytest.mark.parametrize("kept", [0, 4, 600, 3000, 100_000])
def test_a_truncated_file_is_a_typed_error(drawn: bytes, kept: int) -> None:
    with pytest.raises((EmptyInput, UnsupportedFormat, CorruptImage)):
        read(drawn[:kept])


def test_a_picture_is_no_ome_tiff() -> None:
    target = io.BytesIO()
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(target, "PNG")
    with pytest.raises(UnsupportedFormat):
        read(target.getvalue())


def test_more_text_than_a_description_has_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(UnsupportedFormat):
        read_ome("<OME>" + " " * 5_000_000 + "</OME>")
