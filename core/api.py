"""How does another program ask for one diagnosis?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache

from core.case import Case
from core.diagnosis import Diagnosis
from core.errors import PluginError
from core.many import Outcome, outcomes
from core.pipeline import Pipeline

GROUP = "dxtree.pipeline"


def diagnose(case: Case, *, pipeline: Pipeline | None = None, strict: bool = False) -> Diagnosis:
    """Diagnoses one lesion.

    Without a pipeline the installed default is loaded, once a process: entry point `default` of group
    `dxtree.pipeline`. Errors are those of `Pipeline.diagnose`, and `PluginError` where no default
    pipeline is installed.
    """
    return (pipeline or default_pipeline()).diagnose(case, strict=strict)


def diagnose_many(
    cases: Iterable[Case], *, pipeline: Pipeline | None = None, window: int = 64, strict: bool = False
) -> Iterator[Outcome]:
    """Diagnoses any number of lesions on all cores, one `Outcome` a case, in the order of `cases`.

    Every diagnosis equals that of `diagnose` to the bit; a case that cannot be diagnosed has its typed
    error in its outcome and stops nothing. It works lazily: at most `window` cases are held at a time, so
    that `cases` may be endless, and a caller who stops early leaves nothing running. What `cases` itself
    raises is raised after the outcomes of all cases before it. Ids may repeat.

    `cases` is read, and fuser and observers are called, in the thread that asks for the next outcome.
    Raises `InputError` for a `window` that is no whole number above zero, and for anything in `cases` that
    is no `Case`; `strict` and the default pipeline are as for `diagnose`.
    """
    return outcomes(cases, pipeline or default_pipeline(), window=window, strict=strict)


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
