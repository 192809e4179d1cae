"""A small model set without torch, plugins written by the test, and a distribution that nobody installed."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageFile

from core.case import Case, PatientMetadata
from core.manifest import write_bundle
from core.partition import Partition, partition_tree
from core.split import TRAINING, VALIDATION, Split
from core.taxonomy import Taxonomy
from plugins.assembly import assemble, load_registry
from plugins.config import Settings
from plugins.conformance import sample_images
from plugins.model_set import MODALITY_MANIFEST, ModelSet, write_model_set
from plugins.registry import Registry

PATHS = [("benign", "nevus"), ("benign", "keratosis"), ("malignant", "melanoma"), ("malignant", "carcinoma")]
COUNTS = {"benign:nevus": 40, "benign:keratosis": 30, "malignant:melanoma": 20, "malignant:carcinoma": 10}
MODALITIES = ("clinical", "dermoscopy")
SPLIT = Split({"L1": TRAINING, "L2": TRAINING, "L3": VALIDATION}, {"L1": 0, "L2": 1}, 2, 0)


def graph(classes: int, seed: int) -> bytes:
    """Logits as a random linear function of the image's mean colour."""
    weights = np.random.default_rng(seed).normal(size=(3, classes)).astype(np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("images", ["n", 3, None, None]), ("logits", ["n", classes]))
    ]
    made = helper.make_graph(nodes, "tiny", ends[:1], ends[1:], [numpy_helper.from_array(weights, "weights")])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def bundle(folder: Path, partition: Partition, modality: str, /, **replaced: Any) -> Path:
    """A modality's bundle, entries of its manifest replaced."""
    shares = np.array([c.images for c in partition.classes], float)
    manifest = {
        "kind": "modality",
        "modality": modality,
        "name": f"tiny-{modality}",
        "architecture": "tiny",
        "taxonomy": partition.taxonomy.fingerprint,
        "partition": partition.fingerprint,
        "classes": list(partition.ids),
        "prior": dict(zip(partition.ids, (shares / shares.sum()).tolist(), strict=True)),
        "preprocessing": {"size": 64, "resize": 72, "mean": [0.5] * 3, "std": [0.5] * 3},
        "temperature": 1.0,
        **replaced,
    }
    files = {"model.onnx": graph(len(partition.ids), len(modality)), "card.md": b"# A tiny net\n"}
    write_bundle(folder, MODALITY_MANIFEST, manifest, files)
    return folder


@pytest.fixture(scope="session")
def tiny() -> SimpleNamespace:
    """The functions above, for tests that make sets of their own."""
    return SimpleNamespace(bundle=bundle, graph=graph, split=SPLIT, modalities=MODALITIES)


@pytest.fixture(scope="session")
def cells() -> Partition:
    return partition_tree(Taxonomy.from_paths("clinic", PATHS), COUNTS, max_size=25)


@pytest.fixture(scope="session")
def models(cells: Partition, tmp_path_factory: pytest.TempPathFactory) -> ModelSet:
    """Two modalities, and `image_only` as the only usable fuser. Not to be changed."""
    folder = tmp_path_factory.mktemp("models")
    sources = {m: bundle(folder / "made" / m, cells, m) for m in MODALITIES}
    return write_model_set(
        folder / "set",
        cells,
        SPLIT,
        modalities=sources,
        fusers={"bayes": ({"kind": "fuser", "fuser": "bayes"}, {"table.json": json.dumps([1, 2]).encode()})},
        default_fuser="image_only",
        about={"name": "tiny", "licence": "CC0-1.0"},
        texts={"card.md": b"# Tiny\n"},
    )


SOURCE = """
import os, random
import numpy as np
from PIL import ImageFile
from core.errors import ContractError
from core.probabilities import LeafProbabilities
from core.protocols import ImageResult
from modalities.images import decode
from plugins import FuserSpec, ModalitySpec, hookimpl

class Base:
    modality = {modality!r}
    provenance = {{"model": "by a test"}}

    def __init__(self, partition):
        self.partition = partition
        self.classes = partition.ids
        self.prior = LeafProbabilities.from_weights(self.classes, np.ones(len(self.classes)))

    def predict(self, images):
        return [self.one(image) for image in images]

    def one(self, image, weight=1):
        first = 1 + decode(image.source).pixels.mean() * weight
        return self.answer([first] + [1.0] * (len(self.classes) - 1))

    def answer(self, weights):
        return ImageResult(LeafProbabilities.from_weights(self.classes, weights))

class Model(Base):
    pass

{body}

@hookimpl
def dxtree_modalities():
    about = {{"licence": "CC0-1.0", "card": "Made by a test, for a test."}}
    return [ModalitySpec({modality!r}, "Of a test", lambda request: Model(request.partition), **about)]
"""


@pytest.fixture(scope="session")
def source() -> Callable[..., str]:
    """The text of a plugin that keeps every promise, unless `body` has another class `Model`."""
    return lambda modality, body="": SOURCE.format(modality=modality, body=body)


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[[str, str], str]:
    """Writes a one-file plugin and gives its path as the settings want it."""

    def write(name: str, source: str) -> str:
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
        return str(path)

    return write


@pytest.fixture
def registry_with() -> Callable[..., Registry]:
    """The built-in plugins and those given."""

    def load(*plugins: str) -> Registry:
        return load_registry(Settings(plugins))

    return load


@pytest.fixture(scope="session")
def case() -> Case:
    """One drawn image of each modality of the set."""
    images = [sample_images(m)[k] for k, m in enumerate(MODALITIES)]
    return Case(images=images, patient=PatientMetadata(age_years=62, sex="female"))


@pytest.fixture(scope="session")
def expected(models: ModelSet, case: Case) -> dict[str, float]:
    """The whole tree of `case`, as the built-in plugins alone answer."""
    answer = assemble(load_registry(Settings()), models).diagnose(case)
    assert answer.tree is not None
    return answer.tree.to_dict()


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts a distribution on the path without installing it: modules and entry points of group dxtree."""

    def make(
        name: str, modules: Mapping[str, str], entries: Mapping[str, str], *, metadata: bool = True
    ) -> Path:
        folder = tmp_path / f"site-{name}"
        info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        for module, source in modules.items():
            (folder / f"{module}.py").write_text(source, "utf-8")
            monkeypatch.delitem(sys.modules, module, raising=False)
        lines = "".join(f"{entry} = {value}\n" for entry, value in entries.items())
        (info / "entry_points.txt").write_text(f"[dxtree]\n{lines}", "utf-8")
        if metadata:
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
        monkeypatch.syspath_prepend(str(folder))
        return folder

    return make


@pytest.fixture
def globals_kept() -> Iterator[None]:
    """Puts back what a plugin that breaks its promises does to the process."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    cut, most = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    folder, environment = Path.cwd(), dict(os.environ)
    yield
    random.setstate(state)
    np.random.set_state(numpy_state)  # noqa: NPY002
    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = cut, most
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
