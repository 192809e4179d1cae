"""What does a plugin do when it is imported, loaded and asked? Runs in a process of its own; see `probe`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from plugins import source
from plugins.assembly import load_registry, modality_models
from plugins.config import Settings
from plugins.conformance.samples import samples_of
from plugins.manager import GROUP, PluginManager
from plugins.model_set import ModelSet

_CONNECTIONS = {
    "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname",
    "urllib.Request", "http.client.connect",
}  # fmt: skip
_WRITES = {
    "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate",
    "shutil.copyfile", "shutil.move", "shutil.rmtree", "sqlite3.connect",
}  # fmt: skip
_FREE = {os.devnull, "/dev/shm"}  # noqa: S108 - where memory is shared, not where files are kept


class Watch:
    """Python's audit events while it is on, by their names and at most a file's name."""

    def __init__(self) -> None:
        self.on = False
        self.connections: list[str] = []
        self.writes: list[str] = []
        sys.addaudithook(self._see)

    def _see(self, event: str, given: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in _CONNECTIONS and not _is_local(given):
            self.connections.append(event)
        elif event in _WRITES or (event == "open" and _is_write(*given)):
            place = os.fsdecode(given[0]) if given and isinstance(given[0], str | bytes | os.PathLike) else ""
            if place and "__pycache__" not in place and not any(place.startswith(f) for f in _FREE):
                self.writes.append(Path(place).name)


def main(asked: Mapping[str, Any]) -> None:
    """Prints one line of JSON: what the import took and loaded, and what each modality did."""
    watch = Watch()
    before = {m for m in asked["heavy"] if m in sys.modules}
    start = time.process_time()
    _import(asked["plugin"], asked["file"])
    seconds = time.process_time() - start
    heavy = [m for m in asked["heavy"] if m in sys.modules and m not in before]
    registry = load_registry(Settings(tuple(asked["enabled"])))
    models = ModelSet.open(Path(asked["models"]))
    found = {}
    for name in asked["modalities"]:
        watch.connections, watch.writes = [], []
        found[name] = {**_answered(name, registry, models, watch)}
        found[name] |= {"connections": watch.connections, "writes": watch.writes}
    print(json.dumps({"seconds": seconds, "heavy": heavy, "modalities": found}))  # noqa: T201 - the report


def _import(plugin: str, file: str | None) -> None:
    if file is not None:
        PluginManager().load_file(file)
        return
    for entry in entry_points(group=GROUP):
        if source.of_entry_point(entry).name == plugin:
            entry.load()


def _answered(name: str, registry: Any, models: ModelSet, watch: Watch) -> dict[str, Any]:
    spec = registry.modalities.get(name)
    watch.on = True
    try:
        model = modality_models(registry, models)[name]()
        results = list(model.predict(samples_of(spec)))
        return {"bits": [[float(v).hex() for v in r.probabilities.values] for r in results]}
    except BaseException as error:
        return {"bits": [], "error": f"{type(error).__name__}: {error}"}
    finally:
        watch.on = False


def _is_write(path: object, mode: object, flags: object = 0, *_: object) -> bool:
    if isinstance(path, int):  # a pipe that is open already
        return False
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _is_local(given: tuple[Any, ...]) -> bool:
    # The address of a Unix socket is a path; that of a network's is a tuple.
    return len(given) > 1 and isinstance(given[1], str | bytes) and not isinstance(given[0], str | bytes)
