"""Who wins when two plugins offer one name?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import pytest

from core.case import Case
from core.errors import PluginContractError, PluginError
from plugins.assembly import assemble
from plugins.conformance import sample_images
from plugins.model_set import ModelSet
from plugins.registry import Registry, guarded

Write = Callable[[str, str], str]
Load = Callable[..., Registry]

FUSERS = """
@hookimpl
def dxtree_fusers():
    return [FuserSpec({name!r}, "Of a test", None)]
"""


def states(registry: Registry) -> dict[str, str]:
    return {s.name: s.state for s in registry.manager.statuses if not s.built_in}


def test_two_strangers_of_one_name_are_both_refused_and_asking_names_both(
    plugin: Write, source: Callable[..., str], registry_with: Load
) -> None:
    registry = registry_with(plugin("one", source("colposcopy")), plugin("two", source("colposcopy")))
    assert states(registry) == {"one": "failed", "two": "failed"}
    names = registry.modalities.names()
    assert {"clinical", "dermoscopy"} <= set(names)
    assert "colposcopy" not in names
    with pytest.raises(PluginError, match="'colposcopy' is offered by 'one' and by 'two'; rename one"):
        registry.modalities.get("colposcopy")


def test_a_case_that_needs_a_clashing_modality_gets_the_clash_and_the_others_their_numbers(
    plugin: Write,
    source: Callable[..., str],
    registry_with: Load,
    models: ModelSet,
    case: Case,
    expected: dict[str, float],
) -> None:
    registry = registry_with(plugin("one", source("colposcopy")), plugin("two", source("colposcopy")))
    pipeline = assemble(registry, models)
    with pytest.raises(PluginError, match="offered by 'one' and by 'two'"):
        pipeline.diagnose(Case(images=sample_images("colposcopy", 1)))
    answer = pipeline.diagnose(
        Case(images=(*case.images, *sample_images("colposcopy", 1)), patient=case.patient)
    )
    assert answer.status == "partial"
    assert answer.modalities_failed == {"colposcopy": "PluginError"}
    assert answer.tree is not None
    assert answer.tree.to_dict() == expected


def test_three_strangers_of_one_name_are_all_named(
    plugin: Write, source: Callable[..., str], registry_with: Load
) -> None:
    registry = registry_with(*(plugin(name, source("colposcopy")) for name in ("c", "a", "b")))
    assert states(registry) == {"a": "failed", "b": "failed", "c": "failed"}
    with pytest.raises(PluginError, match="'a' and by 'b' and by 'c'"):
        registry.modalities.get("colposcopy")


@pytest.mark.parametrize("names", list(permutations(["aa", "bb", "zz"], 2)))
def test_however_many_strangers_bear_its_name_a_built_in_keeps_working(
    names: tuple[str, str],
    plugin: Write,
    source: Callable[..., str],
    registry_with: Load,
    models: ModelSet,
    case: Case,
    expected: dict[str, float],
) -> None:
    registry = registry_with(*(plugin(name, source("clinical")) for name in names))
    assert states(registry) == dict.fromkeys(names, "failed")
    assert registry.modalities.owners["clinical"] == "clinical"
    assert registry.modalities.get("clinical").title == "Clinical close-up photograph"
    assert not registry.modalities.clashes
    assert assemble(registry, models).diagnose(case).tree.to_dict() == expected  # type: ignore[union-attr]


def test_a_plugin_that_fails_for_one_offer_offers_nothing_of_any_kind(
    plugin: Write, source: Callable[..., str], registry_with: Load
) -> None:
    both = source("colposcopy") + FUSERS.format(name="logistic")
    registry = registry_with(plugin("one", both))
    assert states(registry) == {"one": "failed"}
    assert "colposcopy" not in registry.modalities.names()
    assert registry.fusers.owners["logistic"] == "fusion"


def test_a_plugin_that_failed_takes_no_name_from_another(
    plugin: Write, source: Callable[..., str], registry_with: Load
) -> None:
    broken = source("colposcopy") + "\n@hookimpl\ndef dxtree_cohorts():\n    return [None]\n"
    registry = registry_with(plugin("broken", broken), plugin("good", source("colposcopy")))
    assert states(registry) == {"broken": "failed", "good": "ok"}
    assert registry.modalities.owners["colposcopy"] == "good"


def test_an_unknown_name_says_what_there_is(registry_with: Load) -> None:
    with pytest.raises(PluginError, match=r"no fuser 'logistik'; there are bayes, .* 'logistic'"):
        registry_with().fusers.get("logistik")


def test_what_a_plugin_offers_is_listed_by_kind(
    plugin: Write, source: Callable[..., str], registry_with: Load
) -> None:
    registry = registry_with(plugin("one", source("colposcopy") + FUSERS.format(name="vote")))
    assert registry.offered_by("one") == {
        "modality": ("colposcopy",),
        "fuser": ("vote",),
        "cohort": (),
        "taxonomy": (),
        "model set": (),
        "preprocessing step": (),
        "segmenter": (),
        "feature": (),
    }


@pytest.mark.parametrize("fault", [ValueError("x"), SystemExit(2), MemoryError(), RecursionError()])
def test_whatever_a_load_raises_becomes_a_plugin_error_that_keeps_it(fault: BaseException) -> None:
    def load() -> None:
        raise fault

    with pytest.raises(PluginError, match="modality 'x' could not be loaded") as caught:
        guarded("modality 'x'", load)
    assert caught.value.__cause__ is fault


@pytest.mark.parametrize("fault", [PluginContractError("typed"), KeyboardInterrupt()])
def test_a_typed_error_and_ctrl_c_pass_a_guard_as_they_are(fault: BaseException) -> None:
    def load() -> None:
        raise fault

    with pytest.raises(type(fault)) as caught:
        guarded("modality 'x'", load)
    assert caught.value is fault
