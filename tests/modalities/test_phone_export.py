"""Files for phones give the source's answers in the phone's own runtime, or are not written.

Needs the extra `phone`, which takes 0.8 GB and so is not part of `dev`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from core.errors import ContractError
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.tree import TreeSums
from dxtree.cli.main import app
from dxtree.cohorts import SyntheticConfig, write_synthetic
from modalities.cnn.preprocess import Preprocessing
from modalities.engines.torch_engine import TorchEngine
from modalities.images import decode_here
from modalities.phone import LIMITS, PRECISIONS, PhoneNet, export_phone
from plugins.model_set import ModelSet

if importlib.util.find_spec("litert_torch") is None:
    pytest.skip("the extra 'phone' is not installed", allow_module_level=True)

ROOT = Path(__file__).parents[2]
SETS = ROOT / "modalities" / "sets"
MODELS = ModelSet.open(SETS / "demonstration")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    write_synthetic(folder, SyntheticConfig(lesions=32, seed=5))
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, cohort: Path) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("phone") / "out"
    options = [part for p in PRECISIONS for part in ("--precision", p)]
    arguments = [str(SETS / "demonstration" / "dermoscopy"), "--cohort", f"synthetic={cohort}", "--json"]
    done = CliRunner().invoke(app, ["export-phone", *arguments, "--out", str(folder), *options])
    assert done.exit_code == 0, done.exception
    return folder, json.loads(done.stdout)


def test_the_command_prints_what_it_wrote_and_nothing_else(exported: tuple[Path, dict[str, Any]]) -> None:
    folder, told = exported
    assert json.loads((folder / "phone.json").read_text("utf-8")) == told
    assert sorted(p.name for p in folder.iterdir()) == sorted([*told["files"], "phone.json"])
    assert len(told["files"]) == len(PRECISIONS)


def test_the_card_holds_size_and_digest_of_every_file(exported: tuple[Path, dict[str, Any]]) -> None:
    folder, told = exported
    for name, about in told["files"].items():
        content = (folder / name).read_bytes()
        assert about["bytes"] == len(content)
        assert about["sha256"] == hashlib.sha256(content).hexdigest()


def test_fp16_halves_and_int8_thirds_the_file(exported: tuple[Path, dict[str, Any]]) -> None:
    size = {about["precision"]: about["bytes"] for about in exported[1]["files"].values()}
    assert size["fp16"] < 0.6 * size["fp32"]
    assert max(size["int8"], size["int8-dynamic"]) < 0.45 * size["fp32"]


def test_every_file_keeps_its_limit(exported: tuple[Path, dict[str, Any]]) -> None:
    for about in exported[1]["files"].values():
        found, limit = about["agreement"], LIMITS[about["precision"]]
        assert found["images"] == 16
        assert found["mean_dp"] <= limit.mean_dp
        assert found["top_class"] >= limit.top_class
        assert about["calibrated_on"] == (16 if about["precision"] == "int8" else 0)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_input_and_output_are_float32_in_every_precision(
    exported: tuple[Path, dict[str, Any]], precision: str
) -> None:
    net = PhoneNet((exported[0] / f"net.{precision}.tflite").read_bytes())
    assert list(net.shape) == exported[1]["input"]["shape"]
    assert net.classes == len(exported[1]["classes"])


def test_the_example_without_dxtree_gives_the_answers_of_dxtree(
    exported: tuple[Path, dict[str, Any]], cohort: Path
) -> None:
    spec = importlib.util.spec_from_file_location("phone_reference", ROOT / "examples/phone_reference.py")
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    picture = min((cohort / "images").glob("*dermoscopy.jpg"))
    bundle = MODELS.modality_bundle("dermoscopy")
    assert bundle is not None
    tensor = Preprocessing.from_dict(bundle.manifest["preprocessing"])(decode_here(picture).pixels)
    logits = TorchEngine.of(bundle, "torch")(tensor[None])[0] / bundle.manifest["temperature"]
    leaf = LeafProbabilities.from_logits(MODELS.partition.ids, logits)
    own = TreeProbabilities(TreeSums(MODELS.partition), leaf).to_dict()
    assert reference.answer(exported[0], "net.fp32.tflite", picture) == pytest.approx(own, abs=1e-4)
    assert reference.answer(exported[0], "net.int8.tflite", picture) == pytest.approx(own, abs=0.2)


def test_the_example_imports_nothing_of_dxtree() -> None:
    text = (ROOT / "examples/phone_reference.py").read_text("utf-8")
    assert not any(
        f"{word} {name}" in text for word in ("import", "from") for name in ("core", "dxtree", "modalities")
    )


def test_an_int8_net_calibrated_on_other_pictures_is_refused_with_its_number(cohort: Path) -> None:
    bundle = MODELS.modality_bundle("dermoscopy")
    assert bundle is not None
    seen = Preprocessing.from_dict(bundle.manifest["preprocessing"])
    real = [
        seen.square(decode_here(p).pixels) for p in sorted((cohort / "images").glob("*dermoscopy.jpg"))[:8]
    ]
    black = np.zeros_like(real[0])
    mixed = [square for picture in real for square in (picture, black)]
    with pytest.raises(ContractError, match=r"int8: mean \|dp\| is .*at most 0.05"):
        export_phone(bundle, ["int8"], mixed)


def test_bytes_that_are_no_net_are_a_contract_error(exported: tuple[Path, dict[str, Any]]) -> None:
    whole = (exported[0] / "net.fp16.tflite").read_bytes()
    for damaged in (b"", b"not a net", whole[:64]):
        with pytest.raises(ContractError):
            PhoneNet(damaged)


def test_a_picture_of_another_size_is_a_contract_error(exported: tuple[Path, dict[str, Any]]) -> None:
    net = PhoneNet((exported[0] / "net.fp32.tflite").read_bytes())
    with pytest.raises(ContractError, match="takes"):
        net(np.asarray(Image.new("RGB", (100, 100))))
