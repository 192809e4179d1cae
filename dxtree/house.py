"""Are the packages that this process would import ours? Other programs own a `core`, too."""

from __future__ import annotations

from importlib.machinery import PathFinder
from pathlib import Path

PACKAGES = ("core", "plugins", "modalities", "fusion")


def check_house() -> None:
    """Raises ImportError naming the path of a foreign package that hides one of ours."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = PathFinder.find_spec(name)
        origin = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        if origin is None or origin.parent.parent != home:
            found = origin or (list(spec.submodule_search_locations or ()) if spec else None)
            raise ImportError(
                f"dxtree needs its own package {name!r} beside {home.name}/dxtree, but Python finds "
                f"{found or 'none'}. Give dxtree an environment of its own, or call it through its "
                "command line"
            )
