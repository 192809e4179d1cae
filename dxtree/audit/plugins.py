"""Which version of which plugin had a say? Distributions have versions; a one-file plugin has its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from plugins.manager import PluginManager


def plugin_versions(manager: PluginManager, files: Iterable[Path] = ()) -> dict[str, str]:
    """Name of every working plugin to its distribution and version, or to the sha256 of its file.

    `files` are the one-file plugins that were switched on. What has neither is "unknown".
    """
    by_file = {file.stem: file for file in files}
    return {
        status.name: _version(status.origin, by_file.get(status.name))
        for status in manager.statuses
        if status.state == "ok"
    }


def _version(origin: str, file: Path | None) -> str:
    if file is not None and file.name == origin:
        try:
            return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
        except OSError:
            return "unknown"
    try:
        return f"{origin} {version(origin)}"
    except (PackageNotFoundError, ValueError):
        return "unknown"
