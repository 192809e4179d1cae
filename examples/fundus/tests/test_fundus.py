"""Is the eye found and its lamp divided away, are the sets read, and does the model know drawn eyes that it
never saw?
"""

from __future__ import annotations

import io
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from dxtree_fundus import cohorts, tree
from dxtree_fundus.drawing import KINDS, draw
from dxtree_fundus.field import SIDE, find_field, flatten
from dxtree_fundus.signs import describe, find_disc, find_fovea
from PIL import Image

from core.case import Case, ImageInput, PatientMetadata
from core.errors import CohortError, ContractError, DxtreeError
from plugins import ModelRequest
from plugins.assembly import assemble, find_model_set, load_registry
from plugins.config import Settings

UNSEEN = 1_000_000
"""Seeds from here on were never drawn for training."""


@pytest.fixture(scope="module")
def registry():
    return load_registry(Settings(("fundus",)))


@pytest.fixture(scope="module")
def pipeline(registry):
    return assemble(registry, find_model_set(registry, "fundus-demonstration"))


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def case(data: bytes, age: float | None = None) -> Case:
    return Case(images=[ImageInput(modality="fundus", data=data)], patient=PatientMetadata(age_years=age))


class TestField:
    @pytest.mark.parametrize("seed", range(3))
    def test_the_circle_of_the_camera_is_found_to_two_pixels(self, seed: int) -> None:
        drawn = draw(tree.NORMAL, UNSEEN + seed)
        found = find_field(pixels_of(drawn.data))
        assert found.found
        assert np.hypot(found.x - drawn.centre[0], found.y - drawn.centre[1]) < 2
        assert abs(found.radius - drawn.radius) < 2

    def test_a_field_cut_at_top_and_bottom_is_the_same_circle(self) -> None:
        pixels = pixels_of(draw(tree.NORMAL, UNSEEN).data)
        whole, cut = find_field(pixels), find_field(pixels[70:-70])
        assert cut.found
        assert abs(cut.radius - whole.radius) < 3
        assert abs(cut.x - whole.x) < 3
        assert abs(cut.y + 70 - whole.y) < 3

    @pytest.mark.parametrize("fill", ["black", "white", "noise"])
    def test_a_picture_without_a_round_field_has_none(self, fill: str) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
        pixels = {"black": noise * 0, "white": noise * 0 + 255, "noise": noise}[fill]
        assert not find_field(pixels).found

    def test_a_lamp_that_falls_off_changes_densities_little(self) -> None:
        pixels = pixels_of(draw(tree.NORMAL, UNSEEN + 5).data)
        field = find_field(pixels)
        y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
        far = np.hypot(x - field.x - 60, y - field.y) / field.radius
        dimmed = (pixels / 255) ** 2.2 * np.clip(1 - 0.45 * far**2, 0.2, 1)[..., None]
        darker = np.round(255 * dimmed ** (1 / 2.2)).astype(np.uint8)
        inside = np.hypot(*np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]) < 0.8
        before, after = (flatten(p).density[..., 1][inside] for p in (pixels, darker))
        raw = np.log(dimmed.mean() / ((pixels / 255) ** 2.2).mean())
        assert abs(raw) > 0.2  # the lamp took a fifth of the light and more
        assert np.abs(after - before).mean() < 0.05

    def test_disc_and_fovea_are_found(self) -> None:
        right = 0
        for seed in range(6):
            drawn = draw(tree.NORMAL, UNSEEN + 20 + seed)
            flat = flatten(pixels_of(drawn.data))
            scale = SIDE / (2 * flat.field.radius)
            corner = np.array([flat.field.x, flat.field.y]) - flat.field.radius
            disc = find_disc(flat)
            assert np.hypot(*(np.array(disc) - (np.array(drawn.disc) - corner) * scale)) < 10
            right += (
                np.hypot(*(np.array(find_fovea(flat, disc)) - (np.array(drawn.fovea) - corner) * scale)) < 20
            )
        assert right >= 5

    def test_a_left_eye_and_its_mirror_image_have_nearly_the_same_numbers(self) -> None:
        pixels = pixels_of(draw(tree.MODERATE, UNSEEN + 3).data)
        one, other = (describe(flatten(p)) for p in (pixels, np.ascontiguousarray(pixels[:, ::-1])))
        assert np.isfinite(one).all()
        assert np.abs(one - other).mean() < 0.05 * np.abs(one).mean()


class TestDrawing:
    def test_the_same_seed_gives_the_same_bytes_and_another_one_others(self) -> None:
        assert draw(tree.WET, 1).data == draw(tree.WET, 1).data
        assert draw(tree.WET, 1).data != draw(tree.WET, 2).data

    def test_every_kind_is_a_leaf_of_the_tree_and_has_its_signs(self) -> None:
        taxonomy = tree.taxonomy()
        assert all(taxonomy.is_leaf(kind) for kind in KINDS)
        signs = {
            tree.MILD: "microaneurysms",
            tree.SEVERE: "haemorrhages",
            tree.CENTRAL: "haemorrhages",
            tree.INTERMEDIATE: "drusen",
            tree.WET: "membranes",
            tree.PROLIFERATIVE: "new vessels",
        }
        for kind, sign in signs.items():
            assert draw(kind, 7).counts[sign] > 0
        assert draw(tree.SEVERE, 7).counts["haemorrhages"] > draw(tree.MODERATE, 7).counts["haemorrhages"]

    def test_blood_is_darker_in_green_than_in_red_as_haemoglobin_absorbs(self) -> None:
        flat = flatten(pixels_of(draw(tree.CENTRAL, 4).data))
        dark = flat.inside & (flat.density[..., 1] > 0.5)
        assert dark.sum() > 200
        assert flat.density[..., 1][dark].mean() > 2 * flat.density[..., 0][dark].mean()


class TestModel:
    def test_it_beats_chance_on_drawn_eyes_that_it_never_saw(self, registry) -> None:
        models = find_model_set(registry, "fundus-demonstration")
        bundle = models.modality_bundle("fundus")
        model = registry.modalities.get("fundus").load(ModelRequest(models.partition, bundle))
        right, total = 0, 0
        for seed in range(6):
            for kind in KINDS:
                logits, found = model.logits(pixels_of(draw(kind, UNSEEN + 100 + seed).data))
                assert found
                right += model.classes[int(logits.argmax())] == kind
                total += 1
        share, z = right / total, 1.96
        middle, width = (
            share + z**2 / (2 * total),
            z * sqrt(share * (1 - share) / total + z**2 / (4 * total**2)),
        )
        low = (middle - width) / (1 + z**2 / total)  # Wilson's 95 % interval
        assert low > 3 / len(KINDS), f"{right} of {total} right, from {low:.2f}"

    def test_a_glaucoma_and_a_vein_occlusion_come_out_in_their_branches(self, pipeline) -> None:
        for kind in (tree.GLAUCOMA, tree.CENTRAL, tree.WET):
            branch = kind.split(":")[0]
            scores = [
                pipeline.diagnose(case(draw(kind, UNSEEN + 50 + s).data)).tree[branch] for s in range(3)
            ]
            assert np.mean(scores) > 0.5

    def test_age_enters_the_answer_and_may_be_missing(self, pipeline) -> None:
        data = draw(tree.INTERMEDIATE, UNSEEN + 60).data
        without, old = pipeline.diagnose(case(data)), pipeline.diagnose(case(data, 80))
        assert "age_years" in old.used
        assert "age_years" in without.missing
        assert without.leaf != old.leaf

    def test_a_picture_without_a_field_is_not_judged(self, pipeline) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, "PNG")
        try:
            answer = pipeline.diagnose(case(buffer.getvalue()))
        except DxtreeError as error:
            assert "round field" in error.safe_message
        else:
            assert answer.status == "abstained"

    def test_without_its_bundle_it_refuses(self, registry) -> None:
        models = find_model_set(registry, "demonstration")
        with pytest.raises(ContractError, match="fundus-demonstration"):
            registry.modalities.get("fundus").load(ModelRequest(models.partition, None))

    def test_the_models_are_small(self, registry) -> None:
        assert sum(find_model_set(registry, "fundus-demonstration").contents().values()) < 300_000


class TestCohorts:
    def write(self, folder: Path, table: str, text: str, *names: str) -> None:
        (folder / "images").mkdir(exist_ok=True)
        for name in names:
            Image.new("RGB", (80, 80), (90, 40, 20)).save(folder / "images" / name)
        (folder / table).write_text(text, "utf-8")

    def test_aptos_grades_are_nodes_and_no_retinopathy_is_left_out_aloud(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.write(tmp_path, "train.csv", "id_code,diagnosis\na,0\nb,2\nc,4\n", "a.png", "b.png", "c.png")
        images = cohorts.read_aptos(tmp_path, tree.taxonomy())
        assert [(i.image, i.label, i.official) for i in images] == [
            ("b", tree.MODERATE, "2"),
            ("c", tree.PROLIFERATIVE, "4"),
        ]
        assert "no node for the label '0': 1" in caplog.text

    def test_a_grade_that_is_none_is_an_error(self, tmp_path: Path) -> None:
        self.write(tmp_path, "train.csv", "id_code,diagnosis\na,5\n", "a.png")
        with pytest.raises(CohortError, match="diagnosis"):
            cohorts.read_aptos(tmp_path, tree.taxonomy())

    def test_odir_has_a_row_for_each_eye_with_its_own_keywords(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        head = "ID,Patient Age,Patient Sex,Left-Fundus,Right-Fundus,"
        head += "Left-Diagnostic Keywords,Right-Diagnostic Keywords,N\n"
        rows = (
            "7,61,Female,7_left.jpg,7_right.jpg,glaucoma,moderate non proliferative retinopathy\uff0c"
            "proliferative diabetic retinopathy,0\n"
            "8,70,Male,8_left.jpg,8_right.jpg,lens dust,cataract\uff0cglaucoma,0\n"
        )
        names = [f"{k}_{eye}.jpg" for k in (7, 8) for eye in ("left", "right")]
        self.write(tmp_path, "full_df.csv", head + rows, *names)
        images = cohorts.read_odir(tmp_path, tree.taxonomy())
        assert [(i.lesion, i.label, i.person) for i in images] == [
            ("7_left", tree.GLAUCOMA, "7"),
            ("7_right", tree.DIABETIC, "7"),
        ]
        assert images[0].patient == PatientMetadata(age_years=61, sex="female")
        assert "lens dust" in caplog.text

    def test_every_keyword_means_a_node(self) -> None:
        assert set(cohorts.KEYWORDS.values()) <= set(tree.taxonomy())
