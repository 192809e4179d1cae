"""Is a bundle refused, before any parser sees it, wherever a byte differs from what its maker wrote?"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil

import pytest

import core.manifest
from core.errors import BundleError, ContractError, ManifestMismatch, UnsafeFormat
from core.manifest import FORMAT, UNSAFE, read_bundle, write_bundle

NAME = "bundle.json"
FILES = {
    "weights.safetensors": bytes(range(256)) * 40,
    "classes.json": b'["a", "b"]\n',
    "card.md": b"# Card\n",
}


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    write_bundle(folder, NAME, {"modality": "photo", "labels": ["ä", "b"], "temperature": 1.25}, FILES)
    return folder


def forge(folder, change):
    """Rewrites the manifest as one who knows how: with the digest that its own content asks for."""
    document = json.loads((folder / NAME).read_bytes())
    change(document)
    document["sha256"] = "0" * 64
    blank = json.dumps(document)
    digest = hashlib.sha256(blank.encode()).hexdigest()
    (folder / NAME).write_text(blank.replace("0" * 64, digest))


def test_what_is_written_is_read(bundle):
    found = read_bundle(bundle, NAME)
    assert found.files == FILES
    assert found.manifest["labels"] == ["ä", "b"]
    assert found.manifest["format"] == FORMAT
    assert found.manifest["files"] == {n: hashlib.sha256(b).hexdigest() for n, b in FILES.items()}
    assert found.digest == hashlib.sha256((bundle / NAME).read_bytes()).hexdigest()


def test_the_same_content_gives_the_same_bytes(bundle, tmp_path):
    again = dict(reversed(FILES.items()))
    write_bundle(
        tmp_path / "b", NAME, {"modality": "photo", "labels": ["ä", "b"], "temperature": 1.25}, again
    )
    assert (tmp_path / "b" / NAME).read_bytes() == (bundle / NAME).read_bytes()


def test_a_moved_folder_still_loads(bundle, tmp_path):
    before = read_bundle(bundle, NAME)
    shutil.move(bundle, tmp_path / "elsewhere")
    assert read_bundle(tmp_path / "elsewhere", NAME) == before


def test_a_manifest_that_was_read_can_be_written_again(bundle, tmp_path):
    found = read_bundle(bundle, NAME)
    write_bundle(tmp_path / "b", NAME, found.manifest, found.files)
    assert read_bundle(tmp_path / "b", NAME).digest == found.digest


def test_an_entry_is_required_by_type(bundle):
    found = read_bundle(bundle, NAME)
    assert found.require("temperature", float) == 1.25
    for key, kind in (("temperature", str), ("absent", str)):
        with pytest.raises(ContractError, match=f"needs '{key}' as str"):
            found.require(key, kind)


# --- ML-01: one byte, one page, one end, one file -----------------------------------------------------


@pytest.fixture
def parsers(monkeypatch):
    """Counts every byte string that leaves the check: none may where a bundle is refused."""
    made = []
    real = core.manifest.Bundle
    monkeypatch.setattr(core.manifest, "Bundle", lambda *a: made.append(a) or real(*a))
    return made


def refuse(folder, parsers, *kinds):
    with pytest.raises(kinds or (ManifestMismatch, ContractError)) as caught:
        read_bundle(folder, NAME)
    assert isinstance(caught.value, BundleError)
    assert (caught.value.status, caught.value.exit_code) == (503, 3)
    assert parsers == []


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_in_any_file_is_refused(bundle, parsers, name):
    rng = random.Random(name)
    content = FILES[name]
    for _ in range(60):
        at, bit = rng.randrange(len(content)), rng.randrange(8)
        damaged = bytearray(content)
        damaged[at] ^= 1 << bit
        (bundle / name).write_bytes(damaged)
        refuse(bundle, parsers, ManifestMismatch)
    (bundle / name).write_bytes(content)
    read_bundle(bundle, NAME)


def test_a_flipped_bit_anywhere_in_the_manifest_is_refused(bundle, parsers):
    """A flip in a temperature or a label is still JSON: only the manifest's own digest can tell."""
    content = (bundle / NAME).read_bytes()
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1 << (at % 8)
        (bundle / NAME).write_bytes(damaged)
        refuse(bundle, parsers)


def test_a_letter_of_a_digest_in_the_other_case_is_refused(bundle, parsers):
    content = (bundle / NAME).read_text("utf-8")
    digest = json.loads(content)["sha256"]
    (bundle / NAME).write_text(content.replace(digest, digest.upper()), "utf-8")
    refuse(bundle, parsers, ManifestMismatch)


@pytest.mark.parametrize("name", [*FILES, NAME])
def test_a_truncated_file_is_refused(bundle, parsers, name):
    content = (bundle / name).read_bytes()
    for size in {0, 1, len(content) // 2, len(content) - 1}:
        (bundle / name).write_bytes(content[:size])
        refuse(bundle, parsers)
    (bundle / name).write_bytes(content + b"\n")
    refuse(bundle, parsers)


def test_a_zeroed_page_is_refused(bundle, parsers):
    for start in (0, 4096, 8192):
        damaged = bytearray(FILES["weights.safetensors"])
        damaged[start : start + 4096] = bytes(len(damaged[start : start + 4096]))
        (bundle / "weights.safetensors").write_bytes(damaged)
        refuse(bundle, parsers, ManifestMismatch)


def test_swapped_files_are_refused(bundle, parsers):
    (bundle / "classes.json").write_bytes(FILES["card.md"])
    (bundle / "card.md").write_bytes(FILES["classes.json"])
    refuse(bundle, parsers, ManifestMismatch)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_and_named(bundle, parsers, name):
    (bundle / name).unlink()
    with pytest.raises(ManifestMismatch, match=f"'{name}' of 'bundle' is missing"):
        read_bundle(bundle, NAME)
    (bundle / name).mkdir()
    refuse(bundle, parsers, ManifestMismatch)


def test_a_file_that_is_not_listed_is_refused_and_named(bundle, parsers):
    (bundle / "more.json").write_text("{}")
    with pytest.raises(ManifestMismatch, match=r"holds 'more\.json', which its manifest does not list"):
        read_bundle(bundle, NAME)
    assert parsers == []


def test_the_bytes_that_are_checked_are_the_bytes_that_are_given(bundle):
    """A file that is swapped after the check changes nothing: nobody reads it a second time."""
    found = read_bundle(bundle, NAME)
    (bundle / "classes.json").write_bytes(b"swapped")
    assert found.files["classes.json"] == FILES["classes.json"]


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path, bundle):
    for folder in (tmp_path, tmp_path / "absent", bundle / "card.md"):
        with pytest.raises(BundleError, match="a bundle is the folder that holds it"):
            read_bundle(folder, NAME)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
@pytest.mark.parametrize("name", ["card.md", NAME])
def test_a_pipe_in_the_place_of_a_file_does_not_hang(bundle, parsers, name):
    (bundle / name).unlink()
    os.mkfifo(bundle / name)
    refuse(bundle, parsers, BundleError)


# --- ML-02: formats that run code ---------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [*sorted(UNSAFE), ".PKL", ".Pt"])
def test_a_format_that_runs_code_is_refused_on_disk_in_the_manifest_and_when_written(
    bundle, parsers, suffix, tmp_path
):
    name = f"model{suffix}"
    with pytest.raises(UnsafeFormat, match="can run code when read and are never opened"):
        write_bundle(tmp_path / "b", NAME, {}, {name: b"x"})
    assert not list((tmp_path / "b").iterdir())
    (bundle / name).write_bytes(b"x")
    refuse(bundle, parsers, UnsafeFormat)
    forge(bundle, lambda d: d["files"].update({name: hashlib.sha256(b"x").hexdigest()}))
    refuse(bundle, parsers, UnsafeFormat)


@pytest.mark.parametrize(
    "suffix", [".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt", ".npy", ".npz"]
)
def test_the_usual_endings_of_pickles_are_among_them(suffix):
    assert suffix in UNSAFE


@pytest.mark.parametrize("name", ["model.exe", "noending", ".json", "x.json.gz", "x.py"])
def test_only_listed_endings_are_written(tmp_path, name):
    with pytest.raises(ContractError, match="allowed are"):
        write_bundle(tmp_path / "b", NAME, {}, {name: b"x"})


# --- names that lead elsewhere ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../secret.json", "a/../../secret.json", "/etc/passwd.json", "sub/x.json", "./classes.json", "..", "",
        "a\0.json", "x" * 300 + ".json", "\ud800.json", "classes.json/",
    ],
)  # fmt: skip
def test_a_name_that_leads_out_of_the_folder_or_nowhere_is_refused(bundle, parsers, name, tmp_path):
    (tmp_path / "secret.json").write_bytes(b"x")
    forge(bundle, lambda d: d["files"].update({name: hashlib.sha256(b"x").hexdigest()}))
    refuse(bundle, parsers, BundleError)


@pytest.mark.parametrize("name", ["../x.json", "/x.json", "a/x.json"])
def test_no_file_is_written_outside_the_folder(tmp_path, name):
    with pytest.raises(ContractError):
        write_bundle(tmp_path / "b", NAME, {}, {"good.json": b"x", name: b"x"})
    assert [p.name for p in tmp_path.rglob("*")] == ["b"]


# --- the manifest itself ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [FORMAT + 1, 0, "1", None, 1.5])
def test_another_format_version_is_refused_and_named(bundle, parsers, version):
    forge(bundle, lambda d: d.update(format=version))
    with pytest.raises(ContractError, match=r"has bundle format .*; this version reads 1"):
        read_bundle(bundle, NAME)
    assert parsers == []


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0" * 4096, b"garbage", b"null", b"[]", b"3", b'"x"', b"{}", b'{"files": {}}',
        b'{"format": 1}',
        b'{"format": 1, "files": null}', b'{"format": 1, "files": 7}', b'{"format": 1, "files": "ab"}',
        b"[" * 100_000, b'{"a":' * 100_000, "{}".encode("utf-16"), b"\xff\xfe\x00", b"\x80\x04N.",
        b"9" * 5000,
    ],
)  # fmt: skip
def test_a_manifest_that_is_none_is_a_typed_error(bundle, parsers, content):
    (bundle / NAME).write_bytes(content)
    refuse(bundle, parsers, ContractError)


@pytest.mark.parametrize("digest", [None, 5, "", "0" * 64, "z" * 64, ["x"], "\ud800" * 64])
def test_a_manifest_without_its_own_digest_is_refused(bundle, parsers, digest):
    document = json.loads((bundle / NAME).read_bytes())
    (bundle / NAME).write_text(json.dumps({**document, "sha256": digest}))
    refuse(bundle, parsers, ManifestMismatch)
    del document["sha256"]
    (bundle / NAME).write_text(json.dumps(document))
    refuse(bundle, parsers, ManifestMismatch)


@pytest.mark.parametrize("digest", [None, 5, "", ["x"], {"a": 1}])
def test_a_file_whose_digest_is_none_is_refused(bundle, parsers, digest):
    forge(bundle, lambda d: d["files"].update({"card.md": digest}))
    refuse(bundle, parsers, ManifestMismatch)


def test_a_manifest_never_holds_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_bundle(tmp_path / "b", NAME, {"temperature": float("nan")}, {})
