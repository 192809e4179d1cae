"""Is it true of the two cohorts of known signal that fine classes tell all or nothing, and fair?"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations, product
from pathlib import Path

import numpy as np
import PIL
import pytest
from scipy.stats import chi2_contingency
from typer.testing import CliRunner

import dxtree.cohorts.plugin
from core.cohort import lesions
from core.errors import CohortError
from core.partition import partition_tree
from dxtree.cli.main import app
from dxtree.cohorts import SyntheticConfig, SyntheticLesion, fine_signal_taxonomy, make_lesion
from dxtree.cohorts.synthetic.lesion import FineSignal
from dxtree.cohorts.synthetic.signal import LEAVES, Signal, cell_of, leaf_of, signal_classes, signal_traits
from dxtree.cohorts.synthetic.truth import Traits
from plugins.manager import PluginManager
from plugins.registry import Registry

BOTH: tuple[Signal, Signal] = ("yes", "no")
ALL = range(2700)
CHANCE = 0.001
"""Two things count as unrelated where a chi-square test over 2,700 lesions gives a p above this."""


# The default cohort


def test_the_natural_cohort_is_what_it_was_before_there_were_others() -> None:
    found = hashlib.sha256()
    for index in range(200):
        for told in (True, False):
            made = make_lesion(7, index, views=(), metadata_signal=told)
            found.update(repr((made.lesion, made.label, made.person, made.skin_tone)).encode())
    assert found.hexdigest() == "40656283e2e67686cbed889f57ca31e496ae192290307954544947ceb6f72a70"


PICTURES = {
    (0, "clinical"): (154.13, 115.01, 90.01, 45.78),
    (0, "dermoscopy"): (155.58, 99.54, 80.66, 60.57),
    (1, "clinical"): (206.59, 148.43, 119.64, 46.09),
    (1, "dermoscopy"): (141.14, 96.34, 82.36, 49.10),
    (2, "clinical"): (223.70, 165.63, 153.03, 38.65),
    (2, "dermoscopy"): (197.40, 128.31, 121.31, 55.17),
}
"""Mean red, green and blue, and the deviation over all, of lesions of seed 7 at 64 pixels."""


@pytest.mark.parametrize(("index", "view"), PICTURES)
def test_the_natural_pictures_are_what_they_were(index: int, view: str) -> None:
    pixels = make_lesion(7, index, size=64, views=(view,)).images[view]
    assert [*pixels.mean((0, 1)), pixels.std()] == pytest.approx(PICTURES[index, view], abs=0.02)


@pytest.mark.skipif(
    (np.__version__, PIL.__version__) != ("2.4.6", "13.0.0"),
    reason="another NumPy or Pillow may round single pixels differently",
)
def test_the_natural_pictures_are_the_same_to_the_bit() -> None:
    found = hashlib.sha256()
    for index, size in product(range(6), (64, 192)):
        for pixels in make_lesion(7, index, size=size).images.values():
            found.update(pixels.tobytes())
    assert found.hexdigest() == "5f4fecef07b5e98b1f545de0ce79d2aef6e6420f6af6c7e5a248268ff3f8460a"


def test_natural_is_the_default() -> None:
    assert make_lesion(3, 5, size=64).jpegs == make_lesion(3, 5, size=64, fine_signal="natural").jpegs
    assert SyntheticConfig().fine_signal == "natural"
    default, on, off = (
        [make_lesion(3, index, views=(), metadata_signal=told).person for index in range(9)]
        for told in (None, True, False)
    )
    assert default == on != off


# The tree and the counts


def test_the_tree_has_three_nine_and_twenty_seven_nodes() -> None:
    taxonomy = fine_signal_taxonomy()
    assert [len(taxonomy.level(depth)) for depth in (1, 2, 3)] == [3, 9, 27]
    assert {len(taxonomy.children(node)) for node in taxonomy if not taxonomy.is_leaf(node)} == {3}
    for signal in BOTH:
        assert [c.label for c in signal_classes(signal)] == [n for n in taxonomy if taxonomy.is_leaf(n)]


def test_both_cohorts_hold_the_same_labels_and_patients_and_every_leaf_equally_often() -> None:
    yes, no = ([drawn(signal, index) for index in range(540)] for signal in BOTH)
    assert [x.label for x in yes] == [x.label for x in no]
    assert [x.person for x in yes] == [x.person for x in no]
    assert Counter(Counter(x.label for x in yes).values()) == {20: 27}


def test_the_partition_cuts_both_cohorts_into_their_leaves() -> None:
    for signal in BOTH:
        counts = Counter(drawn(signal, index).label for index in range(540))
        assert list(partition_tree(fine_signal_taxonomy(), counts, max_size=30).ids) == [
            c.label for c in signal_classes(signal)
        ]


def test_the_order_of_labels_says_nothing() -> None:
    leaves = [leaf_of(0, index) for index in ALL]
    assert {tuple(sorted(leaves[k : k + 27])) for k in ALL[::27]} == {tuple(range(27))}
    assert association(leaves, [index % LEAVES for index in ALL]) > CHANCE
    assert leaves != [leaf_of(1, index) for index in ALL]


# `yes`: a leaf is one plain look, a coarse node a hard function of the cues


def test_where_they_carry_a_signal_every_leaf_has_a_look_of_its_own() -> None:
    assert {cell_of("yes", leaf) for leaf in range(LEAVES)} == set(product(range(3), repeat=3))
    assert len({c.look for c in signal_classes("yes")}) == LEAVES


def test_where_they_carry_a_signal_the_leaves_of_a_second_level_node_differ_in_every_cue() -> None:
    for node in range(9):
        for kinds in zip(*(cell_of("yes", 3 * node + k) for k in range(3)), strict=True):
            assert set(kinds) == {0, 1, 2}


@pytest.mark.parametrize("cues", [(0,), (1,), (2,), *combinations(range(3), 2)], ids=str)
def test_neither_one_cue_nor_two_tell_anything_of_the_first_level(cues: tuple[int, ...]) -> None:
    counted = Counter((tuple(cell_of("yes", leaf)[c] for c in cues), leaf // 9) for leaf in range(LEAVES))
    assert len(counted) == 3 ** len(cues) * 3
    assert len(set(counted.values())) == 1


@pytest.mark.parametrize("cue", range(3))
def test_no_single_cue_tells_anything_of_the_second_level_node(cue: int) -> None:
    counted = Counter((cell_of("yes", leaf)[cue], leaf // 3) for leaf in range(LEAVES))
    assert set(counted.values()) == {1}
    assert len(counted) == LEAVES


CUES: dict[str, Callable[[Traits], float]] = {
    "melanin": lambda x: x.look.melanin,
    "haem": lambda x: x.look.haem,
    "border": lambda x: float(np.abs(x.bend).sum()),
    "variegation": lambda x: x.look.variegation,
    "elevation": lambda x: x.look.elevation,
    "scale": lambda x: x.look.scale,
    "crust": lambda x: x.look.crust,
    "pattern": lambda x: ["network", "comedo", "dotted"].index(x.look.pattern),
    "tone": lambda x: x.tone,
    "aspect": lambda x: x.aspect,
    "clarity": lambda x: x.clarity,
}
"""All that the pictures of a lesion are painted from, but for its random numbers."""


@pytest.mark.parametrize("cue", CUES)
def test_no_single_trait_of_drawn_lesions_tells_the_first_level(cue: str) -> None:
    """By a chi-square test of thirds of the trait against the first level; the leaf it does tell."""
    thirds = thirds_of("yes", cue)
    leaves = [leaf_of(0, index) for index in ALL]
    assert association([leaf // 9 for leaf in leaves], thirds) > CHANCE
    assert association([leaf // 3 for leaf in leaves], thirds) > CHANCE
    if cue not in ("variegation", "tone", "clarity"):
        assert association(leaves, thirds) < 1e-12


# `no`: the second-level node decides on the look, the leaf on nothing


def test_where_they_carry_none_the_leaves_of_a_second_level_node_share_one_look() -> None:
    looks = [c.look for c in signal_classes("no")]
    assert [len(set(looks[3 * node : 3 * node + 3])) for node in range(9)] == [1] * 9
    assert len(set(looks)) == 9
    assert [cell_of("no", leaf)[0] for leaf in range(LEAVES)] == [leaf // 9 for leaf in range(LEAVES)]


def test_where_they_carry_none_another_leaf_of_the_node_would_have_been_painted_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = {(s, i): make_lesion(0, i, size=64, fine_signal=s) for s in BOTH for i in range(6)}
    node_mate = lambda seed, index: leaf_of(seed, index) // 3 * 3 + (leaf_of(seed, index) + 1) % 3  # noqa: E731
    for module in ("signal", "lesion"):
        monkeypatch.setattr(f"dxtree.cohorts.synthetic.{module}.leaf_of", node_mate)
    for (signal, index), old in before.items():
        new = make_lesion(0, index, size=64, fine_signal=signal)
        assert new.label != old.label
        assert new.label.rpartition(":")[0] == old.label.rpartition(":")[0]
        assert (new.jpegs == old.jpegs) == (signal == "no")


@pytest.mark.parametrize("cue", CUES)
def test_where_they_carry_none_no_trait_tells_leaves_of_one_node_apart(cue: str) -> None:
    traits = np.array([CUES[cue](x) for x in all_traits("no")])
    leaves = np.array([leaf_of(0, index) for index in ALL])
    within = np.zeros(len(ALL), int)
    for node in range(9):
        here = leaves // 3 == node
        within[here] = thirds(traits[here])
    assert association((leaves % 3).tolist(), within.tolist()) > CHANCE


def test_the_first_level_is_told_by_a_single_cue_where_fine_classes_carry_none() -> None:
    assert association([leaf_of(0, index) // 9 for index in ALL], thirds_of("no", "melanin")) < 1e-12


# What else may tell


@pytest.mark.parametrize("signal", BOTH)
@pytest.mark.parametrize("field", ["age", "sex", "site"])
def test_metadata_tell_nothing_unless_asked_and_never_of_the_leaf(signal: Signal, field: str) -> None:
    leaves = [leaf_of(0, index) for index in ALL]
    values = {told: [value(x, field) for x in all_drawn(signal, told)] for told in (None, True)}
    assert association([leaf // 3 for leaf in leaves], values[None]) > CHANCE
    assert association([leaf // 3 for leaf in leaves], values[True]) < 1e-12
    for told in (None, True):
        assert association([leaf % 3 for leaf in leaves], values[told]) > CHANCE


def test_pictures_do_not_follow_the_metadata_and_ids_do_not_tell_the_label() -> None:
    off, on = (make_lesion(0, 4, size=64, metadata_signal=told, fine_signal="yes") for told in (False, True))
    assert off.jpegs == on.jpegs
    assert off.lesion == on.lesion == "SYN_yes_0_000004"
    ids = {make_lesion(0, 4, views=(), fine_signal=s).lesion for s in ("natural", "yes", "no")}  # type: ignore[arg-type]
    assert len(ids) == 3


# Folders


@pytest.mark.parametrize("signal", BOTH)
def test_the_command_writes_a_folder_that_the_registered_cohort_reads(tmp_path: Path, signal: Signal) -> None:
    folder = tmp_path / "drawn"
    options = ["--lesions", "27", "--size", "64", "--seed", "5", "--fine-signal", signal]
    done = CliRunner().invoke(app, ["synthesize", str(folder), *options])
    assert done.exit_code == 0
    assert "--taxonomy fine_signal" in done.output
    manager = PluginManager()
    manager.add(dxtree.cohorts.plugin, "cohorts")
    registry = Registry.of(manager)
    taxonomy = registry.taxonomies.get("fine_signal").load()
    assert taxonomy.fingerprint == fine_signal_taxonomy().fingerprint
    images = registry.cohorts.get("fine_signal").read(folder, taxonomy)
    found = {lesion.lesion: lesion for lesion in lesions(images)}
    made = list(SyntheticConfig(lesions=27, seed=5, size=64, fine_signal=signal).make())
    assert [found[x.lesion].label for x in made] == [x.label for x in made]
    assert {i.modality: i.path.read_bytes() for i in found[made[0].lesion].images} == made[0].jpegs


def test_another_signal_is_refused() -> None:
    with pytest.raises(CohortError, match="did you mean 'yes'"):
        SyntheticConfig(fine_signal="yess")  # type: ignore[arg-type]


# Helpers


def drawn(signal: FineSignal, index: int) -> SyntheticLesion:
    return make_lesion(0, index, views=(), fine_signal=signal)


@cache
def all_drawn(signal: Signal, told: bool | None) -> tuple[SyntheticLesion, ...]:
    return tuple(make_lesion(0, i, views=(), metadata_signal=told, fine_signal=signal) for i in ALL)


@cache
def all_traits(signal: Signal) -> tuple[Traits, ...]:
    return tuple(signal_traits(signal, 0, index) for index in ALL)


def thirds(values: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Which third of the values each lies in, equals together."""
    return np.searchsorted(np.unique(np.quantile(values, (1 / 3, 2 / 3))), values, side="right")


def thirds_of(signal: Signal, cue: str) -> list[int]:
    return [int(k) for k in thirds(np.array([CUES[cue](x) for x in all_traits(signal)]))]


def value(lesion: SyntheticLesion, field: str) -> str:
    text = str(getattr(lesion.person, field))
    return str(int(text or -15) // 15) if field == "age" else text


def association(first: Sequence[object], second: Sequence[object]) -> float:
    """p of a chi-square test of independence; 1 where one of the two never changes."""
    counted = Counter(zip(first, second, strict=True))
    rows, columns = ({key[k] for key in counted} for k in (0, 1))
    if min(len(rows), len(columns)) < 2:
        return 1.0
    return float(chi2_contingency([[counted[r, c] for c in columns] for r in rows]).pvalue)
