"""What do `dxtree plugins`, `dxtree doctor` and `--plugin` say?"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dxtree.cli.main import run
from plugins.model_set import ModelSet

Write = Callable[[str, str], str]

pytestmark = pytest.mark.usefixtures("globals_kept")


@pytest.fixture
def dxtree(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line; gives exit code, standard output and standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dxtree", *arguments])
        with pytest.raises(SystemExit) as end:
            run()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return call


def test_plugins_list_shows_each_state_with_its_cause(
    dxtree: Callable[..., tuple[int, str, str]],
    distribution: Callable[..., Path],
    plugin: Write,
    source: Callable[..., str],
) -> None:
    distribution("acme-skin", {"acme_skin": ""}, {"laser": "acme_skin"})
    good, bad = plugin("good", source("colposcopy")), plugin("bad", "raise OSError('gone')")
    code, out, _ = dxtree("plugins", "list", "--plugin", good, "--plugin", bad, "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["good"]["state"] == "ok"
    assert rows["good"]["offers"] == {"modality": ["colposcopy"]}
    assert rows["bad"]["state"] == "failed"
    assert rows["bad"]["cause"] == "plugin 'bad': OSError: gone"
    assert rows["acme-skin:laser"]["state"] == "not enabled"
    assert rows["clinical"]["built_in"]


def test_plugins_list_prints_a_table(
    dxtree: Callable[..., tuple[int, str, str]], plugin: Write, distribution: Callable[..., Path]
) -> None:
    distribution("acme-skin", {"acme_skin": ""}, {"laser": "acme_skin"})
    code, out, _ = dxtree("plugins", "list", "--plugin", plugin("bad", "raise OSError('[red]gone')"))
    assert code == 0
    assert "[red]gone" in " ".join(out.split())
    assert "enable it with" in " ".join(out.split())


def test_plugins_check_ends_with_3_where_a_promise_is_broken(
    dxtree: Callable[..., tuple[int, str, str]], plugin: Write, source: Callable[..., str], models: ModelSet
) -> None:
    body = "class Model(Base):\n    modality = 'videoscopy'\n"
    path = plugin("faulty", source("colposcopy", body))
    code, out, _ = dxtree("plugins", "check", path, "--models", str(models.folder))
    assert code == 3
    assert "FAIL colposcopy: it bears its own name: it says 'videoscopy'" in " ".join(out.split())
    assert "34 of 35 checks passed" in out


def test_plugins_check_of_a_good_file_ends_with_0(
    dxtree: Callable[..., tuple[int, str, str]], plugin: Write, source: Callable[..., str], models: ModelSet
) -> None:
    path = plugin("good", source("colposcopy"))
    code, out, _ = dxtree("plugins", "check", path, "--models", str(models.folder), "--json")
    assert code == 0
    assert {row["passed"] for row in json.loads(out)} == {True}


def test_plugins_check_of_a_file_called_like_a_built_in_checks_the_file(
    dxtree: Callable[..., tuple[int, str, str]], plugin: Write, source: Callable[..., str], models: ModelSet
) -> None:
    path = plugin("fusion", source("colposcopy"))
    code, out, _ = dxtree("plugins", "check", path, "--models", str(models.folder))
    assert code == 3
    assert "bear the name of a built-in plugin" in " ".join(out.split())


def test_plugins_check_of_a_name_that_nobody_has_is_one_line_and_3(
    dxtree: Callable[..., tuple[int, str, str]], models: ModelSet
) -> None:
    code, out, err = dxtree("plugins", "check", "clinicle", "--models", str(models.folder))
    assert (code, out) == (3, "")
    assert err.startswith("error: no plugin 'clinicle'")
    assert err.count("\n") == 1


def states(out: str) -> dict[str, tuple[str, str]]:
    return {row["check"]: (row["state"], row["detail"]) for row in json.loads(out)}


def test_the_doctor_names_a_failed_plugin_and_ends_with_3(
    dxtree: Callable[..., tuple[int, str, str]], plugin: Write
) -> None:
    code, out, _ = dxtree("doctor", "--plugin", plugin("bad", "raise OSError('gone')"), "--json")
    assert code == 3
    assert states(out)["plugin bad"] == ("broken", "plugin 'bad': OSError: gone")
    assert states(out)["plugins"][0] == "ok"


def test_the_doctor_checks_every_byte_of_every_model_set(
    dxtree: Callable[..., tuple[int, str, str]], plugin: Write, models: ModelSet, tmp_path: Path
) -> None:
    copy = shutil.copytree(models.folder, tmp_path / "copy")
    graph = copy / "dermoscopy" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    text = (
        "from pathlib import Path\nfrom plugins import ModelSetSpec, hookimpl\n@hookimpl\n"
        "def dxtree_model_sets():\n    return [\n"
        f"        ModelSetSpec('whole', 'x', Path({str(models.folder)!r})),\n"
        f"        ModelSetSpec('damaged', 'x', Path({str(copy)!r})),\n    ]"
    )
    code, out, _ = dxtree("doctor", "--plugin", plugin("sets", text), "--json")
    found = states(out)
    assert code == 3
    assert found["model set whole"][0] == "ok"
    assert "clinical, dermoscopy" in found["model set whole"][1]
    assert found["model set damaged"][0] == "broken"
    assert "model.onnx" in found["model set damaged"][1]


def test_the_doctor_refuses_the_variable_that_lets_torch_run_code(
    dxtree: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    code, out, _ = dxtree("doctor", "--json")
    assert code == 3
    assert states(out)["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"][0] == "broken"


def test_the_doctor_names_a_package_that_two_distributions_claim(
    dxtree: Callable[..., tuple[int, str, str]], distribution: Callable[..., Path]
) -> None:
    folder = distribution("acme-core", {}, {})
    (folder / "acme_core-1.0.dist-info" / "top_level.txt").write_text("core\n")
    code, out, _ = dxtree("doctor", "--json")
    assert code == 3
    state, detail = states(out)["package core"]
    assert state == "broken"
    assert "acme-core and by dxtree" in detail
