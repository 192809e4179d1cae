"""Which plugins may run where a clinic decides, and which version of the API do they fit?"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import PluginError, PluginNotAllowed, PluginVersionError
from plugins.allow_list import AllowList, line
from plugins.api_version import check_version
from plugins.assembly import load_registry
from plugins.config import Settings
from plugins.manager import PluginStatus
from plugins.registry import Registry

Write = Callable[[str, str], str]


def statuses(registry: Registry) -> dict[str, PluginStatus]:
    return {s.name: s for s in registry.manager.statuses}


@pytest.fixture
def allowed(tmp_path: Path) -> Callable[..., Path]:
    def write(**digests: str) -> Path:
        file = tmp_path / "allowed.toml"
        file.write_text("[plugins]\n" + "".join(f"{line(n, d)}\n" for n, d in digests.items()), "utf-8")
        return file

    return write


def test_a_file_runs_only_with_the_bytes_that_were_listed(
    plugin: Write, source: Callable[..., str], allowed: Callable[..., Path]
) -> None:
    path = plugin("mine", source("colposcopy"))
    listed = allowed(mine=hashlib.sha256(Path(path).read_bytes()).hexdigest())
    settings = Settings((path,), allowed=listed)
    assert statuses(load_registry(settings))["mine"].state == "ok"
    with Path(path).open("a") as file:
        file.write("\n")
    status = statuses(load_registry(settings))["mine"]
    assert isinstance(status.cause, PluginNotAllowed)
    assert "its files are not those" in status.cause.safe_message


def test_what_is_not_listed_is_not_even_imported(
    plugin: Write, allowed: Callable[..., Path], tmp_path: Path
) -> None:
    path = plugin("mine", f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()")
    status = statuses(load_registry(Settings((path,), allowed=allowed())))["mine"]
    assert isinstance(status.cause, PluginNotAllowed)
    assert "dxtree plugins pin" in status.cause.safe_message
    assert not (tmp_path / "ran").exists()


def test_built_in_plugins_need_no_entry_and_work(allowed: Callable[..., Path]) -> None:
    assert {s.state for s in load_registry(Settings(allowed=allowed())).manager.statuses if s.built_in} == {
        "ok"
    }


def test_an_installed_package_is_pinned_by_every_file_of_it_as_sha256sum_prints_them(
    distribution: Callable[..., Path], source: Callable[..., str], allowed: Callable[..., Path]
) -> None:
    site = distribution("acme-skin", {}, {"laser": "acme_skin.plugin"})
    package = site / "acme_skin"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(source("laser"))
    (package / "weights.json").write_text("{}")
    name = "acme-skin:laser"
    registry = load_registry(Settings(("laser",)))
    digest = registry.manager.digest(name)
    command = (
        "find acme_skin -type f -not -path '*/__pycache__/*' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    )
    shown = subprocess.run(["sh", "-c", command], cwd=site, capture_output=True, text=True, check=True)
    assert shown.stdout.split()[0] == digest
    settings = Settings(("laser",), allowed=allowed(**{name: digest}))
    assert statuses(load_registry(settings))[name].state == "ok"
    (package / "weights.json").write_text("{ }")
    assert isinstance(statuses(load_registry(settings))[name].cause, PluginNotAllowed)


@pytest.mark.parametrize(
    "text",
    ["", "[plugins", "[plugin]\n", "[plugins]\nx = 'sha256:12'", "[plugins]\nx = 1", "[plugins]\n[more]\n"],
)
def test_a_list_that_is_none_stops_everything(text: str, tmp_path: Path) -> None:
    file = tmp_path / "allowed.toml"
    file.write_text(text)
    with pytest.raises(PluginError, match="the allow-list"):
        load_registry(Settings(allowed=file))


def test_a_list_that_is_not_there_stops_everything(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="cannot be read"):
        AllowList.read(tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["acme-skin:laser", "laser", "acme-skin"])
def test_a_disabled_plugin_is_not_imported_even_when_it_is_named(
    name: str, distribution: Callable[..., Path], tmp_path: Path
) -> None:
    code = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()"
    distribution("acme-skin", {"acme_skin": code}, {"laser": "acme_skin"})
    found = statuses(load_registry(Settings(("laser",), disabled=(name,))))
    assert found["acme-skin:laser"].state == "disabled"
    assert not (tmp_path / "ran").exists()


def test_a_built_in_plugin_can_be_disabled(plugin: Write, source: Callable[..., str]) -> None:
    registry = load_registry(Settings((plugin("mine", source("colposcopy")),), disabled=("clinical", "mine")))
    found = statuses(registry)
    assert (found["clinical"].state, found["mine"].state) == ("disabled", "disabled")
    names = registry.modalities.names()
    assert "dermoscopy" in names
    assert not {"clinical", "colposcopy"} & set(names)


def test_a_disabled_name_that_no_plugin_bears_is_listed_as_failed() -> None:
    status = statuses(load_registry(Settings(disabled=("clinicle",))))["clinicle"]
    assert status.state == "failed"
    assert status.cause is not None
    assert "none of that name was switched off" in status.cause.safe_message


def test_the_environment_names_both_and_options_cannot_take_them_away() -> None:
    environment = {"DXTREE_PLUGINS_OFF": " a, b ", "DXTREE_PLUGINS_ALLOWED": "list.toml"}
    settings = Settings.from_environment(environment).with_plugins(("a",)).absolute()
    assert settings.disabled == ("a", "b")
    assert settings.allowed == Path("list.toml").absolute()


@pytest.mark.parametrize("stated", [1, "1", "1.0", "1.1", "1.2"])
def test_a_plugin_of_this_major_version_and_no_newer_minor_one_fits(stated: object) -> None:
    check_version(stated)


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        (0, "a newer release of the plugin"),
        (2, "a newer dxtree"),
        ("1.3", "a newer dxtree"),
        ("2.0", "a newer dxtree"),
        (1.1, "a text such as"),
        (True, "a text such as"),
        (None, "a text such as"),
        ("1.", "a text such as"),
        ("١", "a text such as"),
        (-1, "a text such as"),
    ],
)
def test_another_version_is_refused_and_told_what_to_do(stated: object, told: str, plugin: Write) -> None:
    with pytest.raises(PluginVersionError, match=told):
        check_version(stated)
    path = plugin("other", f"DXTREE_API_VERSION = {stated!r}")
    assert isinstance(load_registry(Settings((path,))).manager.load_file(path).cause, PluginVersionError)
