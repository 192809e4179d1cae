"""Does a split keep together what belongs together, and is it said who straddles a given one?"""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from core.case import PatientMetadata
from core.cohort import LabelledImage
from core.errors import CohortError, LeakageError, MissingExtra
from core.split import TRAINING, VALIDATION, Split, split_by_component
from core.taxonomy import Taxonomy
from dxtree.cohorts import HAM10000, ISIC, MILK10K, make_lesion, read_isic
from dxtree.cohorts.synthetic import SyntheticConfig, synthetic_taxonomy, write_synthetic
from dxtree.splitting import (
    KINDS,
    Link,
    Look,
    find_links,
    guarded_split,
    look,
    notes_on,
    read_places,
    refuse,
    straddling,
    summarise,
)
from dxtree.splitting import likeness as likeness_module
from dxtree.splitting.likeness import BLOCK, NEAR, near_pairs, picture_hash
from dxtree.splitting.quality import BLURRED, FAR_AWAY, concern, sharpness, spot_diameter

pytest.importorskip("imagehash", reason="the extra 'train' is not installed")


def labelled(name: str, lesion: str, path: Path | None = None, **more: object) -> LabelledImage:
    made = LabelledImage(name, lesion, "dermoscopy", path or Path(name), "a", PatientMetadata(), "one")
    return replace(made, **more)  # type: ignore[arg-type]


@cache
def drawn(index: int, view: str = "clinical", size: int = 256) -> np.ndarray:
    picture = make_lesion(3, index, size=size).jpegs[view]
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def jpeg(picture: np.ndarray, quality: int = 90, scale: float = 1.0) -> bytes:
    image = Image.fromarray(picture)
    side = (round(image.width * scale), round(image.height * scale))
    data = io.BytesIO()
    image.resize(side, Image.Resampling.BILINEAR).save(data, "JPEG", quality=quality)
    return data.getvalue()


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """By a Gaussian of `sigma` pixels in 224."""
    image = Image.fromarray(picture)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(sigma * min(image.size) / 224)))


# Likeness


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), distance=st.integers(0, 20))
def test_near_pairs_are_those_of_counting_bit_by_bit(seed: int, distance: int) -> None:
    """More hashes than a block holds, some of them copies of others with a few bits turned."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (BLOCK + 80, 256)).astype(bool)
    for k in range(60):
        copy, source = rng.choice(len(bits), 2, replace=False)
        bits[copy] = bits[source]
        bits[copy, rng.choice(256, int(rng.integers(0, 21)), replace=False)] ^= True
        if k % 2:
            bits[copy], bits[source] = bits[source].copy(), bits[copy].copy()
    words = [tuple(np.packbits(row).view(np.uint64).tolist()) for row in bits]
    apart = (bits[:, None] != bits[None]).sum(axis=2)
    wanted = {(i, j, int(apart[i, j])) for i, j in np.argwhere(apart <= distance) if i < j}
    found = near_pairs(words, distance)
    assert set(found) == wanted
    assert len(found) == len(wanted)


def test_no_hashes_have_no_pairs() -> None:
    assert near_pairs([]) == []


def test_ones_are_counted_without_numpy_2(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.random.default_rng(0).integers(0, 2**63, (7, 5), np.uint64)
    wanted = [[bin(w).count("1") for w in row] for row in words.tolist()]
    assert likeness_module._ones(words).tolist() == wanted
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert likeness_module._ones(words).tolist() == wanted
    assert likeness_module._ones(words[:, None, 0] ^ words[None, :, 1]).shape == (7, 7)


def bits_apart(one: np.ndarray, other: np.ndarray) -> int:
    first, second = picture_hash(one), picture_hash(other)
    assert first is not None
    assert second is not None
    return sum((a ^ b).bit_count() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("view", ["clinical", "dermoscopy"])
def test_a_picture_compressed_and_scaled_again_is_near_and_another_is_not(view: str) -> None:
    for index in range(6):
        again = np.asarray(Image.open(io.BytesIO(jpeg(drawn(index, view), 60, 0.8))))
        assert bits_apart(drawn(index, view), again) <= NEAR
        assert bits_apart(drawn(index, view), drawn(index + 6, view)) > 2 * NEAR


@pytest.mark.parametrize(
    "plain",
    [
        np.full((80, 120, 3), 200, np.uint8),
        np.zeros((80, 80, 3), np.uint8),
        np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (200, 1, 3)),
    ],
    ids=["grey", "black", "gradient"],
)
def test_a_plain_picture_has_no_hash(plain: np.ndarray) -> None:
    assert picture_hash(plain) is None


# Links


def test_patients_of_one_cohort_are_linked_and_of_two_are_not() -> None:
    images = [
        labelled("i1", "L1", person="p"),
        labelled("i2", "L2", person="p"),
        labelled("i3", "L3", person="p", cohort="two"),
        labelled("i4", "L4"),
        labelled("i5", "L5"),
        labelled("i6", "L6", person="p"),
    ]
    assert find_links(images, [None] * 6) == [
        Link("L1", "L2", "patient", ("i1", "i2")),
        Link("L1", "L6", "patient", ("i1", "i6")),
    ]


def test_one_image_id_under_two_lesions_links_them() -> None:
    images = [labelled("i1", "L2"), labelled("i1", "L1", cohort="two")]
    assert find_links(images, [None] * 2) == [Link("L1", "L2", "image", ("i1", "i1"))]


def test_equal_bytes_and_near_hashes_link_lesions_but_never_a_lesion_with_itself() -> None:
    one, other = (1, 2, 3, 4), (1, 2, 3, 4 ^ 0b111)
    images = [labelled(f"i{k}", lesion) for k, lesion in enumerate(["L1", "L2", "L3", "L1", "L4", "L4"])]
    looks = [
        Look("a", one),
        Look("a", one),
        Look("b", other),
        Look("c", one),
        Look("d", (~1 % 2**64, 2, 3, 4)),
        Look("e", (~1 % 2**64, 2, 3, 4)),
    ]
    found = find_links(images, looks)
    assert [(x.kind, x.first, x.second, x.distance) for x in found] == [
        ("exact", "L1", "L2", 0),
        ("near", "L1", "L2", 0),
        ("near", "L1", "L3", 3),
        ("near", "L2", "L3", 3),
    ]
    assert [x.kind for x in find_links(images, looks, distance=2)] == ["exact", "near"]


def test_blank_files_link_nothing_not_even_by_their_bytes() -> None:
    images = [labelled(f"i{k}", f"L{k}") for k in range(3)]
    assert find_links(images, [Look("same", None)] * 3) == []


# Looking


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k in range(4):
        (tmp_path / f"{k}.jpg").write_bytes(jpeg(drawn(k)))
    (tmp_path / "copy.jpg").write_bytes((tmp_path / "0.jpg").read_bytes())
    (tmp_path / "again.jpg").write_bytes(jpeg(drawn(1), 70, 0.8))
    turned = Image.fromarray(drawn(2)).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show
    turned.save(tmp_path / "turned.jpg", exif=exif, quality=90)
    return tmp_path


def test_a_look_finds_copies_recompressed_ones_and_ones_turned_in_their_exif(folder: Path) -> None:
    names = ["0", "1", "2", "3", "copy", "again", "turned"]
    images = [labelled(n, f"L{n}", folder / f"{n}.jpg") for n in names]
    seen: list[tuple[int, int]] = []
    looks = look(images, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(k + 1, 7) for k in range(7)]
    found = find_links(images, looks)
    assert [(x.kind, *x.images) for x in found] == [
        ("exact", "0", "copy"),
        ("near", "1", "again"),
        ("near", "2", "turned"),
    ]


def test_one_unreadable_file_in_a_hundred_is_passed_over_and_two_are_not(folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing")
    good = [labelled(f"i{k}", f"L{k}", folder / "0.jpg") for k in range(99)]
    bad = labelled("bad", "Lbad", folder / "bad.jpg")
    looks = look([*good, bad])
    assert [k for k, seen in enumerate(looks) if seen is None] == [99]
    assert any("1 images could not be read" in note for note in notes_on([*good, bad], looks))
    with pytest.raises(CohortError, match="2 of 100 images cannot be read, bad for one"):
        look([*good[:98], bad, labelled("gone", "Lgone", folder / "gone.jpg")])


def test_without_imagehash_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagehash", None)
    with pytest.raises(MissingExtra, match=r"dxtree\[train\]"):
        look([labelled("0", "L0", folder / "0.jpg")])


# Quality


def textured(size: int, contrast: float = 25) -> np.ndarray:
    """Structure alike at every scale, as in photographs (amplitude 1/f), with a large dark thing in it."""
    rng = np.random.default_rng(1)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    waves = np.fft.fft2(rng.normal(size=(size, size))) / np.maximum(frequency, 1 / size)
    grey = np.fft.ifft2(waves).real
    grey = 140 + contrast * grey / grey.std()
    grey[size // 4 : -size // 4, size // 4 : -size // 4] -= contrast
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("sigma", [1.5, 2, 4, 8, 16])
@pytest.mark.parametrize("view", ["clinical", "dermoscopy"])
def test_blur_is_found_whatever_the_size_and_the_contrast(view: str, sigma: float) -> None:
    for size in (256, 700):
        for contrast in (8, 30):
            picture = textured(size, contrast)
            assert concern(picture, view, overview=False) is None
            assert concern(blurred(picture, sigma), view, overview=False) == BLURRED


def test_sharpness_depends_on_blur_and_little_on_size_and_contrast() -> None:
    found = [sharpness(blurred(textured(300), s)) for s in (0, 0.7, 1, 1.5, 2)]
    assert found == sorted(found, reverse=True)
    sharp = [sharpness(textured(size, contrast)) for size in (256, 700, 1200) for contrast in (10, 30)]
    assert max(sharp) < 1.5 * min(sharp)


def test_a_picture_smaller_than_the_measure_is_not_called_blurred() -> None:
    small = np.asarray(Image.fromarray(blurred(textured(300), 3)).resize((200, 223)))
    assert concern(small, "dermoscopy", overview=False) is None
    assert sharpness(small) < 0.5


def spot(diameter: float, side: int = 448, x: float = 0.5) -> np.ndarray:
    """A dark disc on skin with fine grain."""
    rng = np.random.default_rng(0)
    skin = Image.fromarray(rng.normal((214, 170, 150), 3, (side, side, 3)).clip(0, 255).astype(np.uint8))
    r, centre = diameter * side / 2, (x * side, side / 2)
    box = (centre[0] - r, centre[1] - r, centre[0] + r, centre[1] + r)
    ImageDraw.Draw(skin).ellipse(box, fill=(90, 50, 40))
    return np.asarray(skin)


@pytest.mark.parametrize("diameter", [0.06, 0.1, 0.2, 0.4])
def test_the_diameter_of_a_spot_is_measured(diameter: float) -> None:
    assert spot_diameter(spot(diameter)) == pytest.approx(diameter, rel=0.25)
    assert spot_diameter(spot(diameter, side=900)) == pytest.approx(diameter, rel=0.25)


def test_only_the_central_square_of_a_wide_picture_is_measured() -> None:
    border = np.full((448, 300, 3), (90, 50, 40), np.uint8)
    wide = np.hstack([border, spot(0.2), border])
    assert spot_diameter(wide) == pytest.approx(0.2, rel=0.25)
    assert sharpness(np.hstack([border, textured(448), border])) == pytest.approx(sharpness(textured(448)))


def test_a_small_lesion_is_far_away_but_not_under_the_dermatoscope() -> None:
    assert concern(spot(0.06), "clinical", overview=False) == FAR_AWAY
    assert concern(spot(0.2), "clinical", overview=False) is None
    assert concern(spot(0.06), "dermoscopy", overview=False) is None


def test_a_spot_at_the_border_or_beside_a_large_thing_says_nothing_of_distance() -> None:
    assert spot_diameter(spot(0.06, x=0.95)) is None
    both = np.array(spot(0.06))
    both[:, :150] = (90, 50, 40)
    found = spot_diameter(both)
    assert found is None or found > 0.2


def test_an_overview_is_far_away_by_definition() -> None:
    assert concern(drawn(0), "clinical", overview=True) == FAR_AWAY


# The guarded split


def test_a_guarded_split_keeps_copies_together_and_excludes_without_moving(folder: Path) -> None:
    (folder / "soft.jpg").write_bytes(jpeg(blurred(drawn(9), 3)))
    names = ["0", "1", "2", "3", "copy", "again", "soft"]
    images = [labelled(n, f"L{n}", folder / f"{n}.jpg") for n in names]
    for seed in range(12):
        split, links = guarded_split(images, validation=0.4, folds=2, seed=seed)
        assert [x.kind for x in links] == ["exact", "near"]
        assert split.excluded == {}
        for link in links:
            assert split.part[link.first] == split.part[link.second]
            assert split.fold.get(link.first) == split.fold.get(link.second)
    filtered, _ = guarded_split(images, validation=0.4, folds=2, seed=11, quality=True)
    assert filtered.excluded == {"soft": BLURRED}
    assert {i.image for i in filtered.kept(images)} == {*names} - {"soft"}
    assert (filtered.part, filtered.fold) == (split.part, split.fold)
    assert "1 images are blurred: left out of results, not of training" in filtered.notes


def test_patients_without_ids_are_acknowledged_by_cohort() -> None:
    images = [
        labelled("i1", "L1", person="p"),
        labelled("i2", "L2"),
        labelled("i3", "L3", cohort="two"),
        labelled("i4", "L4", cohort="three", person="q"),
    ]
    bare, partly = notes_on(images, [None, None, None, None])[:2]
    assert bare.startswith("no patient ids: grouped by lesion (two)")
    assert partly == "1 of 2 images of one have no patient id: grouped by lesion"


def test_a_summary_counts_components_lesions_and_images() -> None:
    taxonomy = synthetic_taxonomy()
    label = taxonomy.children(taxonomy.root)[0]
    images = [labelled(f"i{k}", f"L{k // 2}", label=label) for k in range(80)]
    links = [Link(f"L{k}", f"L{k + 1}", "exact", ("", ""), 0) for k in range(0, 40, 2)]
    split = split_by_component(
        images, [(x.first, x.second) for x in links], validation=0.2, folds=2, excluded={"i0": BLURRED}
    )
    found = summarise(images, split, links, taxonomy)
    assert found.links == {"patient": 0, "image": 0, "exact": 20, "near": 0}
    assert tuple(found.links) == KINDS
    training, held = found.places[TRAINING], found.places[VALIDATION]
    assert (held.components, held.lesions, held.images) == (4, 8, 16)
    assert (training.components, training.lesions, training.images) == (16, 32, 64)
    assert training.judged + held.judged == 79
    assert found.places["fold 0"].components == found.places["fold 1"].components == 8
    assert found.held_out == {label: (40, 8)}
    json.dumps(found.to_dict(), allow_nan=False)


# A given split


def write(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


IMAGES = [labelled("i1", "L1"), labelled("i2", "L1"), labelled("i3", "L2"), labelled("i4", "L3")]


def test_a_table_by_lesion_a_table_by_image_and_json_say_the_same(tmp_path: Path) -> None:
    wanted = [
        frozenset({p}) for p in ("training, fold 0", "training, fold 0", "training, fold 1", VALIDATION)
    ]
    split = Split({"L1": TRAINING, "L2": TRAINING, "L3": VALIDATION}, {"L1": 0, "L2": 1}, 2, 0)
    file = tmp_path / "split.json"
    file.write_text(json.dumps(split.to_dict()))
    assert read_places(file, IMAGES) == wanted
    by_lesion = [
        ["lesion", "part", "fold"],
        ["L1", TRAINING, "0"],
        ["L2", TRAINING, "1"],
        ["L3", VALIDATION, ""],
    ]
    assert read_places(write(tmp_path / "a.csv", by_lesion), IMAGES) == wanted
    rows = [["i1", TRAINING, "0"], ["i2", TRAINING, "0"], ["i3", TRAINING, "1"], ["i4", VALIDATION, ""]]
    by_image = [["image", "part", "fold"], *rows]
    assert read_places(write(tmp_path / "b.csv", by_image), IMAGES) == wanted


def test_a_table_may_name_its_parts_as_it_likes_and_has_no_need_of_folds(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", [["part", "lesion"], ["train", "L1"], ["test", "L2"], ["val", "L3"]])
    assert [*map(set, read_places(table, IMAGES))] == [{"train"}, {"train"}, {"test"}, {"val"}]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("lesion,part\nL1,train\nL2,test\n", r"no place for 1 lesions \(1 images\), L3 for one"),
        ("lesion,fold\nL1,1\n", "needs the columns"),
        ("lesion,part\nL1,\n", "line 2: lesion or part is empty"),
        ("lesion,part\nL1\n", "line 2: lesion or part is empty"),
        ('lesion,part\n"L1,train\n', "cannot be read as CSV"),
        ('{"part": {"L1": "training"', "no whole JSON document"),
        ('{"part": {}, "fold": {}, "folds": 2, "seed": 0}', "no place for 3 lesions"),
        ("", "needs the columns"),
    ],
)
def test_a_file_that_is_no_split_of_these_images_is_refused(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "split.csv"
    file.write_text(content)
    with pytest.raises(CohortError, match=says):
        read_places(file, IMAGES)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "split.csv"
    file.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(CohortError, match="UTF-8"):
        read_places(file, IMAGES)


def test_a_lesion_cut_by_images_and_a_link_across_folds_straddle_and_others_do_not(tmp_path: Path) -> None:
    rows = [["image", "part"], ["i1", "train"], ["i2", "test"], ["i3", "train"], ["i4", "test"]]
    places = read_places(write(tmp_path / "a.csv", rows), IMAGES)
    links = [Link("L1", "L2", "near", ("i1", "i3"), 4), Link("L2", "L3", "exact", ("i3", "i4"), 0)]
    found = straddling(IMAGES, places, links)
    assert [(s.kind, s.lesions, s.images, s.places, s.distance) for s in found] == [
        ("lesion", ("L1",), ("i1", "i2"), ("test", "train"), None),
        ("exact", ("L2", "L3"), ("i3", "i4"), ("test", "train"), 0),
    ]
    with pytest.raises(LeakageError, match=r"2 ties .* 3 lesions, L1 for one"):
        refuse(found)
    refuse([])


def test_one_image_id_in_two_places_straddles(tmp_path: Path) -> None:
    images = [labelled("i1", "L1"), labelled("i1", "L2", cohort="two")]
    table = write(tmp_path / "a.csv", [["lesion", "part"], ["L1", "train"], ["L2", "test"]])
    found = straddling(images, read_places(table, images), find_links(images, [None, None]))
    assert [s.kind for s in found] == ["image"]


# The reader


def test_the_reader_keeps_patients_apart_from_inputs_and_knows_overviews(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    header = "isic_id,lesion_id,image_type,diagnosis_1,age_approx,sex,site,patient_id\n"
    rows = "a,L1,dermoscopic,Benign,,,,IP_1\nb,L2,clinical: overview,Benign,,,,\n"
    (tmp_path / "metadata.csv").write_text(header + rows)
    for name in "ab":
        (tmp_path / "images" / f"{name}.jpg").write_bytes(b"")
    first, second = read_isic(tmp_path, Taxonomy.shipped("isic_diagnosis"), ISIC)
    assert (first.person, second.person) == ("IP_1", None)
    assert (first.overview, second.overview) == (False, True)
    assert first.patient == PatientMetadata()


# The command


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn lesions; the picture of the first is also that of the last."""
    folder = write_synthetic(
        tmp_path_factory.mktemp("cohort") / "data", SyntheticConfig(lesions=24, size=128)
    )
    images = sorted((folder / "images").iterdir())
    images[-1].write_bytes(images[1].read_bytes())
    return folder


def dxtree(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dxtree", "split", *map(str, arguments), "--taxonomy", "synthetic"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_the_command_writes_a_split_that_passes_its_own_check_and_refuses_a_leak(
    cohort: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    given_cohort = ("--cohort", f"synthetic={cohort}")
    made = dxtree(*given_cohort, "--out", tmp_path / "split.json", "--seed", 4)
    assert made.returncode == 0, made.stderr
    assert "no patient ids: grouped by lesion (synthetic)" in made.stdout
    document = json.loads((tmp_path / "split.json").read_text())
    assert document["format"] == 1
    assert document["notes"][0].startswith("no patient ids: grouped by lesion")
    split = Split.from_dict(document)
    (link,) = document["links"]
    assert link["kind"] == "exact"
    assert split.part[link["first"]] == split.part[link["second"]]
    assert [p.name for p in tmp_path.iterdir()] == ["split.json"]

    clean = dxtree(*given_cohort, "--check", tmp_path / "split.json")
    assert (clean.returncode, clean.stdout.splitlines()[0]) == (0, "nothing stands on both sides")

    rows = [["lesion", "part"], *([k, "test" if k == link["first"] else "train"] for k in split.part)]
    leaking = dxtree(*given_cohort, "--check", write(tmp_path / "leak.csv", rows), "--json")
    assert leaking.returncode == 2
    assert "the split leaks: 1 ties" in leaking.stderr
    (straddle,) = json.loads(leaking.stdout)["straddling"]
    assert straddle == {
        "kind": "exact",
        "lesions": [link["first"], link["second"]],
        "images": link["images"],
        "places": ["test", "train"],
        "distance": 0,
    }


@pytest.mark.parametrize("options", [[], ["--out", "a.json", "--check", "b.json"]])
def test_the_command_needs_either_out_or_check(options: list[str]) -> None:
    pytest.importorskip("torch")
    done = dxtree("--cohort", "synthetic=nowhere", *options)
    assert done.returncode == 2
    assert "--out" in done.stderr
    assert "--check" in done.stderr


# Real lesions, where they are


@cache
def real() -> list[LabelledImage]:
    """Every twelfth lesion of both public sets, with all its images."""
    root = os.environ.get("DXTREE_DATA")
    if not root or not all((Path(root) / n / "metadata.csv").is_file() for n in ("milk10k", "ham10000")):
        pytest.skip("DXTREE_DATA names no folder with milk10k and ham10000")
    tree = Taxonomy.shipped("isic_diagnosis")
    images = [
        *read_isic(Path(root) / "milk10k", tree, MILK10K),
        *read_isic(Path(root) / "ham10000", tree, HAM10000),
    ]
    chosen = set(sorted({i.lesion for i in images})[::12])
    return [i for i in images if i.lesion in chosen]


def test_planted_leaks_are_found_and_a_clean_split_of_real_lesions_is_not_stopped(tmp_path: Path) -> None:
    """20 lesions cut, 20 files copied and 20 pictures compressed and scaled again, each across the split."""
    images = real()
    split, links = guarded_split(images)
    assert {x.kind for x in links} <= {"exact"}
    places = [frozenset({split.part[i.lesion]}) for i in images]
    looks = look(images)
    assert straddling(images, places, find_links(images, looks)) == []

    rng = np.random.default_rng(0)
    several = [x for x, n in Counter(i.lesion for i in images).items() if n > 1]
    cut = set(rng.choice(sorted(several), 20, replace=False).tolist())
    place = {i.image: split.part[i.lesion] for i in images}
    for lesion in cut:
        moved = next(i for i in images if i.lesion == lesion)
        place[moved.image] = VALIDATION if place[moved.image] == TRAINING else TRAINING
    free = [i for i in images if i.lesion not in cut]
    chosen = [free[k] for k in rng.choice(len(free), 40, replace=False)]
    planted = []
    for k, source in enumerate(chosen):
        name = f"{'copy' if k < 20 else 'again'}{k}"
        data = source.path.read_bytes()
        if k >= 20:
            pixels = np.asarray(Image.open(source.path).convert("RGB"))
            data = jpeg(pixels, int(rng.integers(60, 91)), 0.8)
        (tmp_path / f"{name}.jpg").write_bytes(data)
        planted.append(replace(source, image=name, lesion=f"new {name}", path=tmp_path / f"{name}.jpg"))
        place[name] = VALIDATION if place[source.image] == TRAINING else TRAINING
    everything = [*images, *planted]
    table = write(tmp_path / "given.csv", [["image", "part"], *map(list, place.items())])
    found = straddling(
        everything, read_places(table, everything), find_links(everything, [*looks, *look(planted)])
    )
    assert {s.lesions[0] for s in found if s.kind == "lesion"} == cut
    pairs = {frozenset(s.images): s.kind for s in found}
    kinds = [pairs.get(frozenset({a.image, b.image})) for a, b in zip(chosen, planted, strict=True)]
    assert kinds[:20] == ["exact"] * 20
    assert kinds[20:].count("near") >= 18
    assert len(found) == 20 + 20 + kinds[20:].count("near")


def test_few_real_photographs_are_left_out_and_nearly_all_blurred_copies_of_them() -> None:
    images = real()[:200]
    pictures = [np.asarray(Image.open(i.path).convert("RGB")) for i in images]
    said = [concern(p, i.modality, overview=False) for p, i in zip(pictures, images, strict=True)]
    assert said.count(BLURRED) <= 1
    assert said.count(FAR_AWAY) <= 4
    for sigma in (1.5, 8):
        copies = [blurred(picture, sigma) for picture in pictures]
        soft = [concern(p, i.modality, overview=False) for p, i in zip(copies, images, strict=True)]
        assert soft.count(BLURRED) >= 0.98 * len(images)
