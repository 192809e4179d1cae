"""Is a model on disk what its maker wrote? A folder whose manifest holds the sha256 of every file.

Files are read once: the bytes that are checked are the bytes that are parsed. No pickle, ever.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BundleError, ContractError, ManifestMismatch, UnsafeFormat

FORMAT = 1
"""Version of the bundle format that this code writes and the newest that it reads."""

UNSAFE = frozenset({".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt", ".npy", ".npz", ".ts"})
"""Endings of formats that run code when read, or may."""

ALLOWED = frozenset({".json", ".safetensors", ".onnx", ".ubj", ".md", ".txt", ".csv"})


@dataclass(frozen=True)
class Bundle:
    """A checked folder: its manifest, and the bytes of every file it names."""

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]
    digest: str
    """sha256 of the manifest itself: names this exact bundle in an answer's provenance."""

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
    document = {"format": FORMAT, **manifest, "files": hashes}
    (folder / name).write_text(
        json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8"
    )


def read_bundle(folder: Path, name: str) -> Bundle:
    """Reads and checks a folder before any parser sees a byte of it.

    Raises `BundleError` where the folder or a file is missing, `ManifestMismatch` where a byte differs or
    a file is not listed, `UnsafeFormat` for a format that can run code, `ContractError` for a newer
    format version or a manifest that cannot be read.
    """
    path = folder / name
    if not path.is_file():
        raise BundleError(f"no {name} in {folder.name!r}; a bundle is the folder that holds it")
    raw = path.read_bytes()
    try:
        manifest = json.loads(raw)
        listed: dict[str, str] = dict(manifest["files"])
        version = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ContractError(f"{name} in {folder.name!r} cannot be read as a manifest") from error
    if version != FORMAT:
        raise ContractError(f"{folder.name!r} has bundle format {version!r}; this version reads {FORMAT}")
    for present in sorted(p.name for p in folder.iterdir() if p.is_file()):
        if present != name and present not in listed:
            _check_name(present)
            raise ManifestMismatch(f"{folder.name!r} holds {present!r}, which its manifest does not list")
    files = {file: _checked(folder, file, digest) for file, digest in listed.items()}
    return Bundle(manifest, files, hashlib.sha256(raw).hexdigest())


def _checked(folder: Path, file: str, digest: str) -> bytes:
    _check_name(file)
    path = folder / file
    if not path.is_file():
        raise ManifestMismatch(f"{file!r} of {folder.name!r} is missing; fetch the bundle again")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ManifestMismatch(
            f"{file!r} of {folder.name!r} differs from its manifest; fetch the bundle again"
        )
    return content


def _check_name(file: str) -> None:
    suffix = Path(file).suffix.lower()
    if suffix in UNSAFE:
        raise UnsafeFormat(f"{file!r}: {suffix} files can run code when read and are never opened")
    if Path(file).name != file or suffix not in ALLOWED:
        raise ContractError(f"{file!r} is no file of a bundle; allowed are {', '.join(sorted(ALLOWED))}")
