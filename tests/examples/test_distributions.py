"""Do the distributions under examples/ install beside ours, keep every promise, and leave any subset
answerable?
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(p.parent for p in (ROOT / "examples").glob("*/pyproject.toml"))
ENABLED = "dxtree-confocal-frame,dxtree-encoder,dxtree-fundus"

BROKEN = {
    "dxtree_broken/__init__.py": "",
    "dxtree_broken/plugin.py": "raise RuntimeError('broken on purpose')\n",
    "pyproject.toml": (
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n\n'
        '[project]\nname = "dxtree-broken"\nversion = "0.1.0"\n\n'
        '[project.entry-points.dxtree]\nbroken = "dxtree_broken.plugin"\n'
    ),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all examples and a broken plugin are installed into, from copies without leftovers."""
    folder = tmp_path_factory.mktemp("examples")
    sources = []
    for example in EXAMPLES:
        copy = folder / "sources" / example.name
        shutil.copytree(example, copy, ignore=shutil.ignore_patterns("__pycache__"))
        sources.append(copy)
    broken = folder / "sources" / "broken"
    for name, text in BROKEN.items():
        (broken / name).parent.mkdir(parents=True, exist_ok=True)
        (broken / name).write_text(text, "utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-build-isolation", "--no-index", "--target", str(folder / "site")]
    subprocess.run([*command, *map(str, [*sources, broken])], check=True, capture_output=True)
    return folder / "site"


def run(site: Path, arguments: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python in an environment that has the examples installed, with all of them switched on."""
    around = {
        **os.environ,
        "PYTHONPATH": f"{site}{os.pathsep}{ROOT}",
        "DXTREE_PLUGINS": ENABLED,
        "COLUMNS": "300",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**around, **environment},
        cwd=site.parent,
    )


def test_all_are_listed_with_what_they_offer_and_a_broken_one_with_its_cause(site: Path) -> None:
    enabled = f"{ENABLED},dxtree-broken"
    ran = run(site, ["-m", "dxtree", "plugins", "list", "--json"], DXTREE_PLUGINS=enabled)
    rows = {row["name"]: row for row in json.loads(ran.stdout)}
    assert rows["dxtree-confocal-frame:confocal_frame"]["offers"] == {"modality": ["confocal_frame"]}
    assert rows["dxtree-encoder:encoder"]["offers"] == {"modality": ["texture"]}
    assert rows["dxtree-fundus:fundus"]["offers"] == {
        "modality": ["fundus"],
        "cohort": ["aptos_2019", "odir_5k"],
        "taxonomy": ["eye_fundus"],
        "model set": ["fundus-demonstration"],
    }
    assert rows["dxtree-broken:broken"]["state"] == "failed"
    assert "broken on purpose" in rows["dxtree-broken:broken"]["cause"]
    assert [r["state"] for r in rows.values() if r["built_in"]] == ["ok"] * sum(
        r["built_in"] for r in rows.values()
    )


def test_none_runs_unless_it_is_named(site: Path) -> None:
    ran = run(site, ["-m", "dxtree", "plugins", "list", "--json"], DXTREE_PLUGINS="")
    states = {r["origin"]: r["state"] for r in json.loads(ran.stdout) if not r["built_in"]}
    assert set(states.values()) == {"not enabled"}
    assert {"dxtree-confocal-frame", "dxtree-encoder", "dxtree-fundus", "dxtree-broken"} <= set(states)


@pytest.mark.parametrize(
    ("plugin", "models"), [("confocal_frame", "demonstration"), ("fundus", "fundus-demonstration")]
)
def test_the_command_finds_every_promise_of_this_process_kept(plugin: str, models: str, site: Path) -> None:
    ran = run(site, ["-m", "dxtree", "plugins", "check", plugin, "--models", models, "--quick"])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "FAIL" not in ran.stdout


@pytest.mark.parametrize("example", [e for e in EXAMPLES if (e / "tests").is_dir()], ids=lambda p: p.name)
def test_its_own_tests_pass_where_it_is_installed(example: Path, site: Path) -> None:
    options = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--import-mode=importlib"]
    ran = run(site, [*options, str(example / "tests")])
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-1000:]


SUBSETS = '''
"""Every subset of the modalities of a model set, but the empty one, beside all plugins and a broken one."""
import itertools, json, sys
from core.case import Case, ImageInput, PatientMetadata
from dxtree.cohorts import make_lesion
from plugins.assembly import assemble, find_model_set, load_registry, modality_models
from plugins.config import Settings
from plugins.conformance.samples import samples_of

registry = load_registry(Settings.from_environment())
models = find_model_set(registry, sys.argv[1])
names = sorted(modality_models(registry, models))
images = {n: samples_of(registry.modalities.get(n))[0] for n in names}
lesion = make_lesion(7, 0).jpegs
drawn = {"clinical": lesion["clinical"], "dermoscopy": lesion["dermoscopy"], "texture": lesion["dermoscopy"]}
if "fundus" in names:
    from dxtree_fundus.drawing import draw
    drawn["fundus"] = draw("Normal fundus", 5).data
images |= {n: ImageInput(modality=n, data=d) for n, d in drawn.items() if n in names}
pipeline = assemble(registry, models)
found = []
for size in range(1, len(names) + 1):
    for chosen in itertools.combinations(names, size):
        for age in (None, 61):
            answer = pipeline.diagnose(
                Case(images=[images[n] for n in chosen], patient=PatientMetadata(age_years=age))
            )
            evidence = [e.modality for e in answer.evidence]
            absent = [n for n in names if n in answer.missing]
            root = answer.tree["root"] if answer.tree else None
            failed = sorted(answer.modalities_failed)
            found.append([list(chosen), evidence, absent, root, answer.status, failed])
print(json.dumps({"names": names, "found": found}))
'''


def subsets(site: Path, models: str) -> tuple[list[str], list[list[object]]]:
    ran = run(site, ["-c", SUBSETS, models], DXTREE_PLUGINS=f"{ENABLED},dxtree-broken")
    assert ran.returncode == 0, ran.stderr[-3000:]
    document = json.loads(ran.stdout)
    return document["names"], document["found"]


def check(names: list[str], found: list[list[object]]) -> None:
    assert len(found) == 2 * (2 ** len(names) - 1)
    for chosen, evidence, absent, root, status, failed in found:
        assert isinstance(chosen, list)
        assert evidence == chosen
        assert absent == [n for n in names if n not in chosen]
        assert root == pytest.approx(1)
        assert status in ("complete", "partial", "degraded")
        assert failed == []


def test_every_subset_of_modalities_is_diagnosed_in_the_set_of_skin(site: Path, skin: Path) -> None:
    names, found = subsets(site, str(skin))
    assert {"clinical", "confocal_frame", "dermoscopy", "texture"} <= set(names)
    assert "fundus" not in names  # its model answers with other diagnoses
    check(names, found)


def test_every_subset_of_modalities_is_diagnosed_in_the_set_of_eyes(site: Path) -> None:
    names, found = subsets(site, "fundus-demonstration")
    assert {"confocal_frame", "fundus"} <= set(names)
    assert not {"clinical", "dermoscopy", "texture"} & set(names)
    check(names, found)


HEAD = '''
"""The demonstration set with a head for the encoder `texture`, fitted on a few drawn lesions."""
import sys
from pathlib import Path
import numpy as np
from core.manifest import read_bundle, write_bundle
from core.split import Split, TRAINING
from dxtree.cohorts import make_lesion
from modalities.encoders.encoder import embed, identity, preprocessing_of
from modalities.encoders.head import fit_head
from modalities.images.decoder import decode_here
from plugins.assembly import find_model_set, load_registry
from plugins.config import Settings
from plugins.model_set import FUSER_MANIFEST, MODALITY_MANIFEST, write_model_set

out = Path(sys.argv[1])
registry = load_registry(Settings.from_environment())
models = find_model_set(registry, "demonstration")
partition = models.partition
encoder = registry.modalities.get("texture").encoder()
squares, targets = [], []
for k in range(90):
    lesion = make_lesion(11, k)
    square = preprocessing_of(encoder).square(decode_here(lesion.jpegs["dermoscopy"]).pixels)
    squares.append(square)
    targets.append(partition.ids.index(partition.class_of(lesion.label)))
targets = np.array(targets)
rows = embed(encoder, np.array(squares))
head, _ = fit_head(rows, targets, np.ones(len(rows)), [str(k) for k in range(len(rows))], len(partition.ids))
shares = np.bincount(targets, minlength=len(partition.ids)) / len(targets)
shipped = models.modality_bundle("dermoscopy").manifest
manifest = {
    "kind": "modality", "modality": "texture", "name": "texture of a test", "licence": "Apache-2.0",
    "architecture": "linear head", "encoder": identity(encoder), "taxonomy": partition.taxonomy.fingerprint,
    "partition": partition.fingerprint, "classes": list(partition.ids),
    "prior": dict(zip(partition.ids, shares.tolist())), "temperature": 1.0,
    **{k: shipped[k] for k in ("gate", "checks") if k in shipped},
}
write_bundle(out / "texture", MODALITY_MANIFEST, manifest, {"head.safetensors": head.to_bytes()})
fusers = {}
for name in models.fusers:
    bundle = models.fuser_bundle(name)
    own = {k: v for k, v in bundle.manifest.items() if k not in ("format", "files", "sha256")}
    fusers[name] = (own, bundle.files)
sources = {m: models.folder / m for m in models.modalities}
write_model_set(
    out, partition, Split({"L": TRAINING}, {"L": 0}, 2, 0),
    modalities={**sources, "texture": out / "texture"}, fusers=fusers, default_fuser=models.default_fuser,
    about={"name": "with texture", "licence": "Apache-2.0"}, texts={},
)
'''


@pytest.fixture(scope="module")
def skin(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("skin") / "set"
    ran = run(site, ["-c", HEAD, str(folder)])
    assert ran.returncode == 0, ran.stderr[-3000:]
    return folder


def test_an_eye_is_diagnosed_by_the_command_with_the_tree_of_eyes(site: Path, tmp_path: Path) -> None:
    eye = tmp_path / "eye.jpg"
    code = "import sys; from dxtree_fundus.drawing import draw; from pathlib import Path; "
    code += "Path(sys.argv[1]).write_bytes(draw('Optic nerve disease:Glaucoma', 1_000_007).data)"
    assert run(site, ["-c", code, str(eye)]).returncode == 0
    command = [
        "-m",
        "dxtree",
        "diagnose",
        "--models",
        "fundus-demonstration",
        "--image",
        f"fundus={eye}",
        "--age",
        "68",
    ]
    ran = run(site, [*command, "--json"])
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert answer["provenance"]["taxonomy"] == "eye_fundus"
    assert answer["provenance"]["demonstration"] is True
    assert answer["used"] == ["fundus", "age_years"]


def test_the_commands_for_trees_know_the_tree_of_an_example(site: Path) -> None:
    ran = run(site, ["-m", "dxtree", "taxonomy", "show", "eye_fundus", "--depth", "1"])
    assert "Retinal vascular disease  (11 below)" in ran.stdout
    assert run(site, ["-m", "dxtree", "taxonomy", "validate", "eye_fundus"]).returncode == 0


WORDS = ("dxtree_fundus", "fundus", "retina", "glaucoma", "eye_fundus")


@pytest.mark.parametrize("layer", ["core", "plugins", "modalities", "fusion", "dxtree"])
def test_no_layer_of_ours_knows_of_eyes(layer: str) -> None:
    for path in (ROOT / layer).rglob("*.py"):
        text = path.read_text("utf-8").lower()
        assert [w for w in WORDS if w in text] == [], path.name
