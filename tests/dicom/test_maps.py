"""Does a map lie where the frame of a DICOM file has its pixels, whatever way it is asked for?"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from typer.testing import CliRunner

pytest.importorskip("fastapi", reason="the extra serve is not installed")
from starlette.testclient import TestClient

from core.errors import DxtreeError
from dxtree.cli.main import app
from dxtree.cohorts.synthetic import make_lesion
from dxtree.service import Judge, ServiceSettings, make_app
from modalities.cnn.attribution import can_take_gradients
from modalities.cnn.explaining import explain
from modalities.cnn.occlusion import frame_of
from modalities.dicom import case_from_dicom
from plugins.assembly import assemble, find_model_set, load_registry

Make = Callable[..., bytes]
Pixels = npt.NDArray[np.uint8]

MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.7.4"
KIND, CENTRE, WIDTH = 0x00280004, 0x00281050, 0x00281051
NODE = "Malignant"
WIDE, TALL = (180, 300), (300, 180)
"""Rows and columns: what a net sees of them, the middle square, tells them apart."""
METHODS = ("saliency", "occlusion") if can_take_gradients() else ("occlusion",)
QUICK = METHODS[0]
"""One gradient in place of 82 answers, where that can be."""


def drawn(rows: int, columns: int, number: int = 3) -> Pixels:
    jpeg = make_lesion(2017, number, views=("dermoscopy",)).jpegs["dermoscopy"]
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB").resize((columns, rows)))


def png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def judge() -> Judge:
    registry = load_registry()
    models = find_model_set(registry, "demonstration")
    return Judge(registry, models, assemble(registry, models))


@pytest.fixture(scope="module")
def client(judge: Judge) -> Iterator[TestClient]:
    with TestClient(make_app(judge, ServiceSettings()), raise_server_exceptions=False) as client:
        yield client


def mapped(judge: Judge, data: bytes, method: str, frame: Any = None, which: int = 0) -> Any:
    image = case_from_dicom([("dermoscopy", data)], frame=frame).case.images[which]
    return explain(judge.pipeline.models["dermoscopy"](), image, judge.pipeline.sums, NODE, method)


def plain(judge: Judge, pixels: Pixels, method: str) -> Any:
    from core.case import ImageInput

    image = ImageInput(modality="dermoscopy", data=png(pixels))
    return explain(judge.pipeline.models["dermoscopy"](), image, judge.pipeline.sums, NODE, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [WIDE, TALL], ids=["wide", "tall"])
def test_a_map_of_a_frame_is_that_of_its_pixels_in_its_own_geometry(
    judge: Judge, make: Make, size: tuple[int, int], method: str
) -> None:
    pixels = drawn(*size)
    found, wanted = mapped(judge, make(pixels), method), plain(judge, pixels, method)
    assert np.array_equal(found.picture, pixels)
    seen = judge.pipeline.models["dermoscopy"]().preprocessing.seen
    assert found.frame == wanted.frame == frame_of(seen, size[1], size[0])
    left, top, right, bottom = found.frame
    assert (left + right, top + bottom) == pytest.approx((size[1], size[0]), abs=2)
    assert np.array_equal(found.values, wanted.values)


def test_each_frame_has_its_own_map_by_its_number_and_among_all(judge: Judge, make: Make) -> None:
    frames = np.stack([drawn(*WIDE, number=n) for n in (3, 5, 8)])
    data = make(frames, sop_class=MULTI_FRAME)
    maps = [plain(judge, one, QUICK).values for one in frames]
    assert not np.array_equal(maps[0], maps[1])
    for k, wanted in enumerate(maps):
        one, among = mapped(judge, data, QUICK, k + 1), mapped(judge, data, QUICK, "all", k)
        assert np.array_equal(one.picture, frames[k])
        assert np.array_equal(one.values, wanted)
        assert np.array_equal(among.values, wanted)


def centre(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Of a map's sizes, down and across, as shares of its sides."""
    size = np.abs(values)
    down, across = (
        size.sum(axis=1 - k) @ (np.arange(side) + 0.5) / side for k, side in enumerate(size.shape)
    )
    return float(down / size.sum()), float(across / size.sum())


def test_a_flipped_frame_has_the_flipped_map(judge: Judge, make: Make) -> None:
    """A dark spot off the middle draws the map to itself: one that were turned would not fit."""
    spot = np.full((200, 200, 3), (215, 170, 150), np.uint8)
    spot[20:90, 110:180] = (60, 30, 25)
    upright, flipped = (mapped(judge, make(p), "occlusion") for p in (spot, spot[::-1, ::-1]))
    row, column = centre(upright.values)
    assert row < 0.4 < 0.6 < column
    assert centre(flipped.values) == pytest.approx((1 - row, 1 - column), abs=0.1)


def test_the_picture_under_the_map_is_the_frame_as_it_is_shown(judge: Judge, make: Make) -> None:
    """Grey of 16 bits, windowed and inverted: the map lies over what the net saw, not over what is stored."""
    grey = drawn(*TALL).astype(np.uint16).sum(axis=2) * 64
    data = make(
        grey.astype(np.uint16),
        {KIND: ("CS", "MONOCHROME1"), CENTRE: ("DS", 24_000), WIDTH: ("DS", 40_000)},
        sop_class="1.2.840.10008.5.1.4.1.1.7.3",
    )
    found = mapped(judge, data, QUICK)
    assert found.picture.shape == (*TALL, 3)
    bright, dark = np.unravel_index(grey.argmax(), TALL), np.unravel_index(grey.argmin(), TALL)
    assert found.picture[bright][0] < 30
    assert found.picture[dark][0] > 150


def run(file: Path, out: Path, *more: str) -> Any:
    asked = ["explain", str(file), "--modality", "dermoscopy", "--node", NODE, "--out", str(out)]
    return CliRunner().invoke(app, [*asked, "--models", "demonstration", "--method", QUICK, "--json", *more])


def test_the_command_draws_the_frame_that_is_named(make: Make, tmp_path: Path, judge: Judge) -> None:
    frames = np.stack([drawn(*WIDE, number=n) for n in (3, 5)])
    file, out = tmp_path / "two.dcm", tmp_path / "map.png"
    file.write_bytes(make(frames, sop_class=MULTI_FRAME))
    done = run(file, out, "--frame", "2")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["height"], told["width"]) == WIDE
    assert told["probability"] == plain(judge, frames[1], QUICK).probability
    assert any("identity was removed" in note for note in told["notes"])
    with Image.open(out) as picture:
        assert picture.size == WIDE[::-1]
    out.unlink()
    for more, code in (((), "MultiFrame"), (("--frame", "3"), "MultiFrame")):
        refused = run(file, out, *more)
        assert isinstance(refused.exception, DxtreeError), refused.output
        assert refused.exception.code == code
    (tmp_path / "one.png").write_bytes(png(frames[0]))
    refused = run(tmp_path / "one.png", out, "--frame", "1")
    assert isinstance(refused.exception, DxtreeError)
    assert refused.exception.code == "CaseError"
    file.write_bytes(make(frames[0])[:2000])
    assert run(file, out).exception.code == "CorruptImage"  # type: ignore[union-attr]
    assert not out.exists()


def pictures(text: str) -> list[Image.Image]:
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r"base64,([^\"]+)", text)]


def test_the_page_lays_the_map_over_the_frame_that_is_named(
    client: TestClient, make: Make, judge: Judge
) -> None:
    frames = np.stack([drawn(*TALL, number=n) for n in (3, 5)])
    part = ("dicom", ("x.dcm", make(frames, sop_class=MULTI_FRAME), "application/dicom"))
    named = ("dermoscopy", part[1])
    beside = ("clinical", ("c.png", png(drawn(*WIDE)), "image/png"))
    for frame, image, which in ((2, 1, 1), ("all", 1, 0), ("all", 2, 1)):
        answer = client.post(
            "/saliency",
            params={"node": NODE, "image": image, "method": QUICK},
            files=[named, beside],
            data={"case": json.dumps({"options": {"frame": frame}})},
        )
        assert answer.status_code == 200, answer.text
        picture, heat = pictures(answer.text)
        assert picture.size == heat.size == TALL[::-1]
        shown = np.asarray(picture.convert("RGB")).astype(int)
        off = [np.abs(shown - one).mean() for one in frames]
        assert off[which] < 4 < off[1 - which]  # JPEG
        seen = frame_of(judge.pipeline.models["dermoscopy"]().preprocessing.seen, TALL[1], TALL[0])
        opacity = np.asarray(heat)[..., 3]
        assert (opacity[: int(seen[1])] == 150).all()  # grey: above what the net sees
        assert not (opacity[int(seen[1]) + 2 : int(seen[3]) - 2] == 150).all()
    third = client.post(
        "/saliency",
        params={"node": NODE, "image": 3, "method": QUICK},
        files=[named, beside],
        data={"case": json.dumps({"options": {"frame": "all"}})},
    )
    assert pictures(third.text)[0].size == WIDE[::-1]
    refused = client.post("/saliency", params={"node": NODE, "image": 1}, files=[named])
    assert (refused.status_code, refused.json()["code"]) == (422, "MultiFrame")


def test_the_page_offers_a_map_for_every_frame_of_the_answer(client: TestClient, make: Make) -> None:
    frames = np.stack([drawn(*TALL, number=n) for n in (3, 5)])
    part = ("dermoscopy", ("x.dcm", make(frames, sop_class=MULTI_FRAME), "application/dicom"))
    answer = client.post(
        "/diagnose", files=[part], data={"case": json.dumps({"options": {"frame": "all"}})}
    ).text
    assert {int(n) for n in re.findall(r"/saliency\?lang=en&amp;image=(\d+)", answer)} == {1, 2}
