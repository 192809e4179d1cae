"""What `dxtree export-phone` refuses before it converts anything."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.errors import CohortError, ContractError, CorruptImage, DxtreeError, PathRejected
from dxtree.cli.main import app

SETS = Path(__file__).parents[2] / "modalities" / "sets"
BUNDLE = SETS / "demonstration" / "dermoscopy"


def refused(*arguments: str | Path) -> BaseException | None:
    done = CliRunner().invoke(app, ["export-phone", *map(str, arguments)])
    assert done.exit_code != 0
    return done.exception


@pytest.fixture
def pictures(tmp_path: Path, as_png, drawn) -> Path:  # type: ignore[no-untyped-def]
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k in range(8):
        (folder / f"{k}.png").write_bytes(as_png(drawn("benign:nevus", k)))
    return folder


def test_without_pictures_nothing_can_be_checked(tmp_path: Path) -> None:
    error = refused(BUNDLE, "--out", tmp_path / "out")
    assert isinstance(error, CohortError)
    assert "--images" in error.safe_message
    assert not (tmp_path / "out").exists()


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    assert isinstance(refused(BUNDLE, "--images", tmp_path, "--out", tmp_path / "out"), CohortError)


def test_an_unknown_precision_is_refused_with_those_that_there_are(tmp_path: Path, pictures: Path) -> None:
    error = refused(BUNDLE, "--images", pictures, "--out", tmp_path / "out", "--precision", "int4")
    assert isinstance(error, ContractError)
    assert "int8-dynamic" in error.safe_message


def test_a_bundle_alone_needs_the_set_with_its_tree(tmp_path: Path, pictures: Path) -> None:
    alone = shutil.copytree(BUNDLE, tmp_path / "alone" / "dermoscopy")
    error = refused(alone, "--images", pictures, "--out", tmp_path / "out")
    assert isinstance(error, ContractError)
    assert "--models" in error.safe_message


def test_a_bundle_of_another_tree_is_refused(tmp_path: Path, pictures: Path) -> None:
    error = refused(BUNDLE, "--models", "default", "--images", pictures, "--out", tmp_path / "out")
    assert isinstance(error, ContractError)
    assert "belong together" in error.safe_message


def test_too_few_pictures_for_int8_are_refused(tmp_path: Path, pictures: Path) -> None:
    error = refused(BUNDLE, "--images", pictures, "--out", tmp_path / "out", "--precision", "int8")
    assert isinstance(error, ContractError)
    assert "at least 16" in error.safe_message


def test_a_picture_that_cannot_be_read_is_an_error_and_never_left_out(tmp_path: Path, pictures: Path) -> None:
    whole = (pictures / "3.png").read_bytes()
    (pictures / "3.png").write_bytes(whole[: len(whole) // 2])
    assert isinstance(refused(BUNDLE, "--images", pictures, "--out", tmp_path / "out"), CorruptImage)


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "out").write_text("")
    error = refused(BUNDLE, "--images", pictures, "--out", tmp_path / "out")
    assert isinstance(error, PathRejected)
    assert isinstance(error, DxtreeError)
