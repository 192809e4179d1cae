"""Do the pages that walk through a plugin run as they stand? Every block is executed, every line compared."""

from __future__ import annotations

import os
import re
import shlex
import site
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"(file|edit)=(\S+)")


@dataclass(frozen=True)
class Shell:
    """A folder, and the interpreter that stands for `python`, `dxtree` and `pip` there."""

    folder: Path
    python: Path

    def run(self, command: str) -> tuple[int, str]:
        program, *rest = shlex.split(command)
        begin = {
            "python": [self.python],
            "dxtree": [self.python, "-m", "dxtree"],
            "pip": [self.python, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir"],
        }[program]
        # What pip would fetch is here already; a test fetches nothing.
        extra = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index"] if program == "pip" else []
        environment = {**os.environ, "COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"}
        command_line = [*map(str, begin), *rest, *extra]
        ran = subprocess.run(
            command_line, cwd=self.folder, capture_output=True, text=True, env=environment, check=False
        )
        return ran.returncode, ran.stdout + (ran.stderr if ran.returncode else "")


def replay(page: Path, shell: Shell) -> int:
    """Runs a page; gives how many commands it had."""
    commands = 0
    for kind, place, text in BLOCK.findall(page.read_text("utf-8")):
        if kind == "python":
            how, name = PLACE.fullmatch(place).groups()  # type: ignore[union-attr]
            target = shell.folder / name
            target.write_text(edited(target.read_text("utf-8"), text) if how == "edit" else text, "utf-8")
            continue
        assert kind == "console"
        for command, expected in conversation(text):
            code, said = shell.run(command)
            wanted = 0
            if expected and (end := re.fullmatch(r"\[exit (\d+)\]", expected[-1])):
                wanted, expected = int(end[1]), expected[:-1]
            assert code == wanted, f"{command} ended with {code}:\n{said}"
            pattern = "".join(
                r"(?:.*\n)*" if line == "..." else re.escape(line) + r" *\n" for line in expected
            )
            assert re.fullmatch(pattern, said), f"{command} said:\n{said}\nand the page says:\n{expected}"
            commands += 1
    return commands


def conversation(text: str) -> Iterator[tuple[str, list[str]]]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *lines = part.splitlines()
        yield command, lines


def edited(source: str, functions: str) -> str:
    """The source with the functions of these names in place of its own."""
    for function in re.split(r"^(?=def )", functions, flags=re.MULTILINE)[1:]:
        name = function[4 : function.index("(")]
        pattern = re.compile(rf"^def {name}\(.*?(?=^\S)", re.MULTILINE | re.DOTALL)
        source, times = pattern.subn(lambda _, text=function: f"{text.rstrip()}\n\n\n", source)
        assert times == 1, name
    return source


@pytest.fixture
def throw_away(tmp_path: Path) -> Shell:
    """An environment of its own that sees what this one has installed."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    (packages,) = (folder / "lib").glob("python*/site-packages")
    ours = {*site.getsitepackages(), str(Path(np.__file__).parents[1])}
    lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(ours)]
    (packages / "ours.pth").write_text("".join(lines), "utf-8")
    work = tmp_path / "work"
    work.mkdir()
    return Shell(work, python)


def test_the_tutorial_adds_a_modality_in_under_100_lines_and_runs_as_it_stands(tmp_path: Path) -> None:
    page = ROOT / "docs/tutorials/modality-plugin.md"
    code = [text for kind, _, text in BLOCK.findall(page.read_text("utf-8")) if kind == "python"]
    assert sum(len(text.splitlines()) for text in code) < 110
    assert len(code[0].splitlines()) < 100
    assert replay(page, Shell(tmp_path, Path(sys.executable))) == 5


@pytest.mark.slow
def test_a_plugin_from_the_template_is_edited_installed_checked_and_used(throw_away: Shell) -> None:
    assert replay(ROOT / "docs/how-to/new-plugin.md", throw_away) == 6
    code, said = throw_away.run("python -m pytest -q -p no:cacheprovider -o addopts= dxtree-woods-lamp/tests")
    assert code == 0, said
    code, said = throw_away.run("dxtree plugins list --json")
    assert code == 0
    assert '"name": "dxtree-woods-lamp:woods_lamp"' in said
