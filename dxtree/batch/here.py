"""How are the missing shards made on this machine? One after the other, each on all cores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from core.api import diagnose_many
from core.case import Case
from core.diagnosis import Diagnosis
from core.pipeline import Pipeline
from dxtree.batch.lines import is_fault, lines_of
from dxtree.batch.progress import Progress
from dxtree.batch.recording import Recorder
from dxtree.batch.rows import Block
from dxtree.batch.shards import Shards
from dxtree.batch.stopping import Stop
from dxtree.batch.survey import Cases


def fill_here(
    cases: Cases,
    blocks: Sequence[Block],
    shards: Shards,
    pipeline: Pipeline,
    *,
    window: int,
    strict: bool,
    stop: Stop,
    progress: Progress,
    recorder: Recorder | None = None,
) -> None:
    """Diagnoses the blocks and writes their shards, each diagnosis recorded before its line is kept.

    Raises `Interrupted` once the row at hand is finished and the rows before it are kept, `InputError` where
    the file of cases was changed meanwhile, and what `lines_of`, `Shards.write` and the recorder raise.
    """

    def record(row: int, case: Case, diagnosis: Diagnosis) -> None:
        if recorder is not None and stop.number is None:  # else the line is not kept
            recorder.record(row, case, diagnosis)

    many = partial(diagnose_many, pipeline=pipeline, window=window, strict=strict)
    with stop.gently():
        for block in blocks:
            lines = shards.begun(block)
            stream = lines_of(cases.reader, block, many, skip=len(lines), record=record)
            for line in stream:
                if stop.number is not None:
                    # Not kept: a service manager may signal the image decoder as well, whose end then looks
                    # like the image's fault.
                    stream.close()
                    break
                lines.append(line)
                progress.advance(1, int(is_fault(line)))
            cases.check_unchanged()
            if len(lines) == block.rows:
                shards.write(block, lines)
            else:
                shards.begin(block, lines)
            stop.check()
