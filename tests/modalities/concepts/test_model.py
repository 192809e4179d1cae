"""Does a missing score say nothing, and a known one what it should? On simulated scores with known truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from typer.testing import CliRunner

from core.api import diagnose
from core.case import Case, ImageInput
from core.errors import CohortError, ContractError, DxtreeError, PathRejected, TrainingError
from core.manifest import read_bundle, write_bundle
from dxtree.cli.main import app
from dxtree.cohorts.synthetic import make_lesion
from dxtree.concept_table import read_concept_table
from modalities.concepts.discriminant import Discriminant, evened, fit
from modalities.concepts.fitting import ConceptRow, evaluate, fit_concepts
from modalities.concepts.model import FILE, load_model
from modalities.concepts.vocabulary import CHECKLIST, MONET
from modalities.sets.plugin import HERE
from plugins import ModelRequest
from plugins.assembly import assemble, find_model_set, load_registry
from plugins.model_set import ModelSet
from tests.modalities.simulated import FittedContract

MODELS = ModelSet.open(HERE / "demonstration")
PARTITION = MODELS.partition
# How present a concept is in a class, as a reader would say; they overlap.
SIGNS: Mapping[str, Mapping[str, float]] = {
    "Malignant:Melanoma:Superficial spreading melanoma": {"pigmented": 0.8, "irregular_pigmentation": 0.7},
    "Malignant:Carcinoma:Basal cell carcinoma": {"vasculature_vessels": 0.7, "ulceration_crust": 0.5},
    "Benign:Melanocytic nevus:Common nevus": {"pigmented": 0.7, "irregular_pigmentation": 0.2},
    "Non-neoplastic:Inflammatory:Psoriasis": {"erythema": 0.8, "ulceration_crust": 0.4},
}
NAMES = ("pigmented", "irregular_pigmentation", "vasculature_vessels", "ulceration_crust", "erythema", "hair")


def simulated(count: int, seed: int, missing: float = 0.3) -> list[ConceptRow]:
    """Beta-distributed scores around each class's signs; each is missing by chance alone."""
    chance = np.random.default_rng(seed)
    kinds = [PARTITION.class_of(k) for k in SIGNS]
    rows = []
    for k in range(count):
        signs, truth = list(SIGNS.values())[k % len(SIGNS)], kinds[k % len(SIGNS)]
        assert truth is not None
        drawn = {n: float(chance.beta(4 * signs.get(n, 0.2), 4 * (1 - signs.get(n, 0.2)))) for n in NAMES}
        known = {n: v for n, v in drawn.items() if chance.random() >= missing} or {"hair": drawn["hair"]}
        rows.append(ConceptRow(f"L{seed}-{k}", known, truth))
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("concepts") / "bundle"
    fit_concepts(simulated(400, 1), PARTITION, path, {"name": "simulated", "licence": "CC0-1.0"})
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return load_model(ModelRequest(PARTITION, read_bundle(folder, "bundle.json")))


def asked(model: Any, scores: Mapping[str, float | None]) -> Any:
    (result,) = model.predict([ImageInput(modality="concepts", data=json.dumps(scores).encode())])
    return result


def test_the_demonstration_beats_chance_on_other_simulated_lesions(model: Any) -> None:
    judged = evaluate(model.discriminant, simulated(400, 2), PARTITION.ids)
    assert judged.chance == 0.25
    assert judged.low > 0.45
    assert judged.low < judged.balanced_accuracy < judged.high < 0.95
    assert judged.loss < judged.prior_loss - 0.3


def test_out_of_fold_numbers_agree_with_those_on_new_lesions(folder: Path, model: Any) -> None:
    told = read_bundle(folder, "bundle.json").manifest["training"]["out_of_fold"]
    new = evaluate(model.discriminant, simulated(1200, 3), PARTITION.ids)
    assert told["balanced_accuracy"] == pytest.approx(new.balanced_accuracy, abs=0.07)


def test_a_missing_score_is_integrated_out() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 3))
    names, prior = MONET[:3], np.array([0.5, 0.3, 0.2])
    made = Discriminant(names, rng.uniform(0, 1.5, (3, 3)), root @ root.T + np.eye(3), prior)
    for known in ([0], [1, 2], [0, 1, 2]):
        scores = {names[k]: 0.3 + 0.2 * k for k in known}
        row = evened(np.array(list(scores.values())))
        marginal = [
            np.log(p) + multivariate_normal(m[known], made.covariance[np.ix_(known, known)]).logpdf(row)
            for p, m in zip(prior, made.means, strict=True)
        ]
        found = made.logits(scores)
        assert found - found[0] == pytest.approx(np.array(marginal) - marginal[0])
    assert made.logits({}) == pytest.approx(np.log(prior))


def test_that_a_score_is_missing_tells_nothing() -> None:
    # Missing in every nevus, known in all others: an indicator of absence would tell the class.
    nevus = PARTITION.class_of("Benign:Melanocytic nevus:Common nevus")
    rows = [
        replace(
            r,
            scores={n: s for n, s in r.scores.items() if n != "hair" or r.truth != nevus}
            or {"pigmented": 0.5},
        )
        for r in simulated(400, 4, missing=0)
    ]
    table = np.array([[r.scores.get(n, np.nan) for n in NAMES] for r in rows])
    targets = np.array([PARTITION.ids.index(r.truth) for r in rows])
    found = fit(table, targets, len(PARTITION.ids), NAMES)
    seen = targets == PARTITION.ids.index(nevus)
    assert found.logits({})[PARTITION.ids.index(nevus)] == pytest.approx(np.log(seen.mean()))


def test_a_class_that_was_never_shown_has_no_prior_and_next_to_no_probability(model: Any) -> None:
    shown = {PARTITION.class_of(k) for k in SIGNS}
    result = asked(model, {"pigmented": 0.9})
    for name in PARTITION.ids:
        assert (model.prior[name] > 0) == (name in shown)
        if name not in shown:
            assert result.probabilities[name] < 1e-4


def test_notes_say_what_was_known_missing_and_unread(model: Any) -> None:
    result = asked(model, {"pigmented": 0.9, "erythema": None, "regression_structures": 0.5})
    assert result.notes[0] == "1 of 6 concepts are known"
    assert "erythema" in result.notes[1]
    assert "not read by this model: regression_structures" in result.notes[2]
    alone = asked(model, {"regression_structures": 0.5})
    assert alone.probabilities.values == pytest.approx(model.prior.values, abs=0.05)
    assert "its answer is its prior" in alone.notes[-1]


def test_more_of_a_sign_makes_its_class_more_likely(model: Any) -> None:
    psoriasis = PARTITION.class_of("Non-neoplastic:Inflammatory:Psoriasis")
    rising = [asked(model, {"erythema": s}).probabilities[psoriasis] for s in (0.0, 0.3, 0.6, 0.9, 1.0)]
    assert rising == sorted(rising)
    assert rising[-1] > 3 * rising[0]


def test_without_a_bundle_it_refuses() -> None:
    with pytest.raises(ContractError, match="no bundle for concepts; fit one with: dxtree fit-concepts"):
        load_model(ModelRequest(PARTITION))


@pytest.mark.parametrize("names", [[], ["hair", "hair"], ["hairs"], list(NAMES[:3])])
def test_a_bundle_of_other_concepts_is_refused(names: list[str], folder: Path, tmp_path: Path) -> None:
    bundle = read_bundle(folder, "bundle.json")
    write_bundle(tmp_path, "bundle.json", {**bundle.manifest, "concepts": names}, bundle.files)
    with pytest.raises(ContractError, match=r"concepts must be|must hold"):
        load_model(ModelRequest(PARTITION, read_bundle(tmp_path, "bundle.json")))


def test_a_covariance_that_is_none_is_refused(model: Any) -> None:
    broken = replace(model.discriminant, covariance=-model.discriminant.covariance)
    with pytest.raises(ContractError, match="positive definite"):
        Discriminant.from_bytes(broken.to_bytes(), NAMES, model.prior.values)
    with pytest.raises(ContractError, match="cannot be read as safetensors"):
        Discriminant.from_bytes(b"{}", NAMES, model.prior.values)


def test_too_little_to_fit_on_is_a_training_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no concept is known in 10 rows"):
        fit_concepts(simulated(8, 1), PARTITION, tmp_path, {})
    one = [replace(r, truth=PARTITION.ids[0]) for r in simulated(40, 1)]
    with pytest.raises(TrainingError, match="fewer than two training classes"):
        fit_concepts(one, PARTITION, tmp_path, {})


def write_table(path: Path, rows: list[ConceptRow], extra: str = "") -> None:
    columns = [f"MONET_{n}" if n in MONET else n for n in NAMES]
    lines = [",".join(["lesion", "label", "age_approx", *columns])]
    lines += [",".join([r.lesion, r.truth, "50", *(str(r.scores.get(n, "")) for n in NAMES)]) for r in rows]
    path.write_text("\n".join(lines) + "\n" + extra, "utf-8")


@pytest.fixture(scope="module")
def set_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    rows = [replace(r, truth=PARTITION_LABEL[r.truth]) for r in simulated(400, 1)]
    write_table(folder / "table.csv", rows)
    done = CliRunner().invoke(
        app,
        [
            *("fit-concepts", "--table", str(folder / "table.csv"), "--models", "demonstration"),
            *("--out", str(folder / "made"), "--licence", "CC0-1.0", "--json"),
        ],
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["judged"]["low"] > 0.4
    return folder / "made"


PARTITION_LABEL = {PARTITION.class_of(k): k for k in SIGNS}


def test_a_case_of_pictures_and_concepts_is_diagnosed_by_one_pipeline(set_folder: Path) -> None:
    registry = load_registry()
    pipeline = assemble(registry, find_model_set(registry, str(set_folder)))
    pictures = make_lesion(3, 1).case()
    scores = ImageInput(modality="concepts", data=b'{"erythema": 0.95, "pigmented": 0.05}')
    both = diagnose(pictures.model_copy(update={"images": (*pictures.images, scores)}), pipeline=pipeline)
    alone = diagnose(Case(images=(scores,)), pipeline=pipeline)
    assert {m.modality for m in both.evidence} == {"clinical", "dermoscopy", "concepts"}
    assert alone.tree is not None
    assert alone.tree["Non-neoplastic:Inflammatory"] > 0.5


def test_everything_else_of_the_set_stays_to_the_byte(set_folder: Path) -> None:
    for path in (HERE / "demonstration").rglob("*"):
        if path.is_file() and path.name != "pipeline.json":
            assert (set_folder / path.relative_to(HERE / "demonstration")).read_bytes() == path.read_bytes()


def test_a_table_s_faults_name_line_and_rule(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [replace(r, truth=PARTITION_LABEL[r.truth]) for r in simulated(4, 1)]
    for extra, told in (
        ("X,Benign,50,2,,,,,\n", r"line 6: pigmented must be a number from 0 to 1"),
        ("X,Nowhere,50,.2,,,,,\n", "line 6: the label is no node"),
        ("X,Benign\n", "line 6 is ragged"),
    ):
        write_table(path, rows, extra)
        with pytest.raises(CohortError, match=told):
            read_concept_table(path, PARTITION)
    path.write_text("lesion,label,hair,MONET_hair\n", "utf-8")
    with pytest.raises(CohortError, match="two columns name hair"):
        read_concept_table(path, PARTITION)
    path.write_text("lesion,label,hairs\n", "utf-8")
    with pytest.raises(CohortError, match="no column names a concept"):
        read_concept_table(path, PARTITION)


def test_rows_that_cannot_serve_are_counted_and_held_out_lesions_stay_out(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [replace(r, truth=PARTITION_LABEL[r.truth]) for r in simulated(6, 1)]
    write_table(path, rows, "X,Benign,50,.5,,,,,\nY,Benign:Melanocytic nevus:Common nevus,50,,,,,,\n")
    held = rows[0].lesion
    read = read_concept_table(path, PARTITION, part_of=lambda n: "validation" if n == held else None)
    assert [r.lesion for r in read.rows] == [r.lesion for r in rows[1:]]
    assert dict(read.left_out) == {
        "the model set held the lesion out": 1,
        "the label lies in no training class": 1,
        "no concept is known": 1,
    }


def test_a_set_that_has_concepts_and_a_folder_in_use_are_refused(set_folder: Path, tmp_path: Path) -> None:
    table = set_folder.parent / "table.csv"
    for models, out, fault in (
        (set_folder, tmp_path / "new", ContractError),
        ("demonstration", tmp_path, PathRejected),
    ):
        (tmp_path / "something").write_text("kept", "utf-8")
        done = CliRunner().invoke(
            app, ["fit-concepts", "--table", str(table), "--models", str(models), "--out", str(out)]
        )
        assert isinstance(done.exception, fault)
        assert isinstance(done.exception, DxtreeError)
    assert (tmp_path / "something").read_text("utf-8") == "kept"


class TestConcepts(FittedContract):
    plugin = "concepts"

    @classmethod
    @cache
    def fitted(cls) -> Path:
        """A set with a bundle."""
        import atexit
        import shutil
        import tempfile

        from dxtree.adding import add_modality

        folder = Path(tempfile.mkdtemp(prefix="concepts-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        about = {"name": "simulated", "licence": "CC0-1.0"}
        rows = simulated(80, 5)
        add_modality(MODELS, "concepts", folder / "set", lambda at: fit_concepts(rows, PARTITION, at, about))
        return folder / "set"


def test_the_checklist_can_be_the_only_input(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    melanoma, nevus = (PARTITION.class_of(k) for k in list(SIGNS)[::2])
    rows = []
    for k in range(120):
        truth, rate = ((melanoma, 0.6), (nevus, 0.15))[k % 2]
        assert truth is not None
        rows.append(ConceptRow(f"L{k}", {c: float(rng.random() < rate) for c in CHECKLIST}, truth))
    bundle, judged = fit_concepts(rows, PARTITION, tmp_path / "b", {"name": "seven points"})
    assert bundle.require("concepts", list) == list(CHECKLIST)
    assert judged.low > 0.8
    made = load_model(ModelRequest(PARTITION, bundle))
    all_there, none = (dict.fromkeys(CHECKLIST, x) for x in (1, 0))
    assert asked(made, all_there).probabilities[melanoma] > 0.9
    assert asked(made, none).probabilities[nevus] > 0.9
    assert FILE in bundle.files
