"""How are the missing shards made by Ray? Ray Data hands one block a task to actors that hold the models.

An actor reads the rows of its block from the file of cases, writes the shard by a rename and answers with
two counts. A shard's bytes depend on nothing but its rows, so a task that Ray runs again changes nothing.
Whatever starts, restarts and schedules is Ray's own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core import errors
from core.beside import side_by_side
from core.case import Case
from core.cores import usable_cores
from core.errors import ContractError, DxtreeError, InputError, MissingExtra, PluginError
from core.many import Outcome
from core.pipeline import Pipeline
from dxtree.batch.lines import is_fault, lines_of
from dxtree.batch.progress import Progress
from dxtree.batch.recipe import Recipe, ready
from dxtree.batch.rows import Block
from dxtree.batch.shards import Shards
from dxtree.batch.stopping import Stop
from dxtree.batch.survey import Cases, digest, open_cases

TRIES = 4
"""Times that a block is begun. Ray restarts actors without end, and some rows might kill each of them."""
STORE_BYTES = 128 << 20
"""Ray's shared memory; nothing but counts goes through it."""


@dataclass(frozen=True)
class Work:
    """What an actor needs. The paths hold on every machine, or it says that they do not."""

    cases: Path
    root: Path | None
    out: Path
    recipe: Recipe
    sha256: str
    modalities: tuple[str, ...]
    models: Mapping[str, Mapping[str, str]]
    """Provenance of the models that the driver loaded; those of an actor must be the same."""
    blocks: Mapping[int, Block]


@dataclass(frozen=True)
class RayPool:
    """Actors of one core each: as many as cores here, or on the cluster at `address`."""

    address: str | None = None
    actors: int | None = None

    def check(self) -> None:
        """Raises `MissingExtra` without Ray."""
        if find_spec("ray") is None:
            raise MissingExtra("the engine ray", "ray")

    def fill(
        self,
        cases: Cases,
        blocks: Sequence[Block],
        out: Path,
        recipe: Recipe,
        models: Mapping[str, Mapping[str, str]],
        *,
        root: Path | None,
        stop: Stop,
        progress: Progress,
    ) -> None:
        """Has the blocks diagnosed and their shards written.

        Raises what an actor could not go on with, `PluginError` where Ray gave up, and `Interrupted`: then
        shards that are being made are dropped.
        """
        work = Work(
            cases=cases.reader.path.absolute(),
            root=None if root is None else root.absolute(),
            out=out.absolute(),
            recipe=recipe.absolute(),
            sha256=cases.sha256,
            modalities=cases.modalities,
            models=models,
            blocks={block.index: block for block in blocks},
        )
        # Signals are taken anew: Ray has handlers of its own.
        with _ray(self.address, self._asked(len(blocks))) as cores, stop.listening():
            for told in self._results(work, min(self._asked(len(blocks)) or cores, len(blocks))):
                if told["code"]:
                    raise _typed(told["code"], told["message"])
                progress.advance(told["rows"], told["faults"])

    def _asked(self, blocks: int) -> int | None:
        return self.actors if self.actors is None else min(self.actors, blocks)

    def _results(self, work: Work, actors: int) -> Iterator[dict[str, Any]]:
        items = [{"index": index} for index in work.blocks]
        try:
            yield from (
                import_module("ray.data")
                .from_items(items, override_num_blocks=len(items))
                .map_batches(
                    ShardMaker,
                    fn_constructor_args=(work,),
                    batch_size=1,
                    concurrency=actors if self.address is None else (1, actors),
                    num_cpus=1,
                )
                .iter_rows()
            )
        except import_module("ray").exceptions.RayError as error:
            raise PluginError(
                f"Ray could not go on ({type(error).__name__}); what was written is whole"
            ) from error


class ShardMaker:
    """One actor: loads the models once, then makes one shard a call."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._fault: DxtreeError | None = None
        try:
            self._open(work)
        except DxtreeError as error:  # answered by the first call, as data: Ray would wrap it
            self._fault = error

    def __call__(self, batch: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        """The counts of the block whose index the batch holds, or the code and message of a fault."""
        rows, faults, fault = 0, 0, self._fault
        if fault is None:
            try:
                rows, faults = self._make(self._work.blocks[int(batch["index"][0])])
            except DxtreeError as error:
                fault = error
        code, message = ("", "") if fault is None else (fault.code, fault.safe_message)
        return {"rows": [rows], "faults": [faults], "code": [code], "message": [message]}

    def _open(self, work: Work) -> None:
        pipeline = work.recipe.pipeline()
        self._reader = open_cases(work.cases, work.root, frozenset(pipeline.models))
        if digest(work.cases) != work.sha256:
            raise InputError("an actor finds another file of cases at the same place; share one file system")
        # One thread an engine, as the other cores have actors of their own.
        self._pipeline = replace(pipeline, models=side_by_side(pipeline.models, usable_cores()))
        if ready(self._pipeline, work.modalities, many=False) != work.models:
            raise ContractError(
                "an actor has other models or engines than this machine; name one --engine ray+NAME"
            )
        self._shards = Shards(work.out)

    def _make(self, block: Block) -> tuple[int, int]:
        if self._shards.tried(block) > TRIES:
            raise PluginError(
                f"{TRIES} actors died at rows {block.first} to {block.first + block.rows - 1}; "
                "look at the machine's memory, or run without Ray"
            )
        one_by_one = partial(outcomes_here, pipeline=self._pipeline, strict=self._work.recipe.strict)
        lines = self._shards.begun(block)
        more = list(lines_of(self._reader, block, one_by_one, skip=len(lines)))
        self._shards.write(block, [*lines, *more])
        return len(more), sum(map(is_fault, more))


def outcomes_here(cases: Iterable[Case], *, pipeline: Pipeline, strict: bool) -> Iterator[Outcome]:
    """One outcome a case in this very thread: an actor has one core."""
    for case in cases:
        try:
            yield Outcome(case.id, diagnosis=pipeline.diagnose(case, strict=strict))
        except DxtreeError as error:
            yield Outcome(case.id, error=error)


@contextmanager
def _ray(address: str | None, actors: int | None) -> Iterator[int]:
    """Ray, quiet and without reports to anybody, ended with the block. Gives the number of its cores."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Ray's own settings
        ray: Any = import_module("ray")
        data: Any = import_module("ray.data")
        quiet: dict[str, Any] = {"logging_level": logging.CRITICAL, "log_to_driver": False}
        if address is None:
            ray.init(
                address="local",
                num_cpus=actors or usable_cores(),
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
                **quiet,
            )
        else:
            ray.init(address=address, **quiet)
        try:
            context = data.DataContext.get_current()
            context.enable_progress_bars = False
            logging.getLogger("ray.data").setLevel(logging.CRITICAL)
            yield int(ray.cluster_resources().get("CPU", 1))
        finally:
            ray.shutdown()


def _typed(code: str, message: str) -> DxtreeError:
    """The fault of an actor, which crossed as texts."""
    kind = getattr(errors, code, None)
    if isinstance(kind, type) and issubclass(kind, DxtreeError) and kind is not MissingExtra:
        return kind(message)
    return PluginError(message)
