"""Does a bundle with a compressed net diagnose like one with the same net as a graph?"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from core.case import Case, ImageInput
from core.errors import ContractError, ManifestMismatch
from core.manifest import read_bundle, write_bundle
from core.partition import Partition
from core.pipeline import Pipeline
from fusion.image_only import ImageOnly
from modalities.cnn.graph import export
from modalities.cnn.model import CnnModel, load_model
from modalities.cnn.preprocess import Preprocessing
from modalities.compression import SharedTensor, decode, encode
from modalities.engines import COMPRESSED, GRAPH
from plugins.specs import ModelRequest

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def exported(lively: Callable[..., torch.nn.Module]) -> tuple[bytes, dict[str, str]]:
    return export(lively("mobilenet_v3_small", 3, 64), 64)


@pytest.fixture(scope="module")
def compressed(exported: tuple[bytes, dict[str, str]]) -> bytes:
    """The small half of every layer's weights is zero, the others have 30 values."""
    layers = {}
    for tensor in onnx.load_from_string(exported[0]).graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float16:
            step = np.float16(np.abs(values).max() / 15)
            kept = np.abs(values) > np.median(np.abs(values))
            coarse = np.where(kept, np.round(values / step) * step, 0).astype(np.float16)
            layers[tensor.name] = SharedTensor.of(coarse)
    return encode(exported[0], layers)


@pytest.fixture
def bundle(
    cells: Partition, exported: tuple[bytes, dict[str, str]], tmp_path: Path
) -> Callable[[Files], Path]:
    def make(files: Files) -> Path:
        manifest = {
            "kind": "modality",
            "modality": "dermoscopy",
            "architecture": "mobilenet_v3_small",
            "taxonomy": cells.taxonomy.fingerprint,
            "partition": cells.fingerprint,
            "classes": list(cells.ids),
            "prior": dict(zip(cells.ids, [0.25, 0.25, 0.5], strict=True)),
            "preprocessing": Preprocessing(64, 72).to_dict(),
            "temperature": 1.5,
            "shared_parameters": exported[1],
        }
        folder = tmp_path / f"bundle{len(list(tmp_path.iterdir()))}"
        write_bundle(folder, "bundle.json", manifest, files)
        return folder

    return make


def load(folder: Path, cells: Partition, engine: str = "onnxruntime") -> CnnModel:
    return load_model(ModelRequest(cells, read_bundle(folder, "bundle.json"), engine), "dermoscopy")


@pytest.fixture
def case(drawn: Callable[..., Any], as_png: Callable[..., bytes]) -> Case:
    return Case(
        images=[ImageInput(modality="dermoscopy", data=as_png(drawn("benign:nevus", k))) for k in (1, 2)]
    )


def test_it_answers_to_the_bit_like_the_graph_that_it_stands_for(
    bundle: Callable[[Files], Path], compressed: bytes, cells: Partition, case: Case
) -> None:
    answers = []
    for files in ({COMPRESSED: compressed}, {GRAPH: decode(compressed)}):
        model = load(bundle(files), cells)
        pipeline = Pipeline(cells, {"dermoscopy": lambda m=model: m}, ImageOnly(cells), abstain_below=0)
        answers.append(pipeline.diagnose(case))
    assert answers[0].status == "complete"
    assert answers[0].leaf == answers[1].leaf
    assert answers[0].tree == answers[1].tree


def test_torch_takes_its_weights_from_a_compressed_file_too(
    bundle: Callable[[Files], Path], compressed: bytes, cells: Partition, case: Case
) -> None:
    folder = bundle({COMPRESSED: compressed})
    by_torch, by_onnx = (load(folder, cells, name).predict(case.images) for name in ("torch", "onnxruntime"))
    for one, other in zip(by_torch, by_onnx, strict=True):
        assert one.probabilities.values == pytest.approx(other.probabilities.values, abs=1e-4)


def test_a_byte_that_differs_is_seen_before_anything_is_decoded(
    bundle: Callable[[Files], Path], compressed: bytes, cells: Partition
) -> None:
    folder = bundle({COMPRESSED: compressed})
    path = folder / COMPRESSED
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ManifestMismatch, match=r"model\.dxc"):
        load(folder, cells)


@pytest.mark.parametrize("wrong", ["cut", "text", "empty"])
def test_a_listed_file_that_cannot_be_decoded_is_a_contract_error(
    wrong: str, bundle: Callable[[Files], Path], compressed: bytes, cells: Partition
) -> None:
    content = {"cut": compressed[:-100], "text": b"no net", "empty": b""}[wrong]
    with pytest.raises(ContractError, match="compressed file"):
        load(bundle({COMPRESSED: content}), cells)


def test_the_manifest_lists_it_and_no_graph(bundle: Callable[[Files], Path], compressed: bytes) -> None:
    folder = bundle({COMPRESSED: compressed})
    assert list(json.loads((folder / "bundle.json").read_bytes())["files"]) == [COMPRESSED]
    assert sorted(p.name for p in folder.iterdir()) == ["bundle.json", COMPRESSED]
