"""Is the example in examples/ a whole third modality in under 60 lines?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.case import Case
from core.errors import CorruptImage, UnsupportedFormat
from plugins.assembly import assemble
from plugins.conformance import check, sample_images
from plugins.model_set import ModelSet
from plugins.registry import Registry

EXAMPLE = Path(__file__).parents[2] / "examples" / "confocal" / "confocal_plugin.py"

Load = Callable[..., Registry]


def test_it_has_fewer_than_60_lines() -> None:
    assert len(EXAMPLE.read_text("utf-8").splitlines()) < 60


def test_it_keeps_every_promise(registry_with: Load, models: ModelSet) -> None:
    findings = check("confocal_plugin", registry_with(str(EXAMPLE)), models)
    assert [f for f in findings if not f.passed] == []
    assert len(findings) > 30


def test_its_answers_differ_between_images_and_hold_every_training_class(
    registry_with: Load, models: ModelSet
) -> None:
    pipeline = assemble(registry_with(str(EXAMPLE)), models)
    one, other = (pipeline.diagnose(Case(images=[i])) for i in sample_images("confocal_frame"))
    assert one.leaf is not None
    assert other.leaf is not None
    assert one.leaf != other.leaf
    assert one.leaf.classes == models.partition.ids
    assert (one.leaf.values > 0).all()


def test_it_leaves_the_other_modalities_as_they_are(
    registry_with: Load, models: ModelSet, case: Case
) -> None:
    pipeline = assemble(registry_with(str(EXAMPLE)), models)
    case_of_three = Case(images=(*case.images, *sample_images("confocal_frame", 1)), patient=case.patient)
    both, three = pipeline.diagnose(case), pipeline.diagnose(case_of_three)
    assert three.status != "partial"
    assert [e.modality for e in three.evidence] == ["clinical", "confocal_frame", "dermoscopy"]
    assert [e.probabilities for e in both.evidence] == [three.evidence[k].probabilities for k in (0, 2)]
    assert both.missing[0] == "confocal_frame"


@pytest.mark.parametrize(
    ("data", "error"), [(b"no image", UnsupportedFormat), (b"\x89PNG\r\n\x1a\n", CorruptImage)]
)
def test_a_file_at_fault_is_a_typed_error(
    data: bytes, error: type[Exception], registry_with: Load, models: ModelSet
) -> None:
    image = sample_images("confocal_frame", 1)[0].model_copy(update={"data": data})
    with pytest.raises(error):
        assemble(registry_with(str(EXAMPLE)), models).diagnose(Case(images=[image]))


@pytest.fixture(scope="module")
def answers(models: ModelSet, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """`dxtree diagnose --plugin` on all three modalities, in two processes."""
    folder = tmp_path_factory.mktemp("images")
    options = ["--models", str(models.folder), "--plugin", str(EXAMPLE), "--age", "62", "--json"]
    for modality in ("clinical", "confocal_frame", "dermoscopy"):
        path = folder / f"{modality}.png"
        path.write_bytes(sample_images(modality, 1)[0].data or b"")
        options += ["--image", f"{modality}={path}"]
    code = (
        "import sys\nfrom dxtree.cli.main import run\n"
        "try:\n    run()\n"
        "finally:\n    print(*{'torch', 'sklearn', 'xgboost'} & {*sys.modules}, file=sys.stderr)"
    )
    found = []
    for _ in range(2):
        ran = subprocess.run(
            [sys.executable, "-c", code, "diagnose", *options], capture_output=True, text=True, check=True
        )
        assert ran.stderr.strip() == ""
        found.append(ran.stdout)
    return found


def test_it_runs_through_the_plugin_option_and_the_answer_says_so(answers: list[str]) -> None:
    answer = json.loads(answers[0])
    assert answer["used"][:3] == ["clinical", "confocal_frame", "dermoscopy"]
    assert answer["provenance"]["plugins"] == ["confocal_plugin"]
    assert answer["provenance"]["models"]["confocal_frame"]["model"] == "fixed random projection"


def test_two_processes_give_the_same_bytes(answers: list[str]) -> None:
    assert answers[0] == answers[1]
