"""What on this machine would keep dxtree from working, and what should be done about it?"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Literal

from core.errors import DxtreeError
from plugins.assembly import find_model_set
from plugins.registry import Registry

OWN_NAMES = ("core", "plugins", "modalities", "fusion", "dxtree")
NEEDED = ("numpy", "onnxruntime", "pillow", "pluggy", "pydantic", "scikit-learn", "scipy", "typer", "rich")
OPTIONAL = {"torch": "train", "torchvision": "train", "onnx": "train"}


@dataclass(frozen=True)
class Finding:
    """`note` does not stop anything; `broken` does, and the detail says what to do."""

    check: str
    state: Literal["ok", "note", "broken"]
    detail: str


def examine(registry: Registry) -> list[Finding]:
    """Every finding, in the order in which one would look."""
    return [
        Finding("Python", "ok", platform.python_version()),
        *_packages(),
        *_claimed_twice(),
        *_unsafe_environment(),
        *_plugins(registry),
        *_models(registry),
    ]


def _packages() -> Iterator[Finding]:
    for name in NEEDED:
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "broken", "not installed: pip install dxtree")
    for name, extra in OPTIONAL.items():
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(
                name, "note", f"not installed; needed for training only: pip install 'dxtree[{extra}]'"
            )


def _claimed_twice() -> Iterator[Finding]:
    found = packages_distributions()
    # An editable install of ours lists no packages, so that we claim our own names in any case.
    owners = {name: {"dxtree", *found.get(name, ())} for name in OWN_NAMES}
    owners["xgboost"] = set(found.get("xgboost", ()))
    for name, claimed in owners.items():
        if len(claimed) > 1:
            both = " and by ".join(sorted(claimed))
            advice = "keep one of them in this environment, and reinstall it"
            yield Finding(f"package {name}", "broken", f"installed by {both}; {advice}")
    if not any(len(owners[name]) > 1 for name in OWN_NAMES):
        yield Finding("package names", "ok", f"{', '.join(OWN_NAMES)} belong to one distribution each")


def _unsafe_environment() -> Iterator[Finding]:
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        yield Finding(
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "broken", "it lets torch run code from weight files; unset it"
        )


def _plugins(registry: Registry) -> Iterator[Finding]:
    for status in registry.manager.statuses:
        if status.state == "failed":
            yield Finding(
                f"plugin {status.name}", "broken", status.cause.safe_message if status.cause else ""
            )
    working = [s.name for s in registry.manager.statuses if s.state == "ok"]
    yield Finding(
        "plugins", "ok" if working else "broken", ", ".join(working) or "none works; reinstall dxtree"
    )


def _models(registry: Registry) -> Iterator[Finding]:
    for name in registry.model_sets.names():
        try:
            found = find_model_set(registry, name)
            for modality in found.modalities:
                found.modality_bundle(modality)
            for fuser in found.fusers:
                found.fuser_bundle(fuser)
            size = sum(found.contents().values()) / 1e6
            yield Finding(
                f"model set {name}", "ok", f"whole, {size:.1f} MB, {', '.join(sorted(found.modalities))}"
            )
        except DxtreeError as error:
            yield Finding(f"model set {name}", "broken", error.safe_message)
