"""A net that is pruned while it learns on: what is kept, what resumes, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from core.errors import NonFiniteLoss, RunLocked, TrainingError
from modalities.compression.pruning import prunable, sparsity_of
from modalities.compression.retraining import PRUNED, compress_net, distilled, without_auxiliary
from modalities.compression.settings import CompressionConfig
from modalities.training.checkpoint import checkpoints, locked
from modalities.training.config import TrainingConfig
from modalities.training.loop import TrainingSet

TRAINING = TrainingConfig(
    modality="dermoscopy", architecture="mobilenet_v2", size=32, test_size=32, batch=4, precision="fp32"
)
CONFIG = CompressionConfig(
    sparsity=0.8, bits=3, pruning_epochs=2, retraining_epochs=1, sharing_epochs=1, every=2, pruning_size=32,
    checkpoint_seconds=1e-9,
)  # fmt: skip
STEPS = 12
"""Of the run: three a pass."""
Row = dict[str, Any]


class Killed(Exception):
    """What stands for a kill between two steps."""


def net_of(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, 2, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, 3),
    ).eval()  # fmt: skip


def images() -> TrainingSet:
    rng = np.random.default_rng(0)
    targets = np.arange(12) % 3
    pixels = [rng.integers(80 * t, 80 * t + 90, (40, 44, 3), dtype=np.uint8) for t in targets]
    return TrainingSet(pixels, targets, np.full(12, 1 / 12), 3)


def run(
    folder: Path,
    config: CompressionConfig = CONFIG,
    report: Callable[[Row], None] = lambda row: None,
    training: TrainingConfig = TRAINING,
) -> nn.Module:
    return compress_net(net_of(), images(), training, config, folder, report)


def same(one: nn.Module, other: nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    """The net of a run that nobody killed."""
    return run(tmp_path_factory.mktemp("whole"))


def test_the_weights_are_sparse_shared_and_what_float16_stores(whole: nn.Module) -> None:
    weights = prunable(whole)
    assert sparsity_of(weights) == pytest.approx(0.8, abs=1e-3)
    for weight in weights.values():
        assert 1 <= len(torch.unique(weight[weight != 0])) <= 8
        assert torch.equal(weight, weight.half().float())
    assert not whole.training


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_run_killed_after_any_step_goes_on_to_the_same_weights(
    step: int, whole: nn.Module, tmp_path: Path
) -> None:
    def kill(row: Row) -> None:
        if row["step"] == step:
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path, report=kill)
    # The report of a step comes before its checkpoint: at most one step is done again.
    seen: list[int] = []
    assert same(run(tmp_path, report=lambda row: seen.append(row["step"])), whole)
    assert seen[:1] == [step]


def test_a_finished_run_is_read_and_not_done_again(whole: nn.Module, tmp_path: Path) -> None:
    run(tmp_path)
    seen: list[Row] = []
    assert same(run(tmp_path, report=seen.append), whole)
    assert seen == []


def test_a_damaged_checkpoint_is_passed_over(whole: nn.Module, tmp_path: Path) -> None:
    run(tmp_path)
    tensors = checkpoints(tmp_path)[0] / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"\x7f")
    assert same(run(tmp_path), whole)
    assert "passed over" in (tmp_path / "metrics.jsonl").read_text("utf-8")


def test_what_is_pruned_stays_zero_through_every_later_step(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    gone: dict[str, torch.Tensor] = {}
    phases: list[str] = []

    def look(row: Row) -> None:
        phases.append(row["phase"])
        found = checkpoints(tmp_path)
        if not found:
            return
        held = load_file(found[0] / "tensors.safetensors")
        for name in ("0.weight", "3.weight", "9.weight"):
            zero = held[f"net/{name}"] == 0
            assert (zero >= gone.get(name, torch.zeros_like(zero))).all()
            gone[name] = zero

    net = run(tmp_path, report=look)
    assert phases == ["prune"] * 6 + ["retrain"] * 3 + ["share"] * 3
    assert all((prunable(net)[name][zero] == 0).all() for name, zero in gone.items())
    pruned = load_file(tmp_path / PRUNED)
    assert all(torch.equal(pruned[name] == 0, zero) for name, zero in gone.items())


def test_the_net_that_is_compressed_is_not_changed(tmp_path: Path) -> None:
    dense, before = net_of(), net_of()
    compress_net(dense, images(), TRAINING, CONFIG, tmp_path, lambda row: None)
    assert same(dense, before)
    assert not dense.training
    assert all(p.grad is None for p in dense.parameters())


def test_without_any_step_the_net_is_pruned_and_shared_at_once(tmp_path: Path) -> None:
    none = CONFIG.model_copy(update={"pruning_epochs": 0, "retraining_epochs": 0, "sharing_epochs": 0})
    net = run(tmp_path, none)
    assert sparsity_of(prunable(net)) == pytest.approx(0.8, abs=1e-3)
    assert max(len(torch.unique(w)) for w in prunable(net).values()) <= 9


@pytest.mark.parametrize(
    "change", [{"ema": 0.0}, {"distillation": 0.0}, {"distillation": 1.0}, {"bits": 1}], ids=str
)
def test_every_choice_ends_in_a_net_that_answers(change: dict[str, Any], tmp_path: Path) -> None:
    net = run(tmp_path, CONFIG.model_copy(update=change))
    assert torch.isfinite(net(torch.zeros(2, 3, 32, 32))).all()
    assert sparsity_of(prunable(net)) == pytest.approx(0.8, abs=1e-3)


def test_heads_that_serve_training_alone_go() -> None:
    net = torchvision.models.googlenet(weights=None, num_classes=3, aux_logits=True, init_weights=False)
    slim = without_auxiliary(net)
    assert not [name for name in slim.state_dict() if name.startswith("aux")]
    assert [name for name in net.state_dict() if name.startswith("aux")]
    assert isinstance(slim.train()(torch.zeros(2, 3, 64, 64)), torch.Tensor)


def test_a_folder_of_another_configuration_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(TrainingError, match="another configuration"):
        run(tmp_path, CONFIG.model_copy(update={"bits": 4}))
    with pytest.raises(TrainingError, match="another configuration"):
        run(tmp_path, training=TRAINING.model_copy(update={"seed": 1}))


def test_a_folder_that_another_process_trains_in_is_refused(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(RunLocked):
        run(tmp_path)


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    wild = CONFIG.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(NonFiniteLoss, match="lower learning_rate"):
        run(tmp_path, wild)


def test_the_journal_tells_sparsity_by_pass_and_never_a_step_twice(tmp_path: Path) -> None:
    def kill(row: Row) -> None:
        if row["step"] == 8:
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path, report=kill)
    run(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text("utf-8").splitlines()]
    told = [r for r in rows if "sparsity" in r]
    assert [r["step"] for r in told] == [3, 6, 9, 12]
    sparse = [r["sparsity"] for r in told]
    assert sparse == sorted(sparse)
    assert sparse[1:] == pytest.approx([0.8] * 3, abs=1e-3)


def test_distillation_is_nothing_for_equal_answers_and_grows_with_the_difference() -> None:
    taught = torch.tensor([[2.0, 0.0, -1.0]])
    assert float(distilled(taught, taught, 2.0)) == pytest.approx(0, abs=1e-7)
    near, far = (float(distilled(taught + torch.tensor([[d, 0, 0]]), taught, 2.0)) for d in (0.5, 2.0))
    assert 0 < near < far
    # By the book: KL(teacher || student) at the temperature, times its square.
    p, q = (torch.softmax(x / 2.0, 1) for x in (taught, taught + torch.tensor([[2.0, 0, 0]])))
    assert far == pytest.approx(4 * float((p * (p / q).log()).sum()), rel=1e-5)
