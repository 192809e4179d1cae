"""Does the command write each stage, and does the synthetic cohort know its lesions' outlines?"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from core.errors import InputError, PathRejected, PluginError
from dxtree.cli.main import app
from dxtree.cohorts.synthetic import make_lesion, true_mask
from modalities.stages.segmentation import otsu, overlap, two_means

run = CliRunner()
PLUGIN = """
from plugins import FeatureSpec, PreprocessorSpec, SegmenterSpec, hookimpl

def halved(pixels):
    return pixels // 2

def load_step():
    return halved

def upper(pixels):
    import numpy as np
    return np.arange(len(pixels))[:, None] + np.zeros(pixels.shape[1]) < len(pixels) // 2

def load_segmenter():
    return upper

def count(pixels, mask, mm_per_pixel):
    return {"mine_pixels": float(mask.sum()), "mine_mm": mm_per_pixel}

def load_feature():
    return count

@hookimpl
def dxtree_preprocessors():
    return [PreprocessorSpec("halved", "Half as bright", load_step)]

@hookimpl
def dxtree_segmenters():
    return [SegmenterSpec("upper", "The upper half", load_segmenter)]

@hookimpl
def dxtree_features():
    return [FeatureSpec("count", "Counts", load_feature)]
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "lesion.png"
    Image.fromarray(make_lesion(3, 1, size=384).images["dermoscopy"]).save(path)
    return path


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "mine_plugin.py"
    path.write_text(PLUGIN, "utf-8")
    return path


def stages(image: Path, out: Path, *options: str) -> dict[str, Any]:
    done = run.invoke(
        app, ["stages", str(image), "--modality", "dermoscopy", "--out", str(out), *options, "--json"]
    )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_stage_is_written(image: Path, tmp_path: Path) -> None:
    found = stages(image, tmp_path / "out", "--step", "hair", "--step", "grey_world")
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names == {
        "0-read.png",
        "1-hair.png",
        "2-grey_world.png",
        "mask.png",
        "outline.png",
        "features.json",
    }
    assert json.loads((tmp_path / "out/features.json").read_text()) == found
    assert [s["name"] for s in found["steps"]] == ["hair", "grey_world"]
    assert found["steps"][1]["changed"] > 0.5
    assert found["scale"] == pytest.approx(288 / 384)
    assert found["features"]["diameter_mm"] is None
    mask = np.asarray(Image.open(tmp_path / "out/mask.png")) > 0
    assert found["mask"]["share"] == pytest.approx(mask.mean())
    assert (
        overlap(mask, np.asarray(Image.fromarray(true_mask(3, 1, "dermoscopy", size=384)).resize((288, 288))))
        > 0.8
    )


def test_a_given_mask_and_scale_are_those_of_the_file(image: Path, tmp_path: Path) -> None:
    mask = tmp_path / "mask.png"
    Image.fromarray(true_mask(3, 1, "dermoscopy", size=384)).save(mask)
    found = stages(image, tmp_path / "out", "--mask", str(mask), "--mm-per-pixel", "0.1")
    assert found["mask"]["from"] == "given"
    area = true_mask(3, 1, "dermoscopy", size=384).sum() * 0.01
    assert found["features"]["area_mm2"] == pytest.approx(area, rel=0.02)


def test_the_share_of_a_map_inside_the_lesion_is_told(image: Path, tmp_path: Path) -> None:
    options = ("--models", "demonstration", "--node", "Malignant", "--method", "occlusion")
    told = stages(image, tmp_path / "out", *options)["map"]
    assert 0 < told["share_inside"] <= 1
    assert told["ratio"] == pytest.approx(told["share_inside"] / told["lesion_share_of_view"])


def test_a_picture_without_a_lesion_has_no_features(tmp_path: Path) -> None:
    path = tmp_path / "bare.png"
    Image.new("RGB", (128, 128), (214, 168, 146)).save(path)
    found = stages(path, tmp_path / "out")
    assert found["features"] is None
    assert found["mask"]["share"] == 0
    assert "no lesion was found" in found["notes"][0]


def test_a_stranger_s_stages_come_through_the_same_door(image: Path, plugin: Path, tmp_path: Path) -> None:
    options = ("--plugin", str(plugin), "--step", "halved", "--segmenter", "upper", "--mm-per-pixel", "0.3")
    found = stages(image, tmp_path / "out", *options)
    assert found["mask"]["share"] == pytest.approx(0.5)
    assert found["features"]["mine_pixels"] == 288 * 144
    assert found["features"]["mine_mm"] == pytest.approx(0.4)
    read, halved = (np.asarray(Image.open(tmp_path / "out" / n)) for n in ("0-read.png", "1-halved.png"))
    assert np.array_equal(halved, read // 2)


def test_the_kit_checks_a_stranger_s_stages(plugin: Path) -> None:
    done = run.invoke(app, ["plugins", "check", str(plugin), "--quick", "--json"])
    findings = json.loads(done.stdout)
    assert done.exit_code == 0
    assert {"stage_answers", "stage_deterministic", "stage_untouched"} <= {f["key"] for f in findings}


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ("return pixels[1:]", "stage_answers"),
        ("import random; return pixels ^ random.randint(1, 255)", "stage_deterministic"),
        ("pixels.setflags(write=True); pixels[:] = 0; return pixels", "stage_untouched"),
    ],
)
def test_the_kit_sees_a_broken_step(body: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "broken_plugin.py"
    path.write_text(PLUGIN.replace("return pixels // 2", body), "utf-8")
    done = run.invoke(app, ["plugins", "check", str(path), "--quick", "--json"])
    assert key in {f["key"] for f in json.loads(done.stdout) if not f["passed"]}


def test_an_unknown_step_and_a_mask_of_another_size_are_typed_errors(image: Path, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"no preprocessing step 'hiar'.*did you mean 'hair'"):
        stages(image, tmp_path / "out", "--step", "hiar")
    mask = tmp_path / "mask.png"
    Image.fromarray(true_mask(3, 1, "dermoscopy")).save(mask)
    with pytest.raises(InputError, match="the mask has 192 x 192 pixels and the image 384 x 384"):
        stages(image, tmp_path / "out", "--mask", str(mask))
    with pytest.raises(InputError, match="no black and white picture"):
        stages(image, tmp_path / "out", "--mask", str(image))
    with pytest.raises(PathRejected, match="is a file"):
        stages(image, image)


def test_embedding_gives_the_features_that_the_net_s_logits_come_from(image: Path, tmp_path: Path) -> None:
    from core.case import ImageInput
    from modalities.cnn.penultimate import Penultimate
    from plugins.assembly import assemble, find_model_set, load_registry

    out = tmp_path / "rows.npy"
    arguments = ["embed", str(image), str(image), "--modality", "dermoscopy", "--models", "demonstration"]
    done = run.invoke(app, [*arguments, "--out", str(out), "--json"])
    rows = np.load(out, allow_pickle=False)
    told = json.loads(done.stdout)
    assert (told["images"], told["features"]) == rows.shape
    assert np.array_equal(rows[0], rows[1])
    registry = load_registry()
    models = find_model_set(registry, "demonstration")
    model: Any = assemble(registry, models).models["dermoscopy"]()
    bundle = models.modality_bundle("dermoscopy")
    assert bundle is not None
    logits = Penultimate.of(bundle, model.preprocessing).logits(rows)[0] / model.temperature
    wanted = np.exp(logits - logits.max())
    (answer,) = model.predict([ImageInput(modality="dermoscopy", path=image)])
    assert answer.probabilities.values == pytest.approx(wanted / wanted.sum(), abs=1e-4)


@pytest.mark.parametrize(
    ("view", "segment", "least"), [("dermoscopy", two_means, 0.9), ("clinical", otsu, 0.83)]
)
def test_segmenters_agree_with_the_true_outline_of_drawn_lesions(
    view: str, segment: Callable[[Any], Any], least: float
) -> None:
    shares = np.array(
        [
            overlap(segment(make_lesion(11, k, views=[view]).images[view]), true_mask(11, k, view))
            for k in range(24)
        ]
    )
    drawn = np.random.default_rng(0).integers(0, len(shares), (2000, len(shares)))
    low = np.quantile(shares[drawn].mean(axis=1), 0.025)
    assert low > least - 0.05
    assert shares.mean() > least


def test_the_true_outline_is_where_the_pigment_is() -> None:
    lesion = make_lesion(3, 1, size=128, views=["dermoscopy"])
    mask = true_mask(3, 1, "dermoscopy", size=128)
    grey = lesion.images["dermoscopy"].mean(axis=2)
    assert mask.shape == (128, 128)
    assert grey[mask].mean() < grey[~mask].mean() - 10


def test_a_bundle_behind_a_stranger_s_step_answers_with_its_plugin_alone(
    image: Path, plugin: Path, tmp_path: Path
) -> None:
    from core.case import ImageInput
    from core.errors import ContractError
    from core.manifest import read_bundle, write_bundle
    from modalities.images import decode_here
    from modalities.sets.plugin import HERE
    from plugins.assembly import assemble, load_registry
    from plugins.config import Settings
    from plugins.model_set import MANIFEST, MODALITY_MANIFEST, ModelSet

    folder = tmp_path / "set"
    shutil.copytree(HERE / "demonstration", folder)
    bundle = read_bundle(folder / "dermoscopy", MODALITY_MANIFEST)
    behind = {**bundle.manifest["preprocessing"], "steps": [{"name": "halved", "version": "1"}]}
    own = {k: v for k, v in bundle.manifest.items() if k not in ("format", "files", "sha256")}
    write_bundle(folder / "dermoscopy", MODALITY_MANIFEST, {**own, "preprocessing": behind}, bundle.files)
    whole = read_bundle(folder, MANIFEST)
    own = {k: v for k, v in whole.manifest.items() if k not in ("format", "files", "sha256")}
    digest = read_bundle(folder / "dermoscopy", MODALITY_MANIFEST).digest
    own["modalities"] = {**own["modalities"], "dermoscopy": digest}
    write_bundle(folder, MANIFEST, own, whole.files)

    models = ModelSet.open(folder)
    with pytest.raises(ContractError, match=r"no preprocessing step 'halved'.*switched on by --plugin"):
        assemble(load_registry(), models).models["dermoscopy"]()
    stepped: Any = assemble(load_registry(Settings((str(plugin),))), models).models["dermoscopy"]()
    plain: Any = assemble(load_registry(), ModelSet.open(HERE / "demonstration")).models["dermoscopy"]()
    (answer,) = stepped.predict([ImageInput(modality="dermoscopy", path=image)])
    dark = tmp_path / "dark.png"
    scaled = Image.fromarray(decode_here(image).pixels).resize(
        (plain.preprocessing.resize,) * 2, Image.Resampling.BILINEAR
    )
    Image.fromarray(np.asarray(scaled) // 2).save(dark)
    (by_hand,) = plain.predict([ImageInput(modality="dermoscopy", path=dark)])
    assert answer.probabilities == by_hand.probabilities
    assert "preprocessing steps: halved" in answer.notes


def test_a_misspelt_step_ends_training_before_a_folder_is_made(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra train is not installed")
    arguments = [
        "train",
        "--modality",
        "dermoscopy",
        "--cohort",
        f"synthetic={tmp_path}",
        "--out",
        str(tmp_path / "run"),
    ]
    done = run.invoke(app, [*arguments, "--set", "steps=[hair, hiar]"])
    assert isinstance(done.exception, PluginError)
    assert "did you mean 'hair'" in done.exception.safe_message
    assert not (tmp_path / "run").exists()
