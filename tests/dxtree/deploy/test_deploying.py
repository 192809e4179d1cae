"""Do the files of `docs/deploy` run the service without a network, a root user or a disk to write on?"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from dxtree.cli.serve import serve
from dxtree.cohorts.synthetic import make_lesion

ROOT = Path(__file__).parents[3]
FILES = ROOT / "docs" / "deploy"
USER = "10001:10001"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FILES / "compose.yaml").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def container() -> list[tuple[str, str]]:
    """Instructions of the container file, in order."""
    text = (FILES / "Containerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


@pytest.fixture(scope="module")
def unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (FILES / "dxtree.service").read_text("utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def last_stage(container: list[tuple[str, str]]) -> list[tuple[str, str]]:
    last = max(k for k, (word, _) in enumerate(container) if word == "FROM")
    return container[last:]


def test_the_image_that_runs_is_not_root_and_runs_nothing_while_it_is_built(
    container: list[tuple[str, str]],
) -> None:
    stage = last_stage(container)
    words = [word for word, _ in stage]
    assert dict(stage)["USER"] == USER
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert not {"RUN", "ADD"} & set(words)
    assert "apt-get" not in str(container)
    assert all(re.search(r":\d", image) for word, image in container if word == "FROM")


def test_what_the_image_copies_is_there_and_is_the_wheel(container: list[tuple[str, str]]) -> None:
    copied = [value.split()[:-1] for word, value in container if word == "COPY" and "--from" not in value]
    names = {name for part in copied for name in part}
    assert all((ROOT / name).exists() for name in names)
    assert {"core", "plugins", "modalities", "fusion", "dxtree", "pyproject.toml"} <= names
    assert not {".", "tests"} & names


def test_the_wheel_is_built_of_what_is_copied_and_holds_every_plugin(
    container: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Without a network: hatchling alone, on the files of the build stage, as pip calls it."""
    if find_spec("hatchling") is None:
        pytest.skip("needs hatchling")
    for word, value in container:
        if word == "COPY" and "--from" not in value:
            *names, target = value.split()
            for name in names:
                here, there = ROOT / name, tmp_path / target / (name if target == "./" else "")
                if here.is_dir():
                    shutil.copytree(here, there, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(here, there)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for module in project["entry-points"]["dxtree"].values():
        path = module.replace(".", "/")
        assert {f"{path}.py", f"{path}/__init__.py"} & held, module
    for file in ("dxtree/page/words/zh.json", "dxtree/exchange/codes.csv", "modalities/dicom/sites.csv"):
        assert file in held
    asked = re.search(r'pip install [^"]*"\.\[([a-z,]+)\]"', str(container))
    assert asked is not None
    assert set(asked[1].split(",")) <= set(project["optional-dependencies"])


def test_the_service_has_no_way_out_no_rights_and_no_disk(compose: dict[str, Any]) -> None:
    service = compose["services"]["dxtree"]
    assert service["networks"] == ["inside"]
    assert compose["networks"]["inside"] == {"internal": True}
    assert "ports" not in service
    assert service["ulimits"]["core"] == 0
    assert "volumes" not in service
    for one in compose["services"].values():
        assert one["read_only"] is True
        assert one["cap_drop"] == ["ALL"]
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert one["user"].split(":")[0] != "0"
        assert "privileged" not in one


def test_the_end_waits_longer_than_the_service_does(
    compose: dict[str, Any], unit: dict[str, list[str]]
) -> None:
    from dxtree.service import ServiceSettings

    needed = ServiceSettings().shutdown_seconds + 10
    assert int(compose["services"]["dxtree"]["stop_grace_period"].rstrip("s")) >= needed
    assert int(unit["TimeoutStopSec"][0]) >= needed


def test_every_option_that_is_given_is_one_of_dxtree_serve(
    compose: dict[str, Any], unit: dict[str, list[str]], container: list[tuple[str, str]]
) -> None:
    known = {f"--{name.replace('_', '-')}" for name in serve.__annotations__}
    told = " ".join([*compose["services"]["dxtree"]["command"], *unit["ExecStart"], str(container)])
    given = set(re.findall(r"--[a-z][a-z-]+", told)) - {"--from", "--no-cache-dir"}
    given -= {name for name in given if name in ("--interval", "--timeout", "--start-period")}
    assert {"--keys", "--behind-proxy", "--host"} <= given <= known


def test_the_proxy_hands_on_what_the_service_asks_for(compose: dict[str, Any]) -> None:
    conf = (FILES / "proxy.conf").read_text("utf-8")
    assert conf.count("{") == conf.count("}")
    assert "proxy_set_header Host $host;" in conf
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in conf  # never what a client says of itself
    assert "access_log off;" in conf
    assert "proxy_pass http://dxtree:8000;" in conf
    mounted = compose["services"]["proxy"]["volumes"][0].split(":")[0]
    assert (FILES / mounted).is_file()


def test_systemd_takes_the_unit_and_finds_it_closed(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("needs systemd-analyze")
    text = (FILES / "dxtree.service").read_text("utf-8").replace("/opt/dxtree/bin/dxtree", sys.executable)
    (tmp_path / "dxtree.service").write_text(text)
    path = str(tmp_path / "dxtree.service")
    checked = subprocess.run([tool, "verify", path], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    judged = subprocess.run(
        [tool, "security", "--offline=yes", "--threshold=20", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout[-300:]


def test_the_unit_reaches_no_other_machine_and_writes_nowhere(unit: dict[str, list[str]]) -> None:
    assert (unit["IPAddressDeny"], unit["IPAddressAllow"]) == (["any"], ["localhost"])
    assert (unit["ProtectSystem"], unit["PrivateTmp"], unit["DynamicUser"]) == (["strict"], ["yes"], ["yes"])
    assert not {"ReadWritePaths", "StateDirectory"} & set(unit)
    assert unit["LimitCORE"] == ["0"]


SEALED = """
set -e
root=$1
mkdir $root/top $root/scratch
mount --rbind / $root/top
mount -o remount,bind,ro $root/top
mount -t tmpfs tmpfs $root/top$root/scratch
ip link set lo up
cd $root/top
touch $root/top$root/made 2> $root/top$root/scratch/refused || true
chroot $root/top env -i HOME=$root/scratch TMPDIR=$root/scratch PATH="$PATH" PYTHONDONTWRITEBYTECODE=1 \
  OMP_NUM_THREADS=1 "$2" -m dxtree serve --models demonstration --port 8000 &
for k in $(seq 300); do
  curl --silent --fail http://127.0.0.1:8000/readyz > /dev/null && break
  sleep 0.1
done
curl --silent --fail-with-body http://127.0.0.1:8000/v1/diagnose --form dermoscopy=@$root/dermoscopy.jpg
kill $!
wait $!
ls -A $root/top$root/scratch >&2
"""
"""In namespaces of its own: no network but loopback, every file read-only, one empty scratch folder."""


def test_it_answers_where_there_is_no_network_and_no_disk_to_write_on(tmp_path: Path) -> None:
    for tool in ("unshare", "ip", "curl", "chroot"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    (tmp_path / "dermoscopy.jpg").write_bytes(dict(make_lesion(7, 3).jpegs)["dermoscopy"])
    space = ["unshare", "--map-root-user", "--mount", "--net"]
    if subprocess.run([*space, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make namespaces")
    done = subprocess.run(
        [*space, "bash", "-c", SEALED, "sealed", str(tmp_path), sys.executable],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "complete"
    assert not (tmp_path / "made").exists()
    assert done.stderr.splitlines()[-1] == "refused"  # nothing but what this test put there
