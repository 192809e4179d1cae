"""How does a run survive kill -9, a full disk and a damaged file?

A checkpoint is a folder of one safetensors file and one JSON file with its sha256. It is written beside its
place, flushed to the disk and renamed, so that it is whole or absent; the two newest are kept.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from core.errors import OutOfSpace, RunLocked

KEEP = 2


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder against a second process. Raises `RunLocked` where one holds it already."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        _lock(file.fileno(), folder)
        yield


def _lock(handle: int, folder: Path) -> None:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            raise RunLocked(
                f"another process trains in {folder.name}; wait for it or choose a folder"
            ) from None
        return
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RunLocked(f"another process trains in {folder.name}; wait for it or choose a folder") from None


def write_atomically(path: Path, content: bytes) -> None:
    """The file holds all of `content` or what it held before. Raises `OutOfSpace` on a full disk."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfSpace(
                f"the disk is full; {path.name} was not written, what was saved is whole"
            ) from error
        raise


def save_checkpoint(folder: Path, step: int, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
    """Writes checkpoint `step` and drops all but the newest two."""
    content = save({k: v.detach().contiguous() for k, v in tensors.items()})
    partial = folder / f".step-{step:08d}"
    final = folder / f"step-{step:08d}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        write_atomically(partial / "tensors.safetensors", content)
        document = {"step": step, "sha256": hashlib.sha256(content).hexdigest(), **state}
        write_atomically(partial / "state.json", json.dumps(document).encode())
    except OutOfSpace:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    _sync_folder(folder)
    for old in checkpoints(folder)[KEEP:]:
        shutil.rmtree(old)


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints in a folder, newest first."""
    return sorted((p for p in folder.glob("step-*") if p.is_dir()), reverse=True)


def load_newest(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any], list[str]] | None:
    """Tensors and state of the newest checkpoint that is whole, and the names of damaged ones passed over."""
    damaged: list[str] = []
    for path in checkpoints(folder):
        try:
            content = (path / "tensors.safetensors").read_bytes()
            state: dict[str, Any] = json.loads((path / "state.json").read_bytes())
            if hashlib.sha256(content).hexdigest() == state["sha256"]:
                return load(content), state, damaged
        except (OSError, ValueError, KeyError):
            pass
        damaged.append(path.name)
    return None


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
