"""Does a step change the weights as the recipe says, and the average as a plain loop over the steps would?"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from modalities.training import loop, starting
from modalities.training.config import TrainingConfig
from modalities.training.data import draw_weights
from modalities.training.descent import make_average, make_optimizer, rate_at
from modalities.training.loop import TrainingSet, fit
from modalities.training.recipe import make_config, read_recipe

CONFIG = TrainingConfig(
    modality="dermoscopy",
    architecture="shufflenet_v2_x0_5",
    size=32,
    test_size=40,
    epochs=2,
    batch=8,
    checkpoint_seconds=1e-9,
    precision="fp32",
)
STEPS = 6
LABELS = ("benign:nevus", "benign:keratosis", "malignant:melanoma")


def config(**changed: Any) -> TrainingConfig:
    return TrainingConfig.model_validate({**CONFIG.model_dump(), **changed})


def ignore(row: dict[str, Any]) -> None:
    """Watches nothing."""


@pytest.fixture(scope="module")
def data(drawn: Callable[..., Any]) -> TrainingSet:
    targets = np.array([k % 3 for k in range(24)], np.int64)
    pixels = [drawn(LABELS[t], k, 64, 64) for k, t in enumerate(targets)]
    return TrainingSet(pixels, targets, draw_weights([LABELS[t] for t in targets], 0.5), 3)


@pytest.fixture
def without_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small net of convolutions without batch norm or dropout."""

    def build(_: str, classes: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 8, 5, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(72, classes)
        )

    monkeypatch.setattr(starting, "build", build)


def begin(data: TrainingSet, folder: Path, report: Any = ignore, **changed: Any) -> loop._Run:
    return loop._Run(data, config(**changed), None, folder, report)


def state(net: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in net.state_dict().items()}


def as_bytes(net: nn.Module) -> dict[str, bytes]:
    return {k: v.numpy().tobytes() for k, v in net.state_dict().items()}


# schedules


def test_the_papers_rate_falls_to_16_hundredths_every_30_epochs_and_at_no_other_step() -> None:
    paper = make_config({**read_recipe("esteva-2017"), "modality": "clinical", "epochs": 100})
    rates = [rate_at(step, 7, paper) for step in range(700)]
    wanted = {0: 1e-3, 1: 1.6e-4, 2: 2.56e-5, 3: 4.096e-6}
    assert rates == pytest.approx([wanted[step // 210] for step in range(700)], rel=1e-12)


def test_stairs_come_where_the_recipe_wants_them() -> None:
    made = config(schedule="staircase", staircase_factor=0.5, staircase_epochs=2, epochs=5, learning_rate=1)
    assert [rate_at(step, 2, made) for step in range(10)] == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_a_cosine_begins_at_the_rate_passes_its_half_and_ends_near_nothing() -> None:
    made = config(schedule="cosine", learning_rate=0.4, epochs=4)
    rates = [rate_at(step, 50, made) for step in range(200)]
    assert [rates[0], rates[50], rates[100], rates[150]] == pytest.approx(
        [0.4, 0.2 + 0.1 * math.sqrt(2), 0.2, 0.2 - 0.1 * math.sqrt(2)]
    )
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 1e-3 * 0.4


def test_a_constant_rate_is_the_same_at_every_step() -> None:
    assert {rate_at(step, 5, config(schedule="constant", learning_rate=3e-4)) for step in range(10)} == {3e-4}


@pytest.mark.usefixtures("without_norm")
@pytest.mark.parametrize("schedule", ["staircase", "cosine", "constant", "one_cycle"])
def test_every_step_is_taken_at_its_own_rate(schedule: str, data: TrainingSet, tmp_path: Path) -> None:
    taken: list[float] = []
    run = begin(
        data,
        tmp_path,
        lambda _: taken.append(run.optimizer.param_groups[0]["lr"]),
        schedule=schedule,
        staircase_epochs=1,
    )
    run.finish()
    assert taken == [rate_at(step, 3, run.config) for step in range(STEPS)]


# optimizers


def test_every_optimizer_carries_the_numbers_of_the_recipe() -> None:
    numbers = {
        "learning_rate": 0.02,
        "weight_decay": 0.03,
        "momentum": 0.7,
        "rms_decay": 0.8,
        "epsilon": 0.4,
    }
    found = {
        name: make_optimizer([nn.Parameter(torch.zeros(1))], config(optimizer=name, **numbers))
        for name in ("adamw", "rmsprop", "sgd")
    }
    assert [type(o).__name__ for o in found.values()] == ["AdamW", "RMSprop", "SGD"]
    groups = {name: made.param_groups[0] for name, made in found.items()}
    assert all((g["lr"], g["weight_decay"]) == (0.02, 0.03) for g in groups.values())
    assert groups["adamw"]["eps"] == groups["rmsprop"]["eps"] == 0.4
    assert groups["adamw"]["betas"] == (0.9, 0.999)
    assert (groups["rmsprop"]["alpha"], groups["rmsprop"]["momentum"]) == (0.8, 0.7)
    assert (groups["rmsprop"]["centered"], groups["sgd"]["nesterov"]) == (False, True)
    assert groups["sgd"]["momentum"] == 0.7


def test_sgd_without_momentum_is_plain() -> None:
    made = make_optimizer([nn.Parameter(torch.zeros(1))], config(optimizer="sgd", momentum=0))
    assert made.param_groups[0]["nesterov"] is False


def test_the_papers_rmsprop_is_the_one_of_its_numbers_with_epsilon_outside_the_root() -> None:
    paper = make_config({**read_recipe("esteva-2017"), "modality": "clinical"})
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = make_optimizer([weight], paper)
    value, square, moved = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    for gradient in ([0.3, -0.1], [2.0, 0.0], [-0.5, 0.02]):
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        square = 0.9 * square + 0.1 * np.square(gradient)
        moved = 0.9 * moved + np.array(gradient) / (np.sqrt(square) + 0.1)
        value = value - 0.001 * moved
        assert weight.detach().numpy() == pytest.approx(value, abs=1e-6)


# the average


@pytest.mark.parametrize("decay", [0.5, 0.9999])
def test_the_average_is_that_of_a_plain_loop_over_weights_and_buffers(decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    average = make_average(net, decay)
    wanted: dict[str, torch.Tensor] = {}
    for step in range(40):
        with torch.no_grad():
            for value in net.state_dict().values():
                if value.is_floating_point():
                    value.copy_(torch.randn(value.shape, generator=generator))
                else:
                    value.fill_(7 * step)
        average.update_parameters(net)
        # TensorFlow's ramp: while there are few steps, their plain mean weighs more than the start.
        share = 1 - min(decay, (1 + step) / (10 + step)) if step else 1.0
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                wanted[name] = wanted.get(name, 0) * (1 - share) + value * share
            else:
                wanted[name] = value.clone()
        found = average.module.state_dict()
        assert {k: v.dtype for k, v in found.items()} == {k: v.dtype for k, v in wanted.items()}
        for name, value in wanted.items():
            assert torch.allclose(found[name], value, atol=1e-6), (step, name)
    assert found["1.num_batches_tracked"].item() == 7 * 39
    assert not torch.allclose(found["1.running_var"], net[1].running_var, atol=1e-2)


def test_the_net_that_is_returned_is_the_average_of_the_weights_of_all_steps(
    data: TrainingSet, tmp_path: Path
) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    run = begin(data, tmp_path, lambda _: seen.append(state(run.net)), ema=0.8)
    net = run.finish()
    assert not net.training
    wanted = seen[0]
    for n, now in enumerate(seen[1:], start=1):
        share = 1 - min(0.8, (1 + n) / (10 + n))
        wanted = {k: v + share * (now[k] - v) if v.is_floating_point() else now[k] for k, v in wanted.items()}
    assert len(seen) == STEPS
    for name, value in net.state_dict().items():
        assert torch.allclose(value, wanted[name], atol=1e-6), name
    assert not torch.allclose(net.state_dict()["fc.weight"], seen[-1]["fc.weight"], atol=1e-5)


def test_averaging_changes_no_step(data: TrainingSet, tmp_path: Path) -> None:
    def last_step(ema: float) -> dict[str, bytes]:
        seen: list[dict[str, bytes]] = []
        run = begin(data, tmp_path / str(ema), lambda _: seen.append(as_bytes(run.net)), ema=ema)
        run.finish()
        return seen[-1]

    assert last_step(0.0) == last_step(0.9)


class Stopped(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop", "sgd"])
def test_stopped_with_average_mixup_and_parts_it_ends_with_the_same_weights(
    optimizer: str, data: TrainingSet, tmp_path: Path
) -> None:
    made = config(ema=0.9, mixup=0.4, accumulate=2, optimizer=optimizer)
    whole = as_bytes(fit(data, made, None, tmp_path / "whole", ignore))

    def stop(at: int) -> Callable[[dict[str, Any]], None]:
        def report(row: dict[str, Any]) -> None:
            if row["step"] == at:
                raise Stopped

        return report

    for step in (1, 2, 5):
        with pytest.raises(Stopped):
            fit(data, made, None, tmp_path / "stopped", stop(step))
    assert as_bytes(fit(data, made, None, tmp_path / "stopped", ignore)) == whole
    # Finished, and read once more from its last checkpoint.
    assert as_bytes(fit(data, made, None, tmp_path / "stopped", ignore)) == whole


# one step


def gradients(run: loop._Run) -> dict[str, torch.Tensor]:
    run._learn(0, run._batch(0))
    return {k: p.grad.clone() for k, p in run.parameters.items() if p.grad is not None}


@pytest.mark.usefixtures("without_norm")
@pytest.mark.parametrize("parts", [2, 4])
def test_a_step_in_parts_has_the_gradient_and_the_loss_of_a_whole_one(
    parts: int, data: TrainingSet, tmp_path: Path
) -> None:
    whole, cut = (begin(data, tmp_path / str(k), accumulate=k) for k in (1, parts))
    assert cut._learn(0, cut._batch(0)) == pytest.approx(whole._learn(0, whole._batch(0)), abs=1e-6)
    whole, cut = (begin(data, tmp_path / str(k), accumulate=k) for k in (1, parts))
    wanted, found = gradients(whole), gradients(cut)
    assert len(wanted) == 4
    for name, gradient in wanted.items():
        assert gradient.abs().max() > 1e-3
        assert (found[name] - gradient).abs().max() < 1e-5, name


@pytest.mark.usefixtures("without_norm")
def test_mixup_learns_of_each_image_and_its_neighbour_by_their_shares(
    data: TrainingSet, tmp_path: Path
) -> None:
    run = begin(data, tmp_path, mixup=1.0, label_smoothing=0.0)
    batch = run._batch(3)
    share, _ = run._mixture(3)
    assert 0.01 < share < 0.99
    images, targets = torch.from_numpy(batch.pixels), torch.from_numpy(batch.targets)
    mixed = torch.stack([share * images[k] + (1 - share) * images[k - 1] for k in range(8)])
    log_p = run.net(mixed).log_softmax(1).detach()
    wanted = [share * log_p[k, targets[k]] + (1 - share) * log_p[k, targets[k - 1]] for k in range(8)]
    assert run._learn(3, batch) == pytest.approx(-float(torch.stack(wanted).mean()), abs=1e-5)


@pytest.mark.usefixtures("without_norm")
def test_shares_of_mixup_are_drawn_anew_each_step_around_one_half(data: TrainingSet, tmp_path: Path) -> None:
    run = begin(data, tmp_path, mixup=0.4)
    shares = [run._mixture(step)[0] for step in range(2000)]
    assert len(set(shares)) == 2000
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    # Of Beta(a, a) the variance is 1 / (4 (2 a + 1)).
    assert np.var(shares) == pytest.approx(1 / 7.2, abs=0.01)
    assert begin(data, tmp_path / "without")._mixture(5) == (1.0, 0)
