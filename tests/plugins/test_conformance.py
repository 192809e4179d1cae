"""Does the conformance kit see each broken promise, and pass a plugin that keeps them all?"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from core.errors import PluginError
from core.manifest import read_bundle, write_bundle
from plugins.assembly import load_registry
from plugins.config import Settings
from plugins.conformance import Finding, PluginContract, check
from plugins.model_set import MANIFEST, ModelSet
from plugins.registry import Registry

Write = Callable[[str, str], str]
Load = Callable[..., Registry]

pytestmark = pytest.mark.usefixtures("globals_kept")

NO_IMAGE = "a file that is no image is a typed error"
ANSWERS = "it answers for its samples"
PATHS = "a file gives the same bits as its bytes, and stays as it is"
SIDE = "a picture stored on its side is set upright, or refused"
DEPTH = "16 bits a pixel are the same picture as 8, or refused"
UNTOUCHED = "what it is given stays as it is"
SLOW = "its import takes under 0.3 s of a core"
CARD, LICENCE = "it has a card", "its licence is stated"
AS_IT_WAS = "it leaves the process as it was"
ONE = "class Model(Base):\n    def one(self, image):\n        {}\n        return super().one(image)\n"
PREDICT = "class Model(Base):\n    def predict(self, images):\n        {}\n"

# What the class `Model` does, and the checks that must fail: these and no others.
BROKEN = {
    "bears another name": ("class Model(Base):\n    modality = 'videoscopy'\n", {"it bears its own name"}),
    "has no name": (
        "class Model(Base):\n    @property\n    def modality(self):\n        return 1 / 0\n",
        {"its model loads"},
    ),
    "has other classes": (
        "class Model(Base):\n    def __init__(self, partition):\n        super().__init__(partition)\n"
        "        self.classes = partition.ids[::-1]\n",
        {"its model loads"},
    ),
    "has a prior over other classes": (
        "class Model(Base):\n    def __init__(self, partition):\n        super().__init__(partition)\n"
        "        self.prior = LeafProbabilities(('a', 'b'), [0.5, 0.5])\n",
        {"its prior is over the training classes"},
    ),
    "has a prior that is none": (
        "class Model(Base):\n    def __init__(self, partition):\n        super().__init__(partition)\n"
        "        self.prior = None\n",
        {"its prior is over the training classes"},
    ),
    "has numbers in its provenance": (
        "class Model(Base):\n    provenance = {'version': 1}\n",
        {"its provenance is text"},
    ),
    "answers with other labels": (
        "class Model(Base):\n    def answer(self, weights):\n"
        "        return ImageResult(LeafProbabilities.from_weights(self.classes[::-1], weights))\n",
        {"its classes are the pipeline's"},
    ),
    "answers with one result too few": (
        PREDICT.format("return super().predict(images)[1:]"),
        {"one ImageResult an image"},
    ),
    "answers with numbers": (
        PREDICT.format("return [self.one(i).probabilities.values for i in images]"),
        {"one ImageResult an image"},
    ),
    "answers with NaN": (
        "class Model(Base):\n    def answer(self, weights):\n"
        "        return ImageResult(LeafProbabilities(self.classes, [np.nan] * len(weights)))\n",
        {ANSWERS},
    ),
    "exits": (
        PREDICT.format("raise SystemExit(2)"),
        {ANSWERS, NO_IMAGE},
    ),
    "changes with every call": (
        "class Model(Base):\n    calls = 0\n    def predict(self, images):\n        Model.calls += 1\n"
        "        return [self.one(image, Model.calls) for image in images]\n",
        {
            "the same images give the same bits",
            "an answer does not depend on its neighbours",
            "the order of images does not matter",
            "loaded anew it gives the same bits",
            PATHS,
            SIDE,
        },
    ),
    "looks at the neighbours": (
        PREDICT.format("return [self.one(image, len(images)) for image in images]"),
        {"an answer does not depend on its neighbours"},
    ),
    "looks at the place": (
        PREDICT.format("return [self.one(image, 1 + k) for k, image in enumerate(images)]"),
        {"an answer does not depend on its neighbours", "the order of images does not matter"},
    ),
    "fails for one image": (
        PREDICT.format("assert len(images) != 1; return super().predict(images)"),
        {"an answer does not depend on its neighbours", NO_IMAGE},
    ),
    "fails without an image": (
        PREDICT.format("images[0]; return super().predict(images)"),
        {"no image, no result"},
    ),
    "raises anything on garbage": (
        "from PIL import Image\nimport io\nclass Model(Base):\n    def one(self, image):\n"
        "        return self.answer(1 + np.arange(len(self.classes))"
        " * np.asarray(Image.open(io.BytesIO(image.data))).mean())\n",
        {NO_IMAGE, PATHS},
    ),
    "exits on garbage": (
        ONE.format("len(image.data or b'x' * 99) < 99 and exit(3)"),
        {NO_IMAGE},
    ),
    "answers for garbage": (
        "class Model(Base):\n    def one(self, image):\n"
        "        return self.answer(1 + np.arange(len(self.classes)) * len(image.data))\n",
        {NO_IMAGE, PATHS, SIDE},
    ),
    "keeps what it is shown": (
        "class Model(Base):\n    kept = []\n    def one(self, image):\n        self.kept.append(image)\n"
        "        return super().one(image)\n",
        {"it keeps no image"},
    ),
    "empties the list": (
        "class Model(Base):\n    def predict(self, images):\n        found = super().predict(images)\n"
        "        images.clear()\n        return found\n",
        {UNTOUCHED},
    ),
    "changes the files": (
        ONE.format("image.path and image.path.with_suffix('.seen').write_bytes(b'')"),
        {PATHS},
    ),
    "shows pictures as they are stored": (
        "from PIL import Image\nimport io\nclass Model(Base):\n    def one(self, image):\n"
        "        decode(image.source)\n        data = image.data or image.path.read_bytes()\n"
        "        stored = Image.open(io.BytesIO(data))\n"
        "        grey = np.asarray(stored.convert('L'), float)\n"
        "        return self.answer([1 + grey[:32].mean()] + [1.0] * (len(self.classes) - 1))\n",
        {SIDE},
    ),
    "shows 16 bits as white": (
        "from PIL import Image\nimport io\nclass Model(Base):\n    def one(self, image):\n"
        "        data = image.data or image.path.read_bytes()\n"
        "        try:\n            picture = np.minimum(np.asarray(Image.open(io.BytesIO(data))), 255)\n"
        "        except OSError as error:\n            raise ContractError('no image') from error\n"
        "        return self.answer([picture.mean()] + [60.0] * (len(self.classes) - 1))\n",
        {DEPTH},
    ),
    "raises an error that cannot be sent": (
        "class Sealed(ContractError):\n    def __init__(self, a, b):\n        super().__init__(a)\n"
        "class Model(Base):\n    def one(self, image):\n        if image.data and len(image.data) < 99:\n"
        "            raise Sealed('no image', 1)\n        return super().one(image)\n",
        {"its answers and errors go from process to process"},
    ),
    "lets Pillow read cut files": (ONE.format("ImageFile.LOAD_TRUNCATED_IMAGES = True"), {AS_IT_WAS}),
    "lets Pillow read cut files when it is loaded": (
        "class Model(Base):\n    def __init__(self, partition):\n        super().__init__(partition)\n"
        "        ImageFile.LOAD_TRUNCATED_IMAGES = True\n",
        {AS_IT_WAS},
    ),
    "lets Pillow read cut files when it is imported": (
        "class Model(Base):\n    pass\nImageFile.LOAD_TRUNCATED_IMAGES = True\n",
        {AS_IT_WAS},
    ),
    "lets Pillow read bombs": (
        "from PIL import Image\n" + ONE.format("Image.MAX_IMAGE_PIXELS = None"),
        {AS_IT_WAS},
    ),
    "seeds the global generator": (ONE.format("random.seed(0)"), {AS_IT_WAS}),
    "seeds numpy's global generator": (ONE.format("np.random.seed(0)"), {AS_IT_WAS}),
    "changes the working directory": (ONE.format("os.chdir('/')"), {AS_IT_WAS}),
    "changes the environment": (ONE.format("os.environ['DXTREE_TEST'] = 'x'"), {AS_IT_WAS}),
}


def failed(findings: list[Finding], name: str = "colposcopy") -> set[str]:
    return {f.check.removeprefix(f"{name}: ") for f in findings if not f.passed}


def test_a_plugin_that_keeps_every_promise_passes_every_check(
    plugin: Write, source: Callable[..., str], registry_with: Load, models: ModelSet
) -> None:
    findings = check("good", registry_with(plugin("good", source("colposcopy"))), models)
    assert failed(findings) == set()
    assert len(findings) == 35


@pytest.mark.parametrize("promise", BROKEN)
def test_a_broken_promise_fails_its_check_and_no_other(
    promise: str, plugin: Write, source: Callable[..., str], registry_with: Load, models: ModelSet
) -> None:
    body, wrong = BROKEN[promise]
    registry = registry_with(plugin("faulty", source("colposcopy", body)))
    findings = check("faulty", registry, models, quick=True)
    assert failed(findings) == wrong
    assert all(f.detail for f in findings if not f.passed)


@pytest.mark.parametrize("name", ["clinical", "dermoscopy", "cohorts"])
def test_the_built_in_plugins_pass(name: str, registry_with: Load, models: ModelSet) -> None:
    assert failed(check(name, registry_with(), models)) == set()


def test_a_default_fuser_that_cannot_be_loaded_does_not_keep_a_modality_from_being_checked(
    plugin: Write,
    source: Callable[..., str],
    registry_with: Load,
    models: ModelSet,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    copy = shutil.copytree(models.folder, tmp_path_factory.mktemp("copy") / "set")
    bundle = read_bundle(copy, MANIFEST)
    manifest = {k: v for k, v in bundle.manifest.items() if k not in ("format", "files", "sha256")}
    write_bundle(copy, MANIFEST, {**manifest, "default_fuser": "logistic"}, bundle.files)
    registry = registry_with(plugin("good", source("colposcopy")))
    assert failed(check("good", registry, ModelSet.open(copy))) == set()


def test_a_plugin_that_failed_to_load_has_that_one_finding(
    plugin: Write, registry_with: Load, models: ModelSet
) -> None:
    (finding,) = check("faulty", registry_with(plugin("faulty", "raise OSError('gone')")), models)
    assert (finding.check, finding.passed) == ("it loads", False)
    assert "OSError: gone" in finding.detail


def test_a_plugin_that_is_not_enabled_is_not_checked(
    distribution: Callable[..., object], registry_with: Load, models: ModelSet
) -> None:
    distribution("acme-skin", {"acme_skin": ""}, {"laser": "acme_skin"})
    (finding,) = check("acme-skin:laser", registry_with(), models)
    assert not finding.passed
    assert "not enabled" in finding.detail


def test_an_unknown_plugin_is_an_error_with_the_nearest(registry_with: Load, models: ModelSet) -> None:
    with pytest.raises(PluginError, match=r"no plugin 'clinicle'.*did you mean 'clinical'"):
        check("clinicle", registry_with(), models)


def test_a_plugin_that_offers_nothing_says_so_unless_it_watches(
    plugin: Write, registry_with: Load, models: ModelSet
) -> None:
    head = "from plugins import hookimpl\n@hookimpl\n"
    empty = plugin("empty", f"{head}def dxtree_cohorts():\n    return []")
    watcher = plugin("watcher", f"{head}def dxtree_diagnosed():\n    pass")
    registry = registry_with(empty, watcher)
    assert failed(check("empty", registry, models)) == {"it offers something"}
    assert failed(check("watcher", registry, models)) == set()


def test_a_modality_without_its_bundle_says_so(
    plugin: Write, source: Callable[..., str], registry_with: Load, models: ModelSet
) -> None:
    text = source("colposcopy").replace("Model(request.partition), **", "None, needs_bundle=True, **")
    findings = check("good", registry_with(plugin("good", text)), models)
    assert failed(findings) == {"its model can be had"}


FUSER = """
from core.probabilities import mean
from core.probabilities import LeafProbabilities
from plugins import FuserSpec, hookimpl

class Fuser:
    name = "vote"
    provenance = {"rule": "mean"}
    def __init__(self, partition):
        self.partition = partition
    def fuse(self, evidence, patient):
        return mean(e.probabilities for e in evidence)
    def used(self, patient):
        return ()

%s

@hookimpl
def dxtree_fusers():
    return [FuserSpec("vote", "Of a test", lambda partition, bundle: Vote(partition))]
"""
FUSED = "class Vote(Fuser):\n    def fuse(self, evidence, patient):\n        {}\n"

BROKEN_FUSERS = {
    "bears another name": ("class Vote(Fuser):\n    name = 'mean'\n", {"it bears its own name"}),
    "has numbers in its provenance": (
        "class Vote(Fuser):\n    provenance = {'version': 1}\n",
        {"its provenance is text"},
    ),
    "takes the first": (
        FUSED.format("return evidence[0].probabilities"),
        {"the order of evidence does not matter"},
    ),
    "needs two modalities": (
        FUSED.format("a, b = evidence; return super().fuse(evidence, patient)"),
        {"every subset of inputs has an answer", "one modality and no metadata is image-only, to the bit"},
    ),
    "needs the age": (
        FUSED.format("patient.age_years + 1; return super().fuse(evidence, patient)"),
        {"every subset of inputs has an answer", "one modality and no metadata is image-only, to the bit"},
    ),
    "corrects a single modality": (
        FUSED.format(
            "v = mean(e.probabilities for e in evidence).values; "
            "return LeafProbabilities.from_weights(self.partition.ids, v ** 2)"
        ),
        {"one modality and no metadata is image-only, to the bit"},
    ),
    "uses what is not known": (
        "class Vote(Fuser):\n    def used(self, patient):\n        return ('sex',)\n",
        {"it uses no metadata that is not known"},
    ),
    "answers with other labels": (
        FUSED.format("return LeafProbabilities(('a', 'b'), [0.5, 0.5])"),
        {"every subset of inputs has an answer", "one modality and no metadata is image-only, to the bit"},
    ),
}


def test_a_fuser_that_keeps_every_promise_passes_every_check(
    plugin: Write, registry_with: Load, models: ModelSet
) -> None:
    registry = registry_with(plugin("good", FUSER % "Vote = Fuser"))
    findings = check("good", registry, models)
    assert failed(findings) == set()
    assert len(findings) == 14


@pytest.mark.parametrize("promise", BROKEN_FUSERS)
def test_a_fuser_that_breaks_a_promise_fails_its_check_and_no_other(
    promise: str, plugin: Write, registry_with: Load, models: ModelSet
) -> None:
    body, wrong = BROKEN_FUSERS[promise]
    registry = registry_with(plugin("faulty", FUSER % body))
    assert failed(check("faulty", registry, models), "vote") == wrong


def test_a_fuser_that_needs_fitting_and_is_not_fitted_says_so(registry_with: Load, models: ModelSet) -> None:
    wrong = {f.check for f in check("fusion", registry_with(), models) if not f.passed}
    assert {"boosted: it is fitted", "logistic: it is fitted"} <= wrong
    assert not any(check_name.startswith("image_only") for check_name in wrong)


def test_a_model_set_with_a_changed_bundle_is_not_whole(
    plugin: Write, registry_with: Load, models: ModelSet, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = shutil.copytree(models.folder, tmp_path_factory.mktemp("copy") / "set")
    (copy / "clinical" / "model.onnx").write_bytes(b"another")
    text = (
        "from pathlib import Path\nfrom plugins import ModelSetSpec, hookimpl\n@hookimpl\n"
        f"def dxtree_model_sets():\n    return [ModelSetSpec('mine', 'x', Path({str(copy)!r}))]"
    )
    findings = check("sets", registry_with(plugin("sets", text)), models)
    assert failed(findings) == {"model set mine is whole"}


# what needs another process


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (
            "import time\nend = time.process_time() + 0.6\nwhile time.process_time() < end:\n    pass\n"
            "class Model(Base):\n    pass\n",
            {SLOW},
        ),
        ("import torch\nclass Model(Base):\n    pass\n", {"its import loads no torch nor its kin"}),
        (
            "import socket\n"
            + ONE.format(
                "s = socket.socket(); s.settimeout(0.01)\n        try:\n"
                "            s.connect(('127.0.0.1', 9))\n"
                "        except OSError:\n            pass\n        finally:\n            s.close()"
            ),
            {"it does without the network"},
        ),
        (
            "import tempfile\n" + ONE.format("tempfile.NamedTemporaryFile('wb').close()"),
            {"it writes nothing"},
        ),
        (
            ONE.format("os.system('echo unseen by Python > left')"),
            {"it writes nothing"},
        ),
        (
            "class Model(Base):\n    def one(self, image, weight=1):\n"
            "        return super().one(image, 1 + os.getpid() % 1000 / 1000)\n",
            {"another process gives the same bits"},
        ),
    ],
    ids=[
        "slow import",
        "torch at import",
        "network",
        "temporary file",
        "file by another program",
        "process id",
    ],
)
def test_what_a_plugin_does_in_a_process_of_its_own_is_seen(
    body: str,
    wrong: set[str],
    plugin: Write,
    source: Callable[..., str],
    registry_with: Load,
    models: ModelSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    findings = check("faulty", registry_with(plugin("faulty", source("colposcopy", body))), models)
    slow = {SLOW} if "torch" in body else set()  # torch takes that long as well
    assert failed(findings) - slow == wrong - slow


def test_an_installed_plugin_is_tried_in_another_process_too(
    distribution: Callable[..., object], source: Callable[..., str], registry_with: Load, models: ModelSet
) -> None:
    distribution("acme-skin", {"acme_skin": source("laser")}, {"laser": "acme_skin"})
    findings = check("acme-skin:laser", registry_with("laser"), models)
    assert failed(findings, "laser") == set()
    assert "laser: another process gives the same bits" in {f.check for f in findings}


def test_a_plugin_that_was_handed_over_as_an_object_is_tried_in_this_process(
    source: Callable[..., str], models: ModelSet
) -> None:
    module = ModuleType("handed_over")
    exec(source("colposcopy"), vars(module))  # noqa: S102 - the text of this test
    registry = load_registry(Settings())
    registry.manager.add(module, "handed_over")
    findings = check("handed_over", Registry.of(registry.manager), models)
    assert failed(findings) == set()
    assert not any("process gives" in f.check for f in findings)


# what a modality says of itself


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"licence": "MIT"}, {CARD}),
        ({"licence": " ", "card": "# Title\n\n"}, {CARD, LICENCE}),
        ({"card": "Made by a test."}, {LICENCE}),
        ({"licence": "MIT", "card": "# Title\nBody"}, set()),
    ],
)
def test_a_modality_without_a_bundle_states_licence_and_card_itself(
    given: dict[str, str],
    wrong: set[str],
    plugin: Write,
    source: Callable[..., str],
    registry_with: Load,
    models: ModelSet,
) -> None:
    text = source("colposcopy").replace(
        "    return [ModalitySpec", f"    about = {given!r}\n    return [ModalitySpec"
    )
    findings = check("mine", registry_with(plugin("mine", text)), models, quick=True)
    assert failed(findings) == wrong


SAMPLES = (
    "    return [ModalitySpec('numbers', 'Of a test', lambda r: Model(r.partition), samples={}, **about)]\n"
)
NUMBERS = (
    "class Model(Base):\n    def one(self, image):\n        try:\n"
    "            value = float(image.data if image.path is None else image.path.read_bytes())\n"
    "        except ValueError as error:\n            raise ContractError('no number') from error\n"
    "        return self.answer([1 + value] + [1.0] * (len(self.classes) - 1))\n"
)


@pytest.mark.parametrize(
    ("samples", "wrong"),
    [
        ("lambda: [b'1', b'2']", set()),
        ("lambda: [b'1', b'1']", {"its samples are files that differ"}),
        ("lambda: ['1', '2']", {"its samples are files that differ"}),
        ("lambda: 1 / 0", {"its samples are files that differ"}),
    ],
)
def test_a_modality_whose_files_are_no_pictures_brings_its_own(
    samples: str,
    wrong: set[str],
    plugin: Write,
    source: Callable[..., str],
    registry_with: Load,
    models: ModelSet,
) -> None:
    text = source("numbers", NUMBERS)
    text = text[: text.index("    return [ModalitySpec")] + SAMPLES.format(samples)
    findings = check("mine", registry_with(plugin("mine", text)), models, quick=True)
    assert failed(findings, "numbers") == wrong
    assert not any("picture" in f.check or "16 bits" in f.check for f in findings)


# what is expected to fail


def test_an_expected_failure_passes_with_its_reason(
    plugin: Write, source: Callable[..., str], registry_with: Load, models: ModelSet
) -> None:
    registry = registry_with(plugin("faulty", source("colposcopy", BROKEN["keeps what it is shown"][0])))
    findings = check("faulty", registry, models, expected={"forgets": "a cache"}, quick=True)
    (one,) = [f for f in findings if f.expected]
    assert (one.key, one.passed, one.expected) == ("forgets", True, "a cache")
    assert all(f.passed for f in findings)


def test_an_expected_failure_that_does_not_fail_is_a_failure(
    plugin: Write, source: Callable[..., str], registry_with: Load, models: ModelSet
) -> None:
    registry = registry_with(plugin("good", source("colposcopy")))
    findings = check("good", registry, models, expected={"forgets": "a cache"}, quick=True)
    (one,) = [f for f in findings if not f.passed]
    assert "a cache" in one.detail
    assert "take it out" in one.detail


@pytest.mark.parametrize(
    ("expected", "told"),
    [({"forget": "a cache"}, "did you mean 'forgets'"), ({"forgets": " "}, "'forgets' needs a reason")],
)
def test_an_expected_failure_names_a_promise_and_a_reason(expected: dict[str, str], told: str) -> None:
    with pytest.raises(PluginError, match=told):
        type("TestMine", (PluginContract,), {"plugin": "x", "expected_failures": expected})
