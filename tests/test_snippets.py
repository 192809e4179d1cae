"""Does every snippet of every page run, and where one does not, who runs it or why can nobody?"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable
from os import environ
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.main import get_command

import core
from dxtree.cli.main import app
from dxtree.cohorts import SyntheticConfig, make_lesion, write_synthetic
from plugins.assembly import assemble, default_pipeline, find_model_set, load_registry

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^    [^\n]*\n(?:\n(?=    ))*)+", re.MULTILINE)
Names = dict[str, Any]

RUN_ELSEWHERE = {
    "docs/tutorials/modality-plugin.md": "tests/plugins/test_walkthroughs.py",
    "docs/tutorials/from-image-to-tree.md": "tests/test_site.py",
    "docs/how-to/new-plugin.md": "tests/plugins/test_walkthroughs.py",
    "docs/how-to/serve.md": "tests/dxtree/service/test_serving_page.py",
    "docs/how-to/integrate.md": "tests/dxtree/test_pages.py",
    "docs/how-to/prevalence.md": "tests/dxtree/test_pages.py",
}
"""Pages whose snippets another test runs, which names the page."""

RUN_BY_NOBODY = {
    (
        "docs/how-to/dicom.md",
        "DicomWeb",
    ): "asks a PACS; tests/dicom/test_web.py makes these calls to a server",
    (
        "docs/how-to/phone.md",
        "kotlin",
    ): "needs the compiler of Android; what it computes is in phone_reference.py",
    (
        "docs/how-to/phone.md",
        "swift",
    ): "needs the compiler of Apple; what it computes is in phone_reference.py",
}
"""By page and a word of the snippet."""

DATA: dict[str, Callable[[str], object]] = {"json": json.loads, "toml": tomllib.loads}
"""What no program runs, but a parser reads."""


def blocks(page: Path) -> list[tuple[str, str]]:
    return FENCE.findall(page.read_text("utf-8"))


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def excused(page: Path, kind: str, source: str) -> bool:
    return any(name == name_of(page) and (word == kind or word in source) for name, word in RUN_BY_NOBODY)


# What a page takes as given


def lesions_of_two_kinds() -> list[core.Lesion]:
    nodes = (
        "Malignant:Malignant melanocytic proliferations (Melanoma):Melanoma, NOS",
        "Benign:Benign melanocytic proliferations:Nevus",
    )
    images = [
        core.LabelledImage(f"i{k}", f"l{k}", "dermoscopy", Path(f"i{k}.jpg"), nodes[k % 2],
                           core.PatientMetadata(), "drawn")
        for k in range(60)
    ]  # fmt: skip
    return core.lesions(images)


def some_probabilities(lesions: int) -> Any:
    return np.random.default_rng(0).dirichlet(np.ones(len(default_pipeline().partition.classes)), lesions)


def for_sets(_: Path) -> Names:
    pipeline, rng = default_pipeline(), np.random.default_rng(0)
    nodes = [c.node for c in pipeline.partition.classes]
    nodes, lesions = [c.node for c in pipeline.partition.classes], 800
    labels = [nodes[k] for k in rng.integers(0, len(nodes), lesions)]
    values = some_probabilities(lesions)
    case = core.Case(images=[core.ImageInput(modality="dermoscopy", path="lesion.jpg")])
    return {
        "partition": pipeline.partition,
        "labels": labels,
        "probabilities": values,
        "lesion_ids": [str(k) for k in range(lesions)],
        "answer": core.diagnose(case),
    }


def for_speed(_: Path) -> Names:
    image = core.ImageInput(modality="dermoscopy", path="lesion.jpg")
    broken = core.ImageInput(modality="dermoscopy", data=b"no image")
    return {"core": core, "cases": [core.Case(id="a", images=[image]), core.Case(id="b", images=[broken])]}


def for_case(_: Path) -> Names:
    return {"case": core.Case(images=[core.ImageInput(modality="dermoscopy", path="lesion.jpg")])}


def for_decisions(folder: Path) -> Names:
    (folder / "examples").symlink_to(ROOT / "examples")
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 80)
    scores = np.clip(0.5 * truth + rng.uniform(0, 0.5, 80), 0, 1)
    return {**for_case(folder), "scores": scores, "truth": truth, "lesion_ids": [str(k) for k in range(80)]}


def for_binary(_: Path) -> Names:
    lesions = lesions_of_two_kinds()
    pipeline = default_pipeline()
    return {
        "lesions": lesions,
        "probabilities": some_probabilities(len(lesions)),
        "partition": pipeline.partition,
    }


def for_many(folder: Path) -> Names:
    lines = ["id,age_years,sex,site,dermoscopy", "17,62,female,back,lesion.jpg", "18,,,,lesion.jpg"]
    (folder / "cases.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return {}


def for_dicom(folder: Path) -> Names:
    pytest.importorskip("highdicom", reason="needs the extra dicom")
    from modalities.images import decode
    from tests.dicom.conftest import dicom_file

    pixels = np.array(decode(folder / "lesion.jpg").pixels)
    (folder / "dermoscopy.dcm").write_bytes(dicom_file(pixels))
    return {}


def for_maps(_: Path) -> Names:
    pytest.importorskip("captum", reason="needs the extra explain")
    import modalities.cnn.gradients  # noqa: F401 - torch is loaded before the page's 30 seconds begin

    return {}


def for_evaluation(folder: Path) -> Names:
    from dxtree.evaluation import evaluate, write_predictions

    registry = load_registry()
    models = find_model_set(registry, "demonstration")
    write_synthetic(folder / "drawn", SyntheticConfig(lesions=6, seed=3))
    cohort = registry.cohorts.get("synthetic")
    tree = models.partition.taxonomy
    lesions = core.lesions(cohort.read(folder / "drawn", tree))
    found = evaluate(lesions, assemble(registry, models), {}, cohort, resamples=20)
    write_predictions(found.predictions, folder / "predictions.csv")
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 90)
    return {
        "partition": models.partition,
        "cohort": cohort,
        "scores": rng.dirichlet(np.ones(3), 90),
        "truth": truth,
        "p_melanoma": rng.uniform(size=90),
        "is_melanoma": (truth == 0).astype(int),
        "lesions": [str(k) for k in range(90)],
    }


def for_encoders(_: Path) -> Names:
    return {"my_net": lambda images: np.zeros((len(images), 1280), np.float32)}


def for_sequence(folder: Path) -> Names:
    for name in ("march", "september", "undated"):
        shutil.copy(folder / "lesion.jpg", folder / f"{name}.jpg")
    return {}


def for_surveys(folder: Path) -> Names:
    (folder / "data/ddi").mkdir(parents=True)
    shutil.copy(folder / "lesion.jpg", folder / "data/ddi/000001.png")
    table = ",DDI_ID,DDI_file,skin_tone,malignant,disease\n0,1,000001.png,56,True,melanoma-in-situ\n"
    (folder / "data/ddi/ddi_metadata.csv").write_text(table, "utf-8")
    return {}


def for_compression(_: Path) -> Names:
    onnx = pytest.importorskip("onnx", reason="needs the extra train")
    pytest.importorskip("zstandard", reason="needs the extra compress")
    graph = (ROOT / "modalities/sets/default/dermoscopy/model.onnx").read_bytes()
    (found,) = (
        t for t in onnx.load_from_string(graph).graph.initializer if t.name == "features.0.0.weight.fp16"
    )
    return {"graph": graph, "weights": onnx.numpy_helper.to_array(found)}


def for_benchmark(folder: Path) -> Names:
    if "DXTREE_DATA" not in environ:
        pytest.skip("needs MILK10k in the folder that DXTREE_DATA names")
    from dxtree.benchmark.config import read_benchmark
    from dxtree.benchmark.evidence import read_evidence_set

    page = (ROOT / "docs/how-to/benchmark.md").read_text("utf-8")
    (folder / "page.yaml").write_text(next(s for kind, s in FENCE.findall(page) if kind == "yaml"), "utf-8")
    registry = load_registry()
    evidence = read_evidence_set(ROOT / "examples/benchmarks/mobilenet_v2")
    read = registry.cohorts.get("milk10k").read
    lesions = core.lesions(read(Path(environ["DXTREE_DATA"]) / "milk10k", evidence.partition.taxonomy))
    return {
        "config": read_benchmark(folder / "page.yaml"),
        "registry": registry,
        "lesions": lesions,
        "evidence": evidence,
    }


GIVEN: dict[str, Callable[[Path], Names]] = {
    "docs/concepts/prediction-sets.md": for_sets,
    "docs/concepts/speed.md": for_speed,
    "docs/how-to/benchmark.md": for_benchmark,
    "docs/how-to/binary-tasks.md": for_binary,
    "docs/how-to/decide.md": for_decisions,
    "docs/how-to/dermoscopy-sequence.md": for_sequence,
    "docs/how-to/diagnose-many.md": for_many,
    "docs/how-to/dicom.md": for_dicom,
    "docs/how-to/encoder-plugin.md": for_encoders,
    "docs/how-to/evaluate.md": for_evaluation,
    "docs/how-to/explain.md": for_maps,
    "docs/how-to/gate.md": for_case,
    "docs/reference/cohorts.md": for_surveys,
    "docs/reference/compressed-format.md": for_compression,
}
"""What a page takes as given: it makes files in the folder and answers with names."""
SLOW = {"docs/how-to/benchmark.md"}

WITH_PYTHON = [p for p in PAGES if any(kind == "python" for kind, _ in blocks(p))]
RUN_HERE = [p for p in WITH_PYTHON if name_of(p) not in RUN_ELSEWHERE]


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, id=name_of(p), marks=[pytest.mark.slow] * (name_of(p) in SLOW)) for p in RUN_HERE],
)
def test_the_python_of_a_page_runs_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lesion.jpg").write_bytes(make_lesion(7, 0).jpegs["dermoscopy"])
    monkeypatch.chdir(tmp_path)
    names = GIVEN.get(name_of(page), lambda _: {})(tmp_path)
    names["__name__"] = "snippet"
    ran = 0
    for kind, source in blocks(page):
        if kind == "python" and not excused(page, kind, source):
            exec(compile(source, name_of(page), "exec"), names)  # noqa: S102
            ran += 1
    assert ran


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_program_hides_where_no_test_looks_for_it(page: Path) -> None:
    programs = {"python", "console", "sh", "js", "{code-cell} python"}
    known = programs | {
        "",
        "yaml",
        *DATA,
        "csv",
        "{toctree}",
        "{eval-rst}",
        "{modality-cards}",
        "{front-doors} modalities",
    }
    for kind, source in blocks(page):
        first = kind.split(" file=")[0].split(" edit=")[0]
        assert first in known or first.startswith("{include}") or excused(page, kind, source), kind
    bare = FENCE.sub("", page.read_text("utf-8"))
    for block in INDENTED.findall(bare):
        assert not re.search(r"^    (?:import \w+$|from [\w.]+ import )", block, re.MULTILINE), block


def test_a_page_that_is_run_elsewhere_is_named_there() -> None:
    for page, test in RUN_ELSEWHERE.items():
        assert (ROOT / page).is_file()
        assert Path(page).name.removesuffix(".md") in (ROOT / test).read_text("utf-8"), (page, test)


def test_every_excuse_is_needed() -> None:
    for page, word in RUN_BY_NOBODY:
        assert any(word in (kind, *re.findall(r"\w+", source)) for kind, source in blocks(ROOT / page))


def test_every_file_of_settings_on_a_page_is_read_by_what_reads_it(tmp_path: Path) -> None:
    from dxtree.benchmark.config import read_benchmark
    from dxtree.cli.decide import read_utilities
    from dxtree.experiment.config import ExperimentConfig

    def read_part(path: Path) -> object:
        """Part of an experiment, with the rest that it needs."""
        whole = {"name": "a", "cohorts": ["milk10k"], "modalities": ["clinical"], "reference": "b"}
        arms = [{"name": "b", "max_size": 100}]
        return ExperimentConfig.model_validate({**whole, "arms": arms, **yaml.safe_load(path.read_text())})

    readers: dict[str, Callable[[Path], object]] = {
        "docs/how-to/benchmark.md": read_benchmark,
        "docs/how-to/decide.md": read_utilities,
        "docs/how-to/reproduce-the-paper.md": read_part,
    }
    for page in PAGES:
        for kind, source in blocks(page):
            if kind == "yaml":
                (tmp_path / "settings.yaml").write_text(source, "utf-8")
                readers.get(name_of(page), lambda path: yaml.safe_load(path.read_text("utf-8")))(
                    tmp_path / "settings.yaml"
                )
            elif kind in DATA:
                assert DATA[kind](source), name_of(page)


def commands(page: Path) -> list[str]:
    """Every command line of dxtree on a page, joined where it is broken, without what follows a pipe."""
    text = page.read_text("utf-8")
    code = [
        *INDENTED.findall(FENCE.sub("", text)),
        *(s for kind, s in blocks(page) if kind in ("console", "sh")),
    ]
    lines = re.sub(r"\\\n\s*", " ", "\n".join(code)).splitlines()
    found = [re.search(r"(?:^|[(;$] ?|-m )\s*(?:\w+/bin/)?dxtree (?P<rest>[a-z].*)", line) for line in lines]
    return [re.split(r"\s+(?:#|>|\|)|[;)]$", one["rest"])[0] for one in found if one]


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=name_of)
def test_every_command_of_a_page_has_the_options_that_it_is_given(page: Path) -> None:
    for line in commands(page):
        words = [w for w in shlex.split(line) if w not in ("...", "$A")]
        command: Any = get_command(app)
        while hasattr(command, "get_command") and words:
            found = command.get_command(command.context_class(command), words[0])
            assert found is not None, f"dxtree {line}: there is no such command"
            command, words = found, words[1:]
        assert not hasattr(command, "get_command"), f"dxtree {line}: which of its commands?"
        # What this raises names the option.
        given, _, _ = command.make_parser(command.context_class(command)).parse_args(list(words))
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.required and "$A" not in line:
                assert parameter.name in given, f"dxtree {line}: {parameter.name} is missing"
