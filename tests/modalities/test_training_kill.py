"""Does a run that was killed at random moments end with the very bytes of one that was not?"""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.partition import Partition
from core.split import split_by_component
from modalities.training.config import TrainingConfig
from modalities.training.journal import read
from modalities.training.run import Run

CONFIG = TrainingConfig(
    modality="dermoscopy",
    architecture="shufflenet_v2_x0_5",
    size=32,
    test_size=40,
    epochs=2,
    batch=4,
    balance_level=1,
    checkpoint_seconds=1e-9,
    precision="fp32",
)

# Runs in a process of its own; `run`, a connection and the target's names are given.
CHILD = """
import torch
torch.set_num_threads(1)
for target in run.targets():
    run.train(target, None, lambda row: connection.send(row["step"]))
connection.send("done")
"""


def train(run: Run, patience: random.Random | None) -> str:
    """Trains in a child. With `patience` it is killed at a random moment; says how it ended."""
    context = multiprocessing.get_context("forkserver")
    # Torch is imported once; no thread of it runs before the fork.
    context.set_forkserver_preload(["modalities.training.run"])
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=exec, args=(CHILD, {"run": run, "connection": theirs}), daemon=True)
    child.start()
    theirs.close()
    left = patience.randrange(12) if patience else -1
    try:
        while (heard := ours.recv()) != "done":
            left -= 1
            if patience and left < 0:
                time.sleep(patience.uniform(0, 0.06))
                child.kill()
                child.join()
                return "killed" if child.exitcode == -signal.SIGKILL else "done"
        assert heard == "done"
    except EOFError:
        pass
    child.join(60)
    assert child.exitcode == 0
    return "done"


def contents(folder: Path) -> dict[str, bytes]:
    kept = ("weights.safetensors", "evidence.csv", "validation.csv", "data.json", "run.json", "split.json")
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.name in kept
    }


def epochs(run: Run) -> dict[str, list[tuple[int, int, float]]]:
    """Of each target: step, number and mean loss of every epoch that its log tells of, in its order."""
    logs = {target: read(run.folder / target / "metrics.jsonl") for target in run.targets()}
    return {t: [(r["step"], r["epoch"], r["loss"]) for r in rows if "epoch" in r] for t, rows in logs.items()}


@pytest.fixture
def runs(tmp_path: Path, cells: Partition, lesions: Callable[..., Any]) -> Callable[..., Run]:
    images = tuple(lesions(6, side=64))
    split = split_by_component(images, validation=0.2, folds=2)

    def make(name: str, **changed: Any) -> Run:
        config = TrainingConfig.model_validate({**CONFIG.model_dump(), **changed})
        return Run(tmp_path / name, config, cells, split, images)

    return make


def killed_and_whole(runs: Callable[..., Run], seed: int, kills: int, **changed: Any) -> None:
    whole = runs("whole", **changed)
    assert train(whole, None) == "done"
    wanted, told = contents(whole.folder), epochs(whole)
    assert len(wanted) == 11
    assert all([epoch for _, epoch, _ in rows] == [0, 1] for rows in told.values())
    chance, died, round_ = random.Random(seed), 0, 0
    while died < kills:
        victim = runs(f"victim-{round_}", **changed)
        while died < kills and train(victim, chance) == "killed":
            died += 1
        assert train(victim, None) == "done"
        assert contents(victim.folder) == wanted
        assert epochs(victim) == told
        assert not list(victim.folder.rglob(".step-*"))
        round_ += 1


@pytest.mark.parametrize("seed", [1])
def test_killed_five_times_it_leaves_the_same_bytes(seed: int, runs: Callable[..., Run]) -> None:
    killed_and_whole(runs, seed, 5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_killed_fifty_times_it_leaves_the_same_bytes(seed: int, runs: Callable[..., Run]) -> None:
    killed_and_whole(runs, seed, 10)


RECIPES = {
    "averaged and mixed": {"ema": 0.9, "mixup": 0.4},
    "frozen as well": {"ema": 0.9, "mixup": 0.4, "frozen": "stage2", "views": 2, "accumulate": 2},
}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_killed_twenty_times_with_an_average_and_mixup_it_leaves_the_same_bytes(
    recipe: str, runs: Callable[..., Run]
) -> None:
    killed_and_whole(runs, 7, 10, **RECIPES[recipe])
