"""Does a plugin at fault stop itself alone, and is its cause kept?"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.case import Case
from core.errors import PluginError
from core.pipeline import Pipeline
from plugins import hookimpl
from plugins.assembly import assemble
from plugins.config import Settings
from plugins.manager import PluginManager, PluginStatus
from plugins.model_set import ModelSet
from plugins.registry import Registry

Write = Callable[[str, str], str]
Load = Callable[..., Registry]

ROOT = Path(__file__).parents[2]
BUILT_IN = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["dxtree"])
HOOK = "from plugins import FuserSpec, ModalitySpec, hookimpl\n@hookimpl\ndef dxtree_modalities():\n    "

FAULTS = {
    "raises at import": ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    "exits at import": ("import sys\nsys.exit(3)", "SystemExit: 3"),
    "does not compile": ("def (", "SyntaxError"),
    "imports what is not there": ("import a_module_that_nobody_has", "ModuleNotFoundError"),
    "is in another encoding": ("# coding: utf-7\n+AGEA", "Error"),
    "bad signature": (
        "from plugins import hookimpl\n@hookimpl\ndef dxtree_diagnosed(case, verdict):\n    pass",
        "verdict",
    ),
    "misspelt hook": (
        "from plugins import hookimpl\n@hookimpl\ndef dxtree_modalites():\n    return []",
        "'dxtree_modalites' is no hook; did you mean 'dxtree_modalities'?",
    ),
    "misspelt hook without the decorator": (
        HOOK + "return []\ndef dxtree_fuser():\n    return []",
        "'dxtree_fuser' is no hook; did you mean 'dxtree_fusers'?",
    ),
    "hook without the decorator": (
        "def dxtree_modalities():\n    return []",
        "lacks the decorator @hookimpl",
    ),
    "no hook": ("def modalities():\n    return []", "it implements no hook; there are dxtree_modalities"),
    "wrapper": (
        "from plugins import hookimpl\n@hookimpl(wrapper=True)\ndef dxtree_modalities():\n    return (yield)",
        "'dxtree_modalities' is a wrapper",
    ),
    "other API version": (
        f"DXTREE_API_VERSION = 99\n{HOOK}return []",
        "written for plugin API 99; this is 1",
    ),
    "hook raises": (HOOK + "raise ValueError('no')", "dxtree_modalities raised ValueError: no"),
    "hook exits": (HOOK + "raise SystemExit(1)", "dxtree_modalities raised SystemExit"),
    "hook returns nothing": (HOOK + "pass", "dxtree_modalities raised TypeError"),
    "hook returns a text": (HOOK + "return 'colposcopy'", "must return ModalitySpec with a name, not str"),
    "hook returns another spec": (
        HOOK + "return [FuserSpec('x', 'x', None)]",
        "dxtree_modalities must return ModalitySpec with a name, not FuserSpec",
    ),
    "spec without a name": (HOOK + "return [ModalitySpec('', 'x', None)]", "ModalitySpec with a name"),
    "spec with a number as name": (HOOK + "return [ModalitySpec(7, 'x', None)]", "ModalitySpec with a name"),
    "one spec twice": (
        HOOK + "return [ModalitySpec('x', 'x', None)] * 2",
        "modality 'x' is offered by 'faulty' and by 'faulty'",
    ),
    "name of a built-in modality": (
        HOOK + "return [ModalitySpec('dermoscopy', 'x', None)]",
        "modality 'dermoscopy' is offered by 'dermoscopy' and by 'faulty'; rename one",
    ),
    "one good answer and one bad": (
        HOOK + "return [ModalitySpec('videoscopy', 'x', None)]\n"
        "@hookimpl\ndef dxtree_fusers():\n    raise ValueError('no fusers')",
        "dxtree_fusers raised ValueError: no fusers",
    ),
    "answers that raise half way": (
        HOOK + "yield ModalitySpec('videoscopy', 'x', None)\n    raise OSError('gone')",
        "dxtree_modalities raised OSError: gone",
    ),
}


def status_of(registry: Registry, name: str) -> PluginStatus:
    return next(s for s in registry.manager.statuses if s.name == name)


def tree(pipeline: Pipeline, case: Case) -> dict[str, float]:
    answer = pipeline.diagnose(case)
    assert answer.tree is not None
    return answer.tree.to_dict()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_plugin_at_fault_is_listed_with_its_cause_and_stops_nothing_else(
    fault: str,
    plugin: Write,
    source: Callable[..., str],
    registry_with: Load,
    models: ModelSet,
    case: Case,
    expected: dict[str, float],
) -> None:
    text, cause = FAULTS[fault]
    registry = registry_with(plugin("faulty", text), plugin("good", source("colposcopy")))
    status = status_of(registry, "faulty")
    assert status.state == "failed"
    assert status.cause is not None
    assert cause in status.cause.safe_message
    assert "\n" not in status.cause.safe_message
    assert not any(registry.offered_by("faulty").values())
    assert {s.name for s in registry.manager.statuses if s.state == "ok"} == BUILT_IN | {"good"}
    assert set(registry.modalities.names()) == {*registry_with().modalities.names(), "colposcopy"}
    assert tree(assemble(registry, models), case) == expected


def test_the_cause_holds_what_the_plugin_raised(plugin: Write) -> None:
    status = PluginManager().load_file(plugin("faulty", "raise RuntimeError('no licence')"))
    assert status.cause is not None
    assert isinstance(status.cause.__cause__, RuntimeError)


def test_ctrl_c_while_a_plugin_is_imported_is_not_swallowed(plugin: Write) -> None:
    with pytest.raises(KeyboardInterrupt):
        PluginManager().load_file(plugin("slow", "raise KeyboardInterrupt"))


def test_ctrl_c_in_a_hook_is_not_swallowed(plugin: Write, registry_with: Load) -> None:
    with pytest.raises(KeyboardInterrupt):
        registry_with(plugin("slow", HOOK + "raise KeyboardInterrupt"))


def test_a_plugin_that_failed_leaves_no_module_behind(plugin: Write) -> None:
    PluginManager().load_file(plugin("left_nothing", "raise RuntimeError"))
    assert "dxtree_plugin_file.left_nothing" not in sys.modules


@pytest.mark.parametrize("name", ["missing.py", "folder.py", "notes.txt"])
def test_a_one_file_plugin_must_be_a_file_of_python(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "notes.txt").write_text("x = 1")
    status = PluginManager().load_file(tmp_path / name)
    assert status.state == "failed"
    assert status.cause is not None
    assert "an existing .py file" in status.cause.safe_message


def test_a_plugin_named_twice_by_two_paths_is_loaded_once(
    plugin: Write, source: Callable[..., str], registry_with: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plugin("good", source("colposcopy"))
    monkeypatch.chdir(Path(path).parent)
    registry = registry_with(path, "good.py", "./good.py")
    assert status_of(registry, "good").state == "ok"
    assert set(registry.modalities.names()) == {*registry_with().modalities.names(), "colposcopy"}


def test_two_files_of_one_name_are_both_refused(
    plugin: Write, source: Callable[..., str], registry_with: Load
) -> None:
    registry = registry_with(
        plugin("one/same", source("colposcopy")), plugin("two/same", source("videoscopy"))
    )
    status = status_of(registry, "same")
    assert status.state == "failed"
    assert status.cause is not None
    assert "two plugins bear this name" in status.cause.safe_message
    assert registry.modalities.names() == registry_with().modalities.names()


def test_a_file_called_like_a_built_in_plugin_is_refused_and_ours_stays(
    plugin: Write, source: Callable[..., str], registry_with: Load
) -> None:
    path = plugin("fusion", source("colposcopy"))
    registry = registry_with(path)
    assert status_of(registry, "fusion").state == "ok"
    stranger = registry.manager.load_file(path)
    assert (stranger.name, stranger.state) == ("fusion.py:fusion", "failed")
    assert stranger.cause is not None
    assert "dxtree and fusion.py" in stranger.cause.safe_message
    assert {"bayes", "boosted", "image_only", "logistic"} <= set(registry.fusers.names())
    assert "colposcopy" not in registry.fusers.names()
    assert registry.modalities.names() == registry_with().modalities.names()


@pytest.mark.parametrize("order", list(permutations(["one", "two", "zero"])))
def test_the_order_in_which_plugins_are_given_changes_nothing(
    order: tuple[str, ...],
    plugin: Write,
    source: Callable[..., str],
    registry_with: Load,
    models: ModelSet,
    case: Case,
    expected: dict[str, float],
) -> None:
    offered = {"one": "colposcopy", "two": "videoscopy", "zero": "clinical"}
    registry = registry_with(*(plugin(name, source(offered[name])) for name in order))
    states = dict.fromkeys((*BUILT_IN, "one", "two"), "ok") | {"zero": "failed"}
    assert [(s.name, s.state) for s in registry.manager.statuses] == sorted(states.items())
    assert registry.modalities.owners == {
        **registry_with().modalities.owners,
        "colposcopy": "one",
        "videoscopy": "two",
    }
    pipeline = assemble(registry, models)
    assert list(pipeline.models) == ["clinical", "colposcopy", "dermoscopy", "videoscopy"]
    assert tree(pipeline, case) == expected


def test_built_in_plugins_need_no_enabling_and_all_work(registry_with: Load) -> None:
    statuses = registry_with().manager.statuses
    assert {s.name: (s.state, s.built_in) for s in statuses} == dict.fromkeys(BUILT_IN, ("ok", True))


# entry points of other distributions


def test_an_installed_plugin_is_not_even_imported_until_it_is_named(
    distribution: Callable[..., Path], registry_with: Load
) -> None:
    distribution("acme-skin", {"acme_skin": "raise RuntimeError('imported')"}, {"laser": "acme_skin"})
    status = status_of(registry_with(), "acme-skin:laser")
    assert (status.state, status.origin, status.cause) == ("not enabled", "acme-skin", None)
    assert "acme_skin" not in sys.modules


@pytest.mark.parametrize("name", ["laser", "acme-skin", "acme-skin:laser"])
def test_an_installed_plugin_works_once_it_or_its_distribution_is_named(
    name: str, distribution: Callable[..., Path], source: Callable[..., str], registry_with: Load
) -> None:
    distribution("acme-skin", {"acme_skin": source("colposcopy")}, {"laser": "acme_skin"})
    registry = registry_with(name)
    assert status_of(registry, "acme-skin:laser").state == "ok"
    assert registry.modalities.owners["colposcopy"] == "acme-skin:laser"
    assert not status_of(registry, "acme-skin:laser").built_in


def test_an_entry_point_without_its_module_is_listed(
    distribution: Callable[..., Path], registry_with: Load
) -> None:
    distribution("acme-skin", {}, {"laser": "a_module_that_nobody_has"})
    registry = registry_with("laser")
    cause = status_of(registry, "acme-skin:laser").cause
    assert cause is not None
    assert "ModuleNotFoundError" in cause.safe_message
    assert {s.name for s in registry.manager.statuses if s.state == "ok"} == BUILT_IN


def test_a_name_that_nothing_installed_bears_is_listed_with_the_nearest(
    distribution: Callable[..., Path], registry_with: Load
) -> None:
    distribution("acme-skin", {"acme_skin": ""}, {"laser": "acme_skin"})
    status = status_of(registry_with("laserr"), "laserr")
    assert (status.state, status.origin) == ("failed", "not installed")
    assert status.cause is not None
    assert "no installed plugin is named 'laserr'; did you mean 'laser'?" in status.cause.safe_message


def test_a_half_removed_distribution_stops_nothing(
    distribution: Callable[..., Path], registry_with: Load
) -> None:
    distribution("acme-skin", {"acme_skin": ""}, {"laser": "acme_skin"}, metadata=False)
    registry = registry_with("laser")
    assert {s.name for s in registry.manager.statuses if s.state == "ok"} == BUILT_IN
    assert status_of(registry, "unknown distribution:laser").state == "failed"


def test_a_stranger_that_names_a_module_of_ours_cannot_take_it_away(
    distribution: Callable[..., Path], registry_with: Load
) -> None:
    distribution("aaa", {}, {"dermoscopy": "modalities.dermoscopy.plugin"})
    registry = registry_with("aaa")
    assert status_of(registry, "dermoscopy").state == "ok"
    assert status_of(registry, "aaa:dermoscopy").state == "failed"
    assert registry.modalities.owners["dermoscopy"] == "dermoscopy"


# observers


def observed(pipeline: Pipeline, case: Case) -> tuple[dict[str, float], list[str]]:
    answer = pipeline.diagnose(case)
    assert answer.tree is not None
    return answer.tree.to_dict(), [n.text for n in answer.notices]


def test_an_observer_takes_the_arguments_that_it_names(models: ModelSet, case: Case) -> None:
    seen: dict[str, object] = {}

    @hookimpl
    def nothing() -> None:
        seen["nothing"] = True

    @hookimpl
    def both(case: Case, diagnosis: object) -> None:
        seen["both"] = case

    @hookimpl
    def one(diagnosis: object, extra: int = 3) -> None:
        seen["one"] = (diagnosis, extra)

    manager = PluginManager()
    manager.load_entry_points()
    for function in (nothing, both, one):
        status = manager.add(SimpleNamespace(dxtree_diagnosed=function), function.__name__)
        assert (status.state, status.origin) == ("ok", "given")
    answer = assemble(Registry.of(manager), models).diagnose(case)
    assert seen == {"nothing": True, "both": case, "one": (answer, 3)}


@pytest.mark.parametrize("fault", ["raise ValueError('secret')", "raise SystemExit(2)"])
def test_an_observer_that_fails_is_a_notice_and_changes_no_number(
    fault: str, plugin: Write, registry_with: Load, models: ModelSet, case: Case, expected: dict[str, float]
) -> None:
    text = f"from plugins import hookimpl\n@hookimpl\ndef dxtree_diagnosed(case):\n    {fault}"
    registry = registry_with(plugin("watcher", text))
    assert registry.manager.watchers() == ("watcher",)
    numbers, notices = observed(assemble(registry, models), case)
    assert numbers == expected
    assert len(notices) == 1
    assert "secret" not in notices[0]


# settings


def test_settings_come_from_the_environment_and_grow_by_options() -> None:
    settings = Settings.from_environment(
        {"DXTREE_PLUGINS": " laser, x/y.py,,laser ", "DXTREE_MODELS": "mine"}
    )
    more = settings.with_plugins(("laser", "z.py"))
    assert more.names() == ("laser",)
    assert more.files() == (Path("x/y.py"), Path("z.py"))
    assert more.models == "mine"


def test_an_empty_environment_switches_nothing_on() -> None:
    assert Settings.from_environment({"DXTREE_PLUGINS": "", "DXTREE_MODELS": ""}) == Settings((), None)


def test_a_failure_is_a_plugin_error(plugin: Write) -> None:
    assert isinstance(PluginManager().load_file(plugin("x", "y")).cause, PluginError)
