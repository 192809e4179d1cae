"""What do many cases get? One outcome each, in order: a diagnosis, or the fault that stood in its way.

The models run in a few threads, as many as there are cores; fusion, the tree and the observers run in the
caller's thread, in order. Cases are drawn from their iterable in the caller's thread as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from core.beside import side_by_side
from core.case import Case
from core.cores import usable_cores
from core.diagnosis import Diagnosis
from core.errors import ContractError, DxtreeError, InputError
from core.gathering import Gathered, gather
from core.pipeline import Pipeline

Pending = tuple[Case, Future[Gathered]]


@dataclass(frozen=True)
class Outcome:
    """What became of one case: exactly one of `diagnosis` and `error`, or `ContractError`."""

    case_id: str
    diagnosis: Diagnosis | None = None
    error: DxtreeError | None = None

    def __post_init__(self) -> None:
        if (self.diagnosis is None) == (self.error is None):
            raise ContractError("an outcome holds either a diagnosis or an error")


def outcomes(
    cases: Iterable[Case], pipeline: Pipeline, *, window: int = 64, strict: bool = False
) -> Iterator[Outcome]:
    """One outcome a case, in the order of `cases`; see `core.diagnose_many`."""
    if not isinstance(window, int) or isinstance(window, bool) or window < 1:
        raise InputError(f"window is {window!r}; give a whole number of cases above zero")
    return _stream(iter(cases), pipeline, window, strict)


def _stream(cases: Iterator[Case], pipeline: Pipeline, window: int, strict: bool) -> Iterator[Outcome]:
    threads = min(usable_cores(), window)
    models = side_by_side(pipeline.models, threads)
    pending: deque[Pending] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="dxtree-many")
    drawn = _Drawn(cases)
    try:
        while True:
            # One case at least is drawn for every outcome, so that the threads never run dry while the
            # caller works; no more than needed, so that a slow source does not hold finished answers back.
            while len(pending) < window and (case := drawn.next()) is not None:
                work = pool.submit(
                    gather, case, models, pipeline.partition, strict=strict, gate=pipeline.gate
                )
                pending.append((case, work))
                if pending[0][1].done():
                    break
            if not pending:
                break
            yield _outcome(pipeline, *pending.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if drawn.fault is not None:
        raise drawn.fault


class _Drawn:
    """The cases of an iterator, until it ends or fails. What it raised is kept for the end of the stream."""

    def __init__(self, cases: Iterator[Case]) -> None:
        self._cases = cases
        self._over = False
        self.fault: Exception | None = None

    def next(self) -> Case | None:
        if self._over:
            return None
        try:
            case = next(self._cases)
            if not isinstance(case, Case):
                raise InputError(f"cases hold a {type(case).__name__}; give core.Case alone")
            return case
        except StopIteration:
            pass
        except Exception as error:  # the caller's iterable may raise anything
            self.fault = error
        self._over = True
        return None


def _outcome(pipeline: Pipeline, case: Case, work: Future[Gathered]) -> Outcome:
    try:
        return Outcome(case.id, diagnosis=pipeline.conclude(case, work.result()))
    except DxtreeError as error:
        return Outcome(case.id, error=error)
