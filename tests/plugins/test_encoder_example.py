"""Does the example of an encoder go from a cohort to a diagnosis, and keep every promise on the way?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.case import Case, ImageInput
from core.errors import PluginError
from core.manifest import read_bundle
from dxtree.cli.fit_fusion import fit_fusion
from dxtree.cli.fit_head import fit_head
from dxtree.cohorts.synthetic import SyntheticConfig, write_synthetic
from modalities.encoders import EncoderModality
from plugins.assembly import assemble
from plugins.conformance import check
from plugins.model_set import ModelSet
from plugins.registry import Registry

EXAMPLE = Path(__file__).parents[2] / "examples" / "encoder" / "encoder_plugin.py"

COHORT = """
from dataclasses import replace
from dxtree.cohorts.synthetic import read_synthetic
from plugins import CohortSpec


def read(folder, taxonomy):
    own = [i for i in read_synthetic(folder, taxonomy) if i.modality == "dermoscopy"]
    return [replace(i, modality="texture") for i in own]


@hookimpl
def dxtree_cohorts():
    return [CohortSpec("smears", "Images of a modality of their own", read)]
"""
"""A reader whose images bear the name of the example's modality, as those of a new modality would."""

Load = Callable[..., Registry]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Cohort, plugin, run and model set, as the two commands make them."""
    folder = tmp_path_factory.mktemp("encoder")
    write_synthetic(folder / "cohort", SyntheticConfig(lesions=150, size=96, views=("dermoscopy",)))
    plugin = folder / "smears_plugin.py"
    text = EXAMPLE.read_text("utf-8")
    assert 'reads="dermoscopy"' in text
    plugin.write_text(text.replace('reads="dermoscopy"', "reads=e.name") + COHORT, "utf-8")
    cohort = [f"smears={folder / 'cohort'}"]
    fit_head(str(plugin), cohort, folder / "run", taxonomy="synthetic", max_size=40, licence="CC0-1.0")
    fit_fusion(
        [folder / "run"],
        cohort,
        folder / "set",
        fuser=["bayes", "logistic"],
        taxonomy="synthetic",
        plugin=[str(plugin)],
    )
    return {name: folder / name for name in ("cohort", "run", "set")} | {"plugin": plugin}


def test_it_has_fewer_than_60_lines() -> None:
    assert len(EXAMPLE.read_text("utf-8").splitlines()) < 60


def test_it_loads_without_any_heavy_library_and_offers_the_trunk_where_its_weights_are_named(
    registry_with: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys\nfrom plugins.assembly import load_registry\nfrom plugins.config import Settings\n"
        f"registry = load_registry(Settings(({str(EXAMPLE)!r},)))\n"
        "print(registry.offered_by('encoder_plugin')['modality'],"
        " *{'torch', 'timm', 'torchvision', 'sklearn'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "('texture',)"
    monkeypatch.setenv("DXTREE_TRUNK", "weights.safetensors")
    assert registry_with(str(EXAMPLE)).offered_by("encoder_plugin")["modality"] == ("mobilenet_v2", "texture")


def test_a_trunk_gives_finite_rows_and_its_digest_is_that_of_its_weights(
    tmp_path: Path, registry_with: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    import torch
    from safetensors.torch import save_file
    from torchvision.models import mobilenet_v2

    from modalities.encoders.encoder import embed, identity

    torch.manual_seed(0)
    path = tmp_path / "trunk.safetensors"
    save_file(
        {k: v.half() if v.is_floating_point() else v for k, v in mobilenet_v2().state_dict().items()}, path
    )
    monkeypatch.setenv("DXTREE_TRUNK", str(path))
    spec = registry_with(str(EXAMPLE)).modalities.get("mobilenet_v2")
    assert isinstance(spec, EncoderModality)
    trunk = spec.encoder()
    assert identity(trunk)["digest"] == hashlib.sha256(path.read_bytes()).hexdigest()
    rng = np.random.default_rng(0)
    rows = embed(trunk, rng.integers(0, 256, (2, 224, 224, 3), np.uint8))
    assert rows.shape == (2, 1280)
    assert not np.array_equal(rows[0], rows[1])


def test_the_head_beats_the_prior_out_of_fold(made: dict[str, Path]) -> None:
    judged = read_bundle(made["run"] / "bundle", "bundle.json").manifest["training"]["out_of_fold"]
    assert judged["images"] > 100
    assert judged["loss"] < 0.7 * judged["prior_loss"]


def test_with_its_model_set_it_keeps_every_promise(made: dict[str, Path], registry_with: Load) -> None:
    findings = check("smears_plugin", registry_with(str(made["plugin"])), ModelSet.open(made["set"]))
    assert [f for f in findings if not f.passed] == []
    assert len(findings) > 30


@pytest.mark.parametrize("fuser", ["image_only", "bayes", "logistic"])
def test_a_lesion_is_diagnosed_through_the_plugin(
    fuser: str, made: dict[str, Path], registry_with: Load
) -> None:
    pipeline = assemble(registry_with(str(made["plugin"])), ModelSet.open(made["set"]), fuser=fuser)
    paths = sorted((made["cohort"] / "images").iterdir())[:2]
    answers = [pipeline.diagnose(Case(images=[ImageInput(modality="texture", path=p)])) for p in paths]
    assert [a.status for a in answers] == ["complete"] * 2
    assert answers[0].tree is not None
    assert answers[0].tree["root"] == pytest.approx(1)
    assert answers[0].leaf != answers[1].leaf
    assert answers[0].provenance["models"]["texture"]["encoder"] == "texture-1"  # type: ignore[index]


def test_diagnosing_loads_neither_torch_nor_scikit_learn(made: dict[str, Path]) -> None:
    image = min((made["cohort"] / "images").iterdir())
    code = (
        "import sys\nfrom dxtree.cli.main import run\n"
        "try:\n    run()\n"
        "finally:\n    print(*{'torch', 'sklearn', 'onnxruntime'} & {*sys.modules}, file=sys.stderr)"
    )
    options = ["--models", str(made["set"]), "--plugin", str(made["plugin"]), "--image", f"texture={image}"]
    done = subprocess.run(
        [sys.executable, "-c", code, "diagnose", *options, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.strip() == ""
    assert json.loads(done.stdout)["used"] == ["texture"]


def test_the_command_names_what_it_cannot_use(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, out = [f"synthetic={made['cohort']}"], tmp_path / "run"
    broken = tmp_path / "broken.py"
    broken.write_text("import nothing_of_this_name\n", "utf-8")
    with pytest.raises(PluginError, match="nothing_of_this_name"):
        fit_head(str(broken), cohort, out, taxonomy="synthetic")
    with pytest.raises(PluginError, match="none; name one with --modality"):
        fit_head("dermoscopy", cohort, out, taxonomy="synthetic")
    with pytest.raises(PluginError, match="did you mean 'texture'"):
        fit_head(str(EXAMPLE), cohort, out, modality="textures", taxonomy="synthetic")
    monkeypatch.setenv("DXTREE_TRUNK", str(tmp_path / "none.safetensors"))
    with pytest.raises(PluginError, match="mobilenet_v2, texture; name one with --modality"):
        fit_head(str(EXAMPLE), cohort, out, taxonomy="synthetic")
    with pytest.raises(PluginError, match="the encoder of 'mobilenet_v2' could not be loaded: FileNotFound"):
        fit_head(str(EXAMPLE), cohort, out, modality="mobilenet_v2", taxonomy="synthetic", max_size=40)
    assert not out.exists()


def test_the_same_command_goes_on_with_the_split_that_is_there(made: dict[str, Path]) -> None:
    before = (made["run"] / "bundle" / "bundle.json").read_bytes()
    cohort = [f"smears={made['cohort']}"]
    fit_head(str(made["plugin"]), cohort, made["run"], taxonomy="synthetic", max_size=40, licence="CC0-1.0")
    assert (made["run"] / "bundle" / "bundle.json").read_bytes() == before
