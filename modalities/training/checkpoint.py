"""How does a run survive kill -9, a full disk and a damaged file?

A checkpoint is a folder of one safetensors file and one JSON file with the sha256 of both. It is written
beside its place, flushed to the disk and renamed, so that it is whole or absent; the two newest are kept.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from core.errors import OutOfSpace
from core.files import FULL, sync_folder, write_whole
from core.locking import held

KEEP = 2

Checkpoint = tuple[dict[str, torch.Tensor], dict[str, Any]]
"""Tensors and state."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder against a second process. Raises `RunLocked` where one holds it already."""
    with held(folder, "trains"):
        yield


@contextmanager
def watching_space(name: str) -> Iterator[None]:
    """Turns the faults of a full disk into `OutOfSpace`."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise OutOfSpace(f"the disk is full; {name} was not written, what was saved is whole") from error
        raise


def save_checkpoint(folder: Path, step: int, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
    """Writes checkpoint `step` and drops all but the newest two up to it.

    The caller holds the folder's lock. A later step than this one was damaged, or this run would have
    gone on from there.
    """
    content = save({k: v.detach().contiguous() for k, v in tensors.items()})
    partial = folder / f".step-{step:08d}"
    final = folder / f"step-{step:08d}"
    for left_by_a_killed_run in folder.glob(".step-*"):
        shutil.rmtree(left_by_a_killed_run, ignore_errors=True)
    document = {"step": step, **state}
    document["sha256"] = _digest(content, document)
    with watching_space(final.name):
        try:
            partial.mkdir(parents=True)
            write_whole(partial / "tensors.safetensors", content)
            write_whole(partial / "state.json", json.dumps(document).encode())
            shutil.rmtree(final, ignore_errors=True)
            partial.rename(final)
            sync_folder(folder)
        except (OSError, OutOfSpace):
            shutil.rmtree(partial, ignore_errors=True)
            raise
    kept = [path for path in checkpoints(folder) if path.name <= final.name][:KEEP]
    for path in set(checkpoints(folder)) - set(kept):
        shutil.rmtree(path)


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints in a folder, newest first."""
    return sorted((p for p in folder.glob("step-*") if p.is_dir()), reverse=True)


def load_newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, if any, and the names of damaged ones passed over."""
    damaged: list[str] = []
    for path in checkpoints(folder):
        try:
            content = (path / "tensors.safetensors").read_bytes()
            state: dict[str, Any] = json.loads((path / "state.json").read_bytes())
            # The checkpoints of the first runs hold the digest of the tensors alone.
            if state.pop("sha256") in (_digest(content, state), hashlib.sha256(content).hexdigest()):
                return (load(content), state), damaged
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
            pass
        damaged.append(path.name)
    return None, damaged


def _digest(content: bytes, state: Mapping[str, Any]) -> str:
    found = hashlib.sha256(content)
    found.update(json.dumps(state, sort_keys=True).encode())
    return found.hexdigest()
