"""Does the plugin keep every promise, and does a net learn what is simulated and stay out of the way?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from core.case import Case, ImageInput
from core.errors import UnknownModality
from dxtree.cli.main import app
from dxtree.cohorts import make_lesion
from modalities.confocal.lesions import MELANOMA, NEVUS, lesion_of
from modalities.confocal.reader import read
from modalities.confocal.recipe import RECIPE
from modalities.confocal.simulate import draw
from modalities.confocal.tissue import SPACING
from modalities.sets.plugin import HERE
from modalities.stacks.fitting import fit_simulated
from plugins.assembly import assemble, load_registry
from plugins.config import Settings
from plugins.model_set import ModelSet
from tests.modalities.simulated import FittedContract, simulated_set

pytest.importorskip("torch", reason="the extra train is not installed")


class TestConfocal(FittedContract):
    plugin = "confocal"


def test_a_stack_and_a_dermoscopic_picture_are_fused_on_the_command_line(
    tmp_path: Path,
) -> None:
    (tmp_path / "stack.tif").write_bytes(draw(MELANOMA, np.random.default_rng(1)))
    (tmp_path / "skin.jpg").write_bytes(make_lesion(7, 0).jpegs["dermoscopy"])
    given = [f"confocal={tmp_path / 'stack.tif'}", f"dermoscopy={tmp_path / 'skin.jpg'}"]
    options = [text for image in given for text in ("--image", image)]
    result = CliRunner().invoke(
        app, ["diagnose", "--models", str(simulated_set("confocal")), *options, "--json"]
    )
    answer = json.loads(result.stdout)
    assert {"confocal", "dermoscopy"} <= set(answer["used"]) and answer["fuser"] == "bayes"
    assert any("does not say how deep" in notice["text"] for notice in answer["notices"])


def test_without_a_bundle_a_stack_is_refused() -> None:
    pipeline = assemble(load_registry(Settings()), ModelSet.open(HERE / "demonstration"))
    data = draw(NEVUS, np.random.default_rng(1))
    with pytest.raises(UnknownModality, match="no bundle for modality 'confocal'; it has some for clinical"):
        pipeline.diagnose(Case(images=(ImageInput(modality="confocal", data=data),)))


@pytest.mark.parametrize("kind", [kind for kind, _ in RECIPE.kinds])
def test_a_simulated_file_is_the_same_at_every_call_and_differs_by_seed(kind: str) -> None:
    one, again, other = (draw(kind, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one == again != other
    stack = read(one)
    assert stack.spacing_um == pytest.approx((SPACING, SPACING), rel=1e-6)
    assert stack.axis == "depth" and stack.values.std() > 0


def test_kinds_differ_in_their_signs_on_average_and_overlap() -> None:
    drawn = {
        kind: [lesion_of(kind, np.random.default_rng([seed, 1])) for seed in range(150)]
        for kind in (MELANOMA, NEVUS)
    }
    pagetoid = {
        kind: np.array([sum(c.z < 60 and c.radius > 7 for c in lesion.cells) for lesion in lesions])
        for kind, lesions in drawn.items()
    }
    edges = {kind: np.array([lesion.junction.edge for lesion in lesions]) for kind, lesions in drawn.items()}
    assert pagetoid[MELANOMA].mean() > 2 * pagetoid[NEVUS].mean()
    assert pagetoid[NEVUS].max() > np.quantile(pagetoid[MELANOMA], 0.1)
    assert edges[NEVUS].mean() > edges[MELANOMA].mean() + 0.3
    assert edges[MELANOMA].max() > np.quantile(edges[NEVUS], 0.25)


@pytest.mark.slow
def test_a_net_tells_other_simulated_stacks_apart(tmp_path: Path) -> None:
    partition = ModelSet.open(HERE / "demonstration").partition
    judged = fit_simulated(RECIPE, partition, tmp_path / "bundle", lesions=400, epochs=40).judged
    assert judged.low > judged.chance == 0.25
