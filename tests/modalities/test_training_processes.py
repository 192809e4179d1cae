"""Do two processes that torchrun started train the net that one alone trains, and does one of them write?"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import distributed, nn

from core.errors import TrainingError
from dxtree.cohorts.reading import read_cohorts
from modalities.cnn.preprocess import default_preprocessing
from modalities.cnn.torch_net import build
from modalities.training import processes
from modalities.training.checkpoint import checkpoints
from modalities.training.config import TrainingConfig
from modalities.training.data import draw_weights
from modalities.training.evidence import read_evidence
from modalities.training.loop import TrainingSet, _Run
from modalities.training.processes import ALONE, Processes, join
from modalities.training.run import open_run, read_data
from plugins.assembly import load_registry

LABELS = ("benign:nevus", "benign:keratosis", "malignant:melanoma")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
PATIENCE = 300
"""Seconds after which a command counts as hanging."""

# Behind conv5 this net has neither batch norm nor dropout, which would see half a batch each. SGD: the first
# steps of an adaptive optimizer turn a gradient's rounding errors into whole steps.
EXACT = [
    *("--architecture", "shufflenet_v2_x0_5", "--size", "32", "--test-size", "40", "--epochs", "2"),
    *("--batch", "6", "--learning-rate", "0.05", "--set", "optimizer=sgd", "--set", "frozen=conv5"),
    *("--set", "views=2", "--max-size", "9", "--folds", "2", "--precision", "fp32", "--threads", "1"),
]
WHOLE = [
    *("--architecture", "shufflenet_v2_x0_5", "--size", "32", "--test-size", "40", "--epochs", "2"),
    *("--batch", "8", "--set", "accumulate=2", "--set", "ema=0.5", "--set", "mixup=0.2", "--max-size", "9"),
    *("--folds", "2", "--target", "final", "--precision", "fp32", "--threads", "1"),
]


@pytest.fixture(scope="module")
def cohort(isic_folder: Callable[[Path, int], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return isic_folder(tmp_path_factory.mktemp("cohort") / "isic", 8)


@pytest.fixture(scope="module")
def start(drawn: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a net whose normalisation has seen lesions: its activations tell them apart."""
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    torch.manual_seed(0)
    net = build("shufflenet_v2_x0_5", 3)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    preprocessing = default_preprocessing("shufflenet_v2_x0_5", 40)
    seen = [preprocessing(drawn(label, k)) for k in range(16) for label in LABELS]
    with torch.no_grad():
        net.train()(torch.from_numpy(np.stack(seen)))
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path)
    return path


def command(cohort: Path, out: Path, *more: str) -> list[str]:
    return ["train", "--modality", "dermoscopy", "--cohort", f"isic={cohort}", "--out", str(out), *more]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=environment(),
    )


def epochs(folder: Path) -> list[tuple[int, int]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(r["step"], r["epoch"]) for r in rows if "epoch" in r]


def test_two_processes_leave_the_run_of_one_written_once(cohort: Path, start: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "alone", tmp_path / "both"
    alone = call("-m", "dxtree", *command(cohort, one, *EXACT, "--weights", str(start)))
    assert alone.returncode == 0, alone.stderr
    both = call(*TORCHRUN, "-m", "dxtree", *command(cohort, two, *EXACT, "--weights", str(start)))
    assert both.returncode == 0, both.stderr
    for name in ("split.json", "run.json", "final/data.json", "fold-0/data.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    for name in ("validation.csv", "fold-0/evidence.csv", "fold-1/evidence.csv"):
        keys, wanted, classes = read_evidence(one / name)
        found = read_evidence(two / name)
        assert (found[0], found[2]) == (keys, classes)
        # Sums of a batch are added in another order: rounding errors of float32, and no more.
        assert np.abs(found[1] - wanted).max() < 1e-4, name
        assert wanted.std(0).min() > 0.1
    before, after = (load_file(f / "final" / "weights.safetensors") for f in (one, two))
    assert all(torch.equal(v, after[k]) for k, v in before.items() if not k.startswith("fc"))
    assert (before["fc.weight"] - after["fc.weight"]).abs().max() < 1e-5
    assert (before["fc.weight"] - load_file(start)["fc.weight"]).abs().max() > 1e-2
    # Process 0 alone writes, shows progress and says where the bundle is.
    assert sorted(p.relative_to(one) for p in one.rglob("*")) == sorted(
        p.relative_to(two) for p in two.rglob("*")
    )
    assert [p.parent.name for p in two.rglob("bundle.json")] == ["bundle"]
    assert both.stderr.count(f"{two / 'bundle'} (") == 1
    assert both.stderr.count("dermoscopy images, ") == 1
    assert epochs(two / "final") == epochs(one / "final")
    assert [epoch for _, epoch in epochs(two / "final")] == [0, 1]


def test_two_processes_train_a_whole_net_with_parts_average_and_mixup(cohort: Path, tmp_path: Path) -> None:
    ran = call(*TORCHRUN, "-m", "dxtree", *command(cohort, tmp_path / "run", *WHOLE))
    assert ran.returncode == 0, ran.stderr
    steps = read_data(tmp_path / "run" / "final")["images"] // 8
    assert epochs(tmp_path / "run" / "final") == [(steps, 0), (2 * steps, 1)]
    registry = load_registry()
    tree = registry.taxonomies.get("isic_diagnosis").load()
    run = open_run(tmp_path / "run", tree, read_cohorts(registry, [f"isic={cohort}"], tree))
    assert run.is_finished("final")
    _, rows, _ = read_evidence(tmp_path / "run" / "validation.csv")
    assert np.isfinite(rows).all()
    net = run.finished("final")
    assert net is not None
    newest = load_file(checkpoints(tmp_path / "run" / "final")[0] / "tensors.safetensors")
    averaged = {
        k.removeprefix("average/module."): v for k, v in newest.items() if k.startswith("average/module")
    }
    assert all(torch.equal(v, averaged[k]) for k, v in net.state_dict().items())


def test_a_batch_that_does_not_fall_into_the_processes_ends_all_of_them_with_4(
    cohort: Path, tmp_path: Path
) -> None:
    """Started as torchrun does it, so that each one's own end is seen."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    odd = command(cohort, tmp_path / "run", *EXACT, "--batch", "7", "--set", "frozen=null")
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "dxtree", *odd],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(
                RANK=str(rank),
                LOCAL_RANK=str(rank),
                WORLD_SIZE="2",
                MASTER_ADDR="127.0.0.1",
                MASTER_PORT=port,
            ),
        )
        for rank in range(2)
    ]
    try:
        ended = [process.communicate(timeout=PATIENCE)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [4, 4], ended
    for text in ended:
        assert "error: batch 7 does not fall into 2 processes of 1 part(s) each; choose a multiple" in text
        assert "Traceback" not in text
    assert not list((tmp_path / "run").rglob("step-*"))


# one process, taken for one of several


@pytest.fixture
def data(drawn: Callable[..., Any]) -> TrainingSet:
    pixels = [drawn("benign:nevus", k, 64, 64) for k in range(24)]
    return TrainingSet(pixels, np.arange(24, dtype=np.int64), draw_weights(["a"] * 24, 1), 24)


CONFIG = TrainingConfig(
    modality="dermoscopy",
    architecture="shufflenet_v2_x0_5",
    size=32,
    test_size=40,
    epochs=1,
    batch=12,
    precision="fp32",
)


def ignore(row: dict[str, Any]) -> None:
    """Watches nothing."""


@pytest.mark.parametrize("size", [2, 3, 4])
def test_the_processes_share_every_batch_and_leave_no_image_out(
    size: int, data: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Processes, "wrap", lambda _, net: net)
    whole = _Run(data, CONFIG, None, tmp_path / "whole", ignore)
    parts = [
        _Run(data, CONFIG, None, tmp_path / str(rank), ignore, Processes(rank, size)) for rank in range(size)
    ]
    for step in range(whole.steps):
        wanted = whole._batch(step)
        batches = [part._batch(step) for part in parts]
        assert {len(batch.targets) for batch in batches} == {12 // size}
        found = {int(t): p for b in batches for t, p in zip(b.targets, b.pixels, strict=True)}
        assert sorted(found) == sorted(wanted.targets.tolist())
        for target, picture in zip(wanted.targets.tolist(), wanted.pixels, strict=True):
            assert np.array_equal(found[target], picture), "augmented as one process would"


@pytest.mark.parametrize(
    ("size", "accumulate", "fits"), [(2, 3, True), (3, 2, True), (5, 1, False), (2, 4, False)]
)
def test_a_batch_falls_into_processes_and_parts_or_is_refused(
    size: int, accumulate: int, fits: bool, data: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Processes, "wrap", lambda _, net: net)
    config = CONFIG.model_copy(update={"accumulate": accumulate})
    if fits:
        _Run(data, config, None, tmp_path, ignore, Processes(1, size))
        return
    with pytest.raises(
        TrainingError, match=f"batch 12 does not fall into {size} processes of {accumulate} part"
    ):
        _Run(data, config, None, tmp_path, ignore, Processes(1, size))


def test_a_process_that_does_not_write_writes_nothing(
    data: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Processes, "wrap", lambda _, net: net)
    run = _Run(data, CONFIG, None, tmp_path / "run", ignore, Processes(1, 2))
    assert isinstance(run.finish(), nn.Module)
    assert run.step == 2
    assert not (tmp_path / "run").exists()


def test_without_torchrun_a_process_is_alone_and_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join() == ALONE == Processes(0, 1)
    assert ALONE.writes
    ALONE.wait()
    net = nn.Linear(1, 1)
    assert ALONE.wrap(net) is net
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert join() is ALONE
    assert not Processes(1, 2).writes


def test_the_others_wait_for_hours_while_one_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(distributed, "init_process_group", lambda *_, **options: given.append(options))
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    assert join() == Processes(1, 2)
    assert given[0]["timeout"] > timedelta(hours=12)


@pytest.mark.filterwarnings("ignore")
def test_gradients_travel_once_a_step_however_many_parts_it_has(data: TrainingSet, tmp_path: Path) -> None:
    store = distributed.HashStore()
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        sent: dict[int, int] = {}
        for parts in (1, 3):
            config = CONFIG.model_copy(update={"accumulate": parts})
            run = _Run(data, config, None, tmp_path, ignore, Processes(0, 2))

            def count(_, bucket, parts=parts):  # type: ignore[no-untyped-def]  # torch reads annotations
                sent[parts] = sent.get(parts, 0) + 1
                future: torch.futures.Future[torch.Tensor] = torch.futures.Future()
                future.set_result(bucket.buffer())
                return future

            learner: Any = run.learner
            learner.register_comm_hook(None, count)
            run._learn(0, run._batch(0))
        assert sent[3] == sent[1] > 0
    finally:
        processes.leave()


def test_processes_that_do_not_meet_are_a_training_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TrainingError, match="the processes of torchrun did not meet") as caught:
        join()
    assert caught.value.exit_code == 4
    processes.leave()
