"""Which models belong together? A *model set* is a folder of them::

    SET/pipeline.json      manifest: partition, digest of every bundle below, the default fuser
    SET/taxonomy.json      the tree
    SET/partition.json     the training classes
    SET/lesions.json       hashes of the lesions in each part of the split
    SET/<modality>/        one bundle each   SET/fusers/<name>/     one bundle each
    SET/calibrations/<fuser>/<cohort>/       one bundle each, where there are any

The manifest of the set names the digest of each bundle's own manifest, which names the sha256 of each of
its files: no byte can change unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from core.errors import ContractError, ManifestMismatch
from core.manifest import Bundle, read_bundle, write_bundle
from core.partition import Partition
from core.split import Split
from core.taxonomy import Taxonomy

MANIFEST = "pipeline.json"
MODALITY_MANIFEST = "bundle.json"
FUSER_MANIFEST = "fuser.json"
CALIBRATION_MANIFEST = "calibration.json"
FUSERS = "fusers"
CALIBRATIONS = "calibrations"

UNCALIBRATED = "none"
"""In place of a calibration's name: leave the answers as the fuser gives them."""

BundleFiles = tuple[Mapping[str, Any], Mapping[str, bytes]]
"""Manifest and files of a bundle that is to be written."""


@dataclass(frozen=True)
class ModelSet:
    """A model set on disk, checked down to the digests of its bundles' manifests."""

    folder: Path
    bundle: Bundle

    @classmethod
    def open(cls, folder: Path) -> ModelSet:
        """Raises what `read_bundle` raises, and `ContractError` where the folder is no model set."""
        bundle = read_bundle(folder, MANIFEST)
        if bundle.manifest.get("kind") != "models":
            raise ContractError(f"{folder.name!r} is not a model set")
        return cls(folder, bundle)

    @cached_property
    def partition(self) -> Partition:
        """The training classes that every model of the set answers with."""
        try:
            raw = json.loads(self.bundle.files["taxonomy.json"])
            classes = json.loads(self.bundle.files["partition.json"])
        except (KeyError, ValueError) as error:
            raise ContractError("a model set holds taxonomy.json and partition.json") from error
        partition = Partition.from_dict(Taxonomy.from_dict(raw), classes)
        if partition.fingerprint != self.bundle.manifest.get("partition"):
            raise ContractError("partition.json is not the partition that the model set's manifest names")
        return partition

    def part_of(self, lesion: str) -> str | None:
        """The part that a lesion had when the models were trained; `None` for one that they never met.

        The set holds hashes of lesion ids, not the ids.
        """
        return self._parts.get(hashed(lesion))

    @cached_property
    def _parts(self) -> Mapping[str, str]:
        try:
            raw = json.loads(self.bundle.files["lesions.json"])
            return {lesion: part for part, members in raw.items() for lesion in members}
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise ContractError("a model set holds lesions.json: part to hashes of lesion ids") from error

    @property
    def modalities(self) -> Mapping[str, str]:
        """Modality to the digest of its bundle's manifest."""
        return self.bundle.require("modalities", dict)  # type: ignore[no-any-return]

    @property
    def fusers(self) -> Mapping[str, str]:
        """Fitted fuser to the digest of its bundle's manifest."""
        return self.bundle.require("fusers", dict)  # type: ignore[no-any-return]

    @property
    def default_fuser(self) -> str:
        """Name of the fuser that answers unless another is asked for."""
        return self.bundle.require("default_fuser", str)  # type: ignore[no-any-return]

    @property
    def calibrations(self) -> Mapping[str, Mapping[str, str]]:
        """Fuser to its calibrations, each with the digest of its bundle's manifest; empty in older sets."""
        found = self.bundle.manifest.get("calibrations", {})
        if not isinstance(found, dict) or not all(isinstance(names, dict) for names in found.values()):
            raise ContractError("the bundle's manifest needs 'calibrations' as a dict of dicts")
        return found

    @property
    def default_calibration(self) -> str | None:
        """Name of the calibration that is applied unless another is asked for; `None` for none."""
        found = self.bundle.manifest.get("default_calibration")
        if found is not None and not isinstance(found, str):
            raise ContractError("the bundle's manifest needs 'default_calibration' as a text")
        return found

    def modality_bundle(self, name: str) -> Bundle | None:
        """The checked bundle of a modality, or `None` where the set has none of this name."""
        if name not in self.modalities:
            return None
        return self._bundle(self.folder / name, MODALITY_MANIFEST, self.modalities[name])

    def fuser_bundle(self, name: str) -> Bundle | None:
        """The checked bundle of a fitted fuser, or `None` where the set has none of this name."""
        if name not in self.fusers:
            return None
        return self._bundle(self.folder / FUSERS / name, FUSER_MANIFEST, self.fusers[name])

    def calibration_bundle(self, fuser: str, name: str) -> Bundle | None:
        """The checked bundle of a fuser's calibration, or `None` where the set has none of this name."""
        digest = self.calibrations.get(fuser, {}).get(name)
        if digest is None:
            return None
        return self._bundle(self.folder / CALIBRATIONS / fuser / name, CALIBRATION_MANIFEST, digest)

    def contents(self) -> Mapping[str, int]:
        """Bytes of every file, by its path inside the set."""
        files = (p for p in sorted(self.folder.rglob("*")) if p.is_file())
        return {p.relative_to(self.folder).as_posix(): p.stat().st_size for p in files}

    def _bundle(self, folder: Path, manifest: str, digest: str) -> Bundle:
        bundle = read_bundle(folder, manifest)
        if bundle.digest != digest:
            raise ManifestMismatch(f"{folder.name!r} is another bundle than the model set names")
        return bundle


def hashed(lesion: str) -> str:
    """The first 16 hexadecimal digits of a lesion id's sha256."""
    return hashlib.sha256(lesion.encode()).hexdigest()[:16]


def write_model_set(
    folder: Path,
    partition: Partition,
    split: Split,
    *,
    modalities: Mapping[str, Path],
    fusers: Mapping[str, BundleFiles],
    default_fuser: str,
    about: Mapping[str, Any],
    texts: Mapping[str, bytes],
    calibrations: Mapping[str, Mapping[str, BundleFiles]] | None = None,
    default_calibration: str | None = None,
) -> ModelSet:
    """Copies modality bundles, writes fusers and the manifest that holds them together, and opens the set.

    `about` enters the manifest (name, licence, demonstration ...), `texts` are files such as the card;
    `calibrations` are by fuser and name. Raises `ContractError` for a name that is no folder's, and where
    the default fuser has no calibration of the default name.
    """
    calibrated = calibrations or {}
    _check_calibrations(calibrated, default_fuser, default_calibration)
    for name, source in modalities.items():
        bundle = read_bundle(source, MODALITY_MANIFEST)
        target = folder / name
        if target.resolve() != source.resolve():
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            for file in (MODALITY_MANIFEST, *bundle.files):
                shutil.copyfile(source / file, target / file)
    shutil.rmtree(folder / FUSERS, ignore_errors=True)
    for name, (manifest, files) in fusers.items():
        write_bundle(folder / FUSERS / name, FUSER_MANIFEST, manifest, files)
    digests = _write_calibrations(folder / CALIBRATIONS, calibrated)
    document = {
        "kind": "models",
        **about,
        "taxonomy": partition.taxonomy.name,
        "partition": partition.fingerprint,
        "modalities": {m: read_bundle(folder / m, MODALITY_MANIFEST).digest for m in sorted(modalities)},
        "fusers": {f: read_bundle(folder / FUSERS / f, FUSER_MANIFEST).digest for f in sorted(fusers)},
        "default_fuser": default_fuser,
        **({"calibrations": digests} if digests else {}),
        **({"default_calibration": default_calibration} if default_calibration else {}),
    }
    files = {
        "taxonomy.json": partition.taxonomy.to_json().encode(),
        "partition.json": json.dumps(partition.to_dict(), indent=1, ensure_ascii=False).encode(),
        "lesions.json": _parts_json(split),
        **texts,
    }
    # A card of the set that stood here before speaks of other models.
    for old in (p for p in folder.glob("*") if p.is_file() and p.name not in files):
        old.unlink()
    write_bundle(folder, MANIFEST, document, files)
    return ModelSet.open(folder)


def _check_calibrations(
    calibrations: Mapping[str, Mapping[str, BundleFiles]], default_fuser: str, default: str | None
) -> None:
    for name in (name for names in calibrations.values() for name in names):
        if Path(name).name != name or not name.strip(".") or name == UNCALIBRATED:
            raise ContractError(f"a calibration cannot be called {name!r}; it names a folder")
    if default is not None and default not in calibrations.get(default_fuser, {}):
        raise ContractError(f"the default fuser {default_fuser!r} has no calibration {default!r}")


def _write_calibrations(
    folder: Path, calibrations: Mapping[str, Mapping[str, BundleFiles]]
) -> dict[str, dict[str, str]]:
    """Writes every bundle in place of what stood there; gives their digests."""
    shutil.rmtree(folder, ignore_errors=True)
    digests: dict[str, dict[str, str]] = {}
    for fuser, names in sorted(calibrations.items()):
        for name, (manifest, files) in sorted(names.items()):
            target = folder / fuser / name
            write_bundle(target, CALIBRATION_MANIFEST, manifest, files)
            digests.setdefault(fuser, {})[name] = read_bundle(target, CALIBRATION_MANIFEST).digest
    return digests


def _parts_json(split: Split) -> bytes:
    parts: dict[str, list[str]] = defaultdict(list)
    for lesion, part in split.part.items():
        parts[part].append(hashed(lesion))
    return json.dumps({part: sorted(members) for part, members in sorted(parts.items())}).encode()
