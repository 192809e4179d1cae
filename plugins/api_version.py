"""Which plugins fit this version of the hooks? `docs/reference/plugin-api.md` says what a number promises."""

from __future__ import annotations

import re

from core.errors import PluginVersionError

API_VERSION = "1.2"
"""Major and minor version of the hooks, the specs and the protocols of `core` that a plugin meets.

A plugin may state the version it was written for as `DXTREE_API_VERSION`: a major number, or "major.minor".
One that states nothing was written for 1.
"""


def check_version(stated: object) -> None:
    """Raises `PluginVersionError` for another major version, a newer minor one, or what is no version."""
    wanted = _parsed(stated)
    if wanted is None:
        raise PluginVersionError(
            f"DXTREE_API_VERSION is {stated!r}; give a whole number, or a text such as {API_VERSION!r}"
        )
    if wanted > _HERE:
        raise PluginVersionError(
            f"it was written for plugin API {stated}; this is {API_VERSION}: install a newer dxtree, or an "
            "older release of the plugin"
        )
    if wanted[0] < _HERE[0]:
        raise PluginVersionError(
            f"it was written for plugin API {stated}; this is {API_VERSION}: install a newer release of the "
            f"plugin, or a dxtree of API {wanted[0]}"
        )


def _parsed(stated: object) -> tuple[int, int] | None:
    text = str(stated) if isinstance(stated, int | str) and not isinstance(stated, bool) else ""
    match = re.fullmatch(r"(\d{1,4})(?:\.(\d{1,4}))?", text, re.ASCII)
    return (int(match[1]), int(match[2] or 0)) if match else None


_HERE = _parsed(API_VERSION) or (0, 0)
