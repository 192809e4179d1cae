"""How does another program ask for one diagnosis?"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from core.case import Case
from core.diagnosis import Diagnosis
from core.errors import PluginError
from core.pipeline import Pipeline

GROUP = "dxtree.pipeline"


def diagnose(case: Case, *, pipeline: Pipeline | None = None, strict: bool = False) -> Diagnosis:
    """Diagnoses one lesion.

    Without a pipeline the installed default is loaded, once a process: entry point `default` of group
    `dxtree.pipeline`. Errors are those of `Pipeline.diagnose`, and `PluginError` where no default
    pipeline is installed.
    """
    return (pipeline or default_pipeline()).diagnose(case, strict=strict)


@cache
def default_pipeline() -> Pipeline:
    """The installed default pipeline, loaded at the first call."""
    # Imported here: it takes a quarter of the time that `import core` may take.
    from importlib.metadata import entry_points

    found = entry_points(group=GROUP, name="default")
    if not found:
        raise PluginError(
            f"no entry point 'default' of group {GROUP!r} is installed; install dxtree, or give a pipeline"
        )
    load: Callable[[], Pipeline] = next(iter(found)).load()
    return load()
