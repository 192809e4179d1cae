"""Is a model on disk what its maker wrote? A folder whose manifest holds the sha256 of every file.

The manifest holds its own sha256 too, taken with 64 zeros in that place. Files are read once: the bytes
that are checked are the bytes that are parsed. No pickle, ever.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BundleError, ContractError, ManifestMismatch, UnsafeFormat

FORMAT = 1
"""Version of the bundle format that this code writes and the newest that it reads."""

UNSAFE = frozenset({".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt", ".npy", ".npz", ".ts"})
"""Endings of formats that run code when read, or may."""

ALLOWED = frozenset({".json", ".safetensors", ".onnx", ".dxc", ".ubj", ".md", ".txt", ".csv"})


OWN_DIGEST = "sha256"
_BLANK = "0" * 64
_MADE = ("format", "files", OWN_DIGEST)


@dataclass(frozen=True)
class Bundle:
    """A checked folder: its manifest, and the bytes of every file it names."""

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]
    digest: str
    """sha256 of the manifest itself: names this exact bundle in an answer's provenance."""

    @property
    def stated(self) -> dict[str, Any]:
        """The manifest without the entries that `write_bundle` makes: what may be written again."""
        return {key: value for key, value in self.manifest.items() if key not in _MADE}

    def require(self, key: str, kind: type) -> Any:
        """An entry of the manifest. Raises `ContractError` where it is absent or of another type."""
        value = self.manifest.get(key)
        if not isinstance(value, kind):
            raise ContractError(f"the bundle's manifest needs {key!r} as {kind.__name__}")
        return value


def write_bundle(folder: Path, name: str, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Writes the files and, last, the manifest `name` with their sha256. The folder is made if absent."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        _check_name(file)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    hashes = {file: hashlib.sha256(content).hexdigest() for file, content in sorted(files.items())}
    document = {"format": FORMAT, **manifest, "files": hashes, OWN_DIGEST: _BLANK}
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    head, _, tail = text.rpartition(_BLANK)
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / name).write_bytes(f"{head}{digest}{tail}".encode())


def read_bundle(folder: Path, name: str) -> Bundle:
    """Reads and checks a folder before any parser sees a byte of it.

    Raises `BundleError` where the folder or a file is missing, `ManifestMismatch` where a byte differs or
    a file is not listed, `UnsafeFormat` for a format that can run code, `ContractError` for a newer
    format version or a manifest that cannot be read.
    """
    raw = _content(folder, name)
    if raw is None:
        raise BundleError(f"no {name} in {folder.name!r}; a bundle is the folder that holds it")
    try:
        manifest = json.loads(raw)
        listed: dict[str, str] = dict(manifest["files"])
        version = manifest["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ContractError(f"{name} in {folder.name!r} cannot be read as a manifest") from error
    if version != FORMAT:
        raise ContractError(f"{folder.name!r} has bundle format {version!r}; this version reads {FORMAT}")
    if not _is_whole(raw, manifest.get(OWN_DIGEST)):
        raise ManifestMismatch(
            f"{name} of {folder.name!r} differs from its own sha256; fetch the bundle again"
        )
    for present in sorted(p.name for p in folder.iterdir() if p.is_file()):
        if present != name and present not in listed:
            _check_name(present)
            raise ManifestMismatch(f"{folder.name!r} holds {present!r}, which its manifest does not list")
    files = {file: _checked(folder, file, digest) for file, digest in listed.items()}
    return Bundle(manifest, files, hashlib.sha256(raw).hexdigest())


def _checked(folder: Path, file: str, digest: str) -> bytes:
    _check_name(file)
    content = _content(folder, file)
    if content is None:
        raise ManifestMismatch(f"{file!r} of {folder.name!r} is missing; fetch the bundle again")
    if hashlib.sha256(content).hexdigest() != digest:
        raise ManifestMismatch(
            f"{file!r} of {folder.name!r} differs from its manifest; fetch the bundle again"
        )
    return content


def _content(folder: Path, file: str) -> bytes | None:
    """The bytes of a regular file; `None` where there is none. Raises `BundleError` where they are locked."""
    path = folder / file
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise BundleError(f"{file!r} of {folder.name!r} cannot be read ({type(error).__name__})") from error


def _is_whole(raw: bytes, digest: object) -> bool:
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        return False
    return hashlib.sha256(raw.replace(digest.encode(), _BLANK.encode())).hexdigest() == digest


def _check_name(file: str) -> None:
    suffix = Path(file).suffix.lower()
    if suffix in UNSAFE:
        raise UnsafeFormat(f"{file!r}: {suffix} files can run code when read and are never opened")
    if Path(file).name != file or suffix not in ALLOWED:
        raise ContractError(f"{file!r} is no file of a bundle; allowed are {', '.join(sorted(ALLOWED))}")
