"""How do the cases of a file become the shards of a folder, whatever ends the process on the way?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import InputError, PathRejected
from core.locking import held
from core.pipeline import Pipeline
from dxtree.audit import AuditTrail
from dxtree.batch.fingerprint import claim, fingerprint
from dxtree.batch.here import fill_here
from dxtree.batch.progress import Progress, Silent
from dxtree.batch.ray_pool import RayPool
from dxtree.batch.recipe import Recipe, ready
from dxtree.batch.recording import Recorder, recorder_of
from dxtree.batch.rows import Block
from dxtree.batch.shards import Shards
from dxtree.batch.stopping import Stop
from dxtree.batch.summary import Summary, summarise
from dxtree.batch.survey import Cases, open_cases, survey


@dataclass(frozen=True)
class Batch:
    """A file of cases, the folder for its answers, and how they are made.

    `root` is the folder that the images lie below, by default the file's. `pool` diagnoses with Ray in place
    of this process. `window` cases are held at a time, `shard_rows` make a shard. `trail` gets a record of
    every diagnosis, which is kept only with that.
    """

    cases: Path
    out: Path
    recipe: Recipe = field(default_factory=Recipe)
    root: Path | None = None
    shard_rows: int = 1000
    window: int = 64
    pool: RayPool | None = None
    trail: AuditTrail | None = None

    def run(self, *, stop: Stop | None = None, progress: Progress | None = None) -> Summary:
        """Does what is not done yet, and sums everything up. Faults of rows are in the summary.

        Raises `InputError` and its like for a file of cases that cannot be used as a whole, or a folder that
        holds another run or began with another trail, and for a trail beside a pool; `AuditError` where the
        trail does not hold or cannot be written; `RunLocked` where a process works in the folder;
        `BundleError` and `PluginError` where a model cannot be used; `OutOfSpace`; `MissingExtra` without
        Ray; `Interrupted` where `stop` says so.
        """
        if self.window < 1:
            raise InputError(f"a window of {self.window} cases cannot be; give 1 or more")
        if self.out.exists() and not self.out.is_dir():
            raise PathRejected(f"{self.out.name} is a file; name a folder")
        if self.pool is not None:
            if self.trail is not None:
                raise InputError("an audit trail is written by one machine: run without Ray")
            self.pool.check()
        pipeline = self.recipe.pipeline()
        found = survey(open_cases(self.cases, self.root, frozenset(pipeline.models)), self.shard_rows)
        with held(self.out, "diagnoses"):
            return self._run(found, pipeline, stop or Stop(), progress or Silent())

    def _run(self, cases: Cases, pipeline: Pipeline, stop: Stop, progress: Progress) -> Summary:
        shards = Shards(self.out)
        missing = shards.missing(cases.blocks)
        models = ready(pipeline, cases.modalities, many=bool(missing) and self.pool is None)
        claim(
            self.out,
            fingerprint(cases, self.recipe, pipeline, models, shard_rows=self.shard_rows, root=self.root),
        )
        shards.prepare()
        before = sum(len(shards.begun(block)) for block in missing)
        to_do = sum(block.rows for block in missing) - before
        has_answers = bool(before) or len(missing) < len(cases.blocks)
        recorder = recorder_of(self.out, self.trail, has_answers=has_answers, to_do=to_do > 0)
        progress.begin(cases.rows, cases.rows - to_do)
        start = time.perf_counter()
        self._fill(cases, missing, shards, pipeline, models, stop, progress, recorder)
        cases.check_unchanged()
        return summarise(self.out, shards, cases.blocks, done=to_do, seconds=time.perf_counter() - start)

    def _fill(
        self,
        cases: Cases,
        missing: Sequence[Block],
        shards: Shards,
        pipeline: Pipeline,
        models: dict[str, dict[str, str]],
        stop: Stop,
        progress: Progress,
        recorder: Recorder | None,
    ) -> None:
        if not missing:
            return
        if self.pool is not None:
            self.pool.fill(
                cases, missing, self.out, self.recipe, models, root=self.root, stop=stop, progress=progress
            )
            return
        fill_here(
            cases,
            missing,
            shards,
            pipeline,
            window=self.window,
            strict=self.recipe.strict,
            stop=stop,
            progress=progress,
            recorder=recorder,
        )
