"""Does the command write the map that it was asked for, and say in a line what it cannot?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from core.errors import DxtreeError
from dxtree.cli.main import app
from dxtree.cohorts.synthetic import make_lesion

pytest.importorskip("captum")


@pytest.fixture(scope="module")
def lesion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lesion") / "lesion.jpg"
    path.write_bytes(make_lesion(2017, 3, views=("dermoscopy",)).jpegs["dermoscopy"])
    return path


def asked(
    image: Path, out: Path, *more: str, modality: str = "dermoscopy", node: str = "Malignant"
) -> list[str]:
    given = ["explain", str(image), "--modality", modality, "--node", node, "--out", str(out)]
    return [*given, "--models", "demonstration", *more]


@pytest.mark.parametrize("method", ["auto", "grad-cam", "occlusion"])
def test_it_writes_a_picture_and_says_how_it_was_made(lesion: Path, tmp_path: Path, method: str) -> None:
    out = tmp_path / "map.png"
    done = CliRunner().invoke(app, asked(lesion, out, "--method", method, "--json"))
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["method"] == ("saliency" if method == "auto" else method)
    assert (told["node"], told["modality"]) == ("Malignant", "dermoscopy")
    assert 0 < told["probability"] < 1
    with Image.open(out) as picture:
        assert (picture.format, picture.size) == ("PNG", (told["width"], told["height"]))
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 1000


def test_without_captum_it_says_that_occlusion_took_over(
    lesion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    done = CliRunner().invoke(app, asked(lesion, tmp_path / "map.png"))
    assert done.exit_code == 0, done.output
    assert "occlusion, 9 x 9 cells" in done.stdout
    assert "note: made by occlusion" in done.stdout
    refused = CliRunner().invoke(app, asked(lesion, tmp_path / "other.png", "--method", "saliency"))
    assert isinstance(refused.exception, DxtreeError)
    assert refused.exception.code == "MissingExtra"
    assert not (tmp_path / "other.png").exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"modality": "dermoscop"}, "UnknownModality"),
        ({"node": "Malignancy"}, "UnknownNode"),
        ({"node": "root"}, "TaxonomyError"),
        ({"image": "nothing.jpg"}, "PathRejected"),
        ({"out": "map.jpg"}, "PathRejected"),
        ({"out": "nowhere/map.png"}, "PathRejected"),
        ({"method": "gradcam"}, "ExplanationError"),
        ({"seconds": "0"}, "ExplanationError"),
    ],
)
def test_what_it_cannot_do_is_a_typed_error_and_no_file(
    lesion: Path, tmp_path: Path, change: dict[str, str], code: str
) -> None:
    out = tmp_path / change.get("out", "map.png")
    more = [t for name in ("method", "seconds") if name in change for t in (f"--{name}", change[name])]
    names = {k: v for k, v in change.items() if k in ("modality", "node")}
    image = tmp_path / change["image"] if "image" in change else lesion
    done = CliRunner().invoke(app, asked(image, out, *more, **names))
    assert isinstance(done.exception, DxtreeError), done.output
    assert (done.exception.code, done.exception.exit_code) == (code, 2)
    assert not out.exists()
