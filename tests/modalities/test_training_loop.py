"""Does a training that was stopped anywhere end with the weights of one that was not?"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.errors import NonFiniteLoss, RunLocked, TrainingError
from modalities.cnn.preprocess import Preprocessing, default_preprocessing
from modalities.cnn.torch_net import build
from modalities.training import loop, starting
from modalities.training.answering import predict
from modalities.training.checkpoint import checkpoints, load_newest, locked
from modalities.training.config import TrainingConfig
from modalities.training.data import Batch, draw_weights
from modalities.training.descent import rate_at
from modalities.training.loop import TrainingSet, fit

CONFIG = TrainingConfig(
    modality="dermoscopy",
    architecture="shufflenet_v2_x0_5",
    size=32,
    test_size=40,
    epochs=2,
    batch=6,
    checkpoint_seconds=1e-9,
    precision="fp32",
)
STEPS = 8
LABELS = ("benign:nevus", "benign:keratosis", "malignant:melanoma")


class Stopped(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def data(drawn: Callable[..., Any]) -> TrainingSet:
    targets = np.array([k % 3 for k in range(24)], np.int64)
    pixels = [drawn(LABELS[t], k, 64, 64) for k, t in enumerate(targets)]
    return TrainingSet(pixels, targets, draw_weights([LABELS[t] for t in targets], 0.5), 3)


def stop_after(step: int) -> Callable[[dict[str, Any]], None]:
    def report(row: dict[str, Any]) -> None:
        if row["step"] == step:
            raise Stopped

    return report


def ignore(row: dict[str, Any]) -> None:
    """Watches nothing."""


def weights(net: torch.nn.Module) -> dict[str, bytes]:
    return {k: v.numpy().tobytes() for k, v in net.state_dict().items()}


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(data: TrainingSet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The weights of a training that nothing stopped."""
    return weights(fit(data, CONFIG, None, tmp_path_factory.mktemp("whole"), ignore))


def test_every_step_is_reported_and_every_epoch_logged(data: TrainingSet, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    net = fit(data, CONFIG, None, tmp_path, rows.append)
    assert not net.training
    assert [r["step"] for r in rows] == list(range(1, STEPS + 1))
    assert {r["steps"] for r in rows} == {STEPS}
    assert [r["epoch"] for r in rows] == [0] * 4 + [1] * 4
    assert all(np.isfinite(r["loss"]) and r["images_per_second"] > 0 for r in rows)
    assert [(r["step"], r["epoch"]) for r in log(tmp_path)] == [(4, 0), (8, 1)]
    assert [p.name for p in checkpoints(tmp_path)] == ["step-00000008", "step-00000007"]


def test_two_trainings_of_one_recipe_end_alike(
    data: TrainingSet, whole: dict[str, bytes], tmp_path: Path
) -> None:
    assert weights(fit(data, CONFIG, None, tmp_path, ignore)) == whole


def test_another_seed_ends_elsewhere(data: TrainingSet, whole: dict[str, bytes], tmp_path: Path) -> None:
    other = CONFIG.model_copy(update={"seed": 1})
    assert weights(fit(data, other, None, tmp_path, ignore)) != whole


@pytest.mark.parametrize("seconds", [1e-9, 1e9])
def test_stopped_after_every_step_it_ends_with_the_same_weights(
    seconds: float, data: TrainingSet, whole: dict[str, bytes], tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"checkpoint_seconds": seconds})
    for step in range(1, STEPS + 1):
        with pytest.raises(Stopped):
            fit(data, config, None, tmp_path, stop_after(step))
    assert weights(fit(data, config, None, tmp_path, ignore)) == whole


def test_a_net_with_dropout_that_was_stopped_ends_with_the_same_weights(
    data: TrainingSet, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"architecture": "squeezenet1_1"})
    whole = weights(fit(data, config, None, tmp_path / "whole", ignore))
    for step in (3, 5):
        with pytest.raises(Stopped):
            fit(data, config, None, tmp_path / "stopped", stop_after(step))
    assert weights(fit(data, config, None, tmp_path / "stopped", ignore)) == whole


def test_a_finished_training_is_not_trained_again(
    data: TrainingSet, whole: dict[str, bytes], tmp_path: Path
) -> None:
    fit(data, CONFIG, None, tmp_path, ignore)
    rows: list[dict[str, Any]] = []
    assert weights(fit(data, CONFIG, None, tmp_path, rows.append)) == whole
    assert rows == []


def test_resuming_is_said_with_its_step(data: TrainingSet, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        fit(data, CONFIG, None, tmp_path, stop_after(6))
    fit(data, CONFIG, None, tmp_path, ignore)
    assert {"event": "resumed", "step": 5} in log(tmp_path)


def test_a_damaged_newest_checkpoint_is_named_and_the_weights_end_the_same(
    data: TrainingSet, whole: dict[str, bytes], tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        fit(data, CONFIG, None, tmp_path, stop_after(7))
    newest, previous = checkpoints(tmp_path)
    raw = bytearray((newest / "tensors.safetensors").read_bytes())
    raw[len(raw) // 2] ^= 1
    (newest / "tensors.safetensors").write_bytes(bytes(raw))
    assert weights(fit(data, CONFIG, None, tmp_path, ignore)) == whole
    rows = log(tmp_path)
    assert {"event": "damaged checkpoint passed over", "checkpoint": newest.name} in rows
    assert {"event": "resumed", "step": int(previous.name[5:])} in rows


def test_where_all_checkpoints_are_damaged_it_says_so_and_begins_anew(
    data: TrainingSet, whole: dict[str, bytes], tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        fit(data, CONFIG, None, tmp_path, stop_after(7))
    for path in checkpoints(tmp_path):
        (path / "state.json").write_bytes(b"")
    assert weights(fit(data, CONFIG, None, tmp_path, ignore)) == whole
    events = [r for r in log(tmp_path) if "event" in r]
    assert [e["event"] for e in events] == ["damaged checkpoint passed over"] * 2


def test_another_recipe_is_refused_and_the_checkpoint_stays(data: TrainingSet, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        fit(data, CONFIG, None, tmp_path, stop_after(4))
    before = [p.name for p in checkpoints(tmp_path)]
    with pytest.raises(TrainingError, match="holds a run of another configuration"):
        fit(data, CONFIG.model_copy(update={"learning_rate": 2e-3}), None, tmp_path, ignore)
    assert [p.name for p in checkpoints(tmp_path)] == before


def test_a_folder_that_another_process_trains_in_is_refused(data: TrainingSet, tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(RunLocked) as caught:
        fit(data, CONFIG, None, tmp_path, ignore)
    assert caught.value.exit_code == 6
    assert checkpoints(tmp_path) == []


# numbers that are none


def test_a_learning_rate_that_is_far_too_high_ends_with_code_5(data: TrainingSet, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(NonFiniteLoss, match="lower learning_rate") as caught:
        fit(data, config, None, tmp_path, ignore)
    assert caught.value.exit_code == 5
    found, _ = load_newest(tmp_path)
    assert found is None or all(v.isfinite().all() for v in found[0].values())


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint_from_which_it_ends_the_same(
    data: TrainingSet, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = loop.make_batch
    asked: list[int] = []

    def poisoned(*given: Any) -> Batch:
        batch = made(*given)
        asked.append(1)
        return Batch(batch.pixels * np.float32("nan"), batch.targets) if len(asked) == 6 else batch

    with monkeypatch.context() as patch:
        patch.setattr(loop, "make_batch", poisoned)
        with pytest.raises(NonFiniteLoss, match="the loss is not finite at step 5"):
            fit(data, CONFIG, None, tmp_path, ignore)
    assert checkpoints(tmp_path)[0].name == "step-00000005"
    assert weights(fit(data, CONFIG, None, tmp_path, ignore)) == whole


def test_weights_that_are_no_numbers_are_never_saved_although_the_loss_was_one(
    data: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = loop._Run._learn

    def spoilt(self: Any, step: int, batch: Batch) -> float:
        loss = learn(self, step, batch)
        if step == STEPS - 1:
            with torch.no_grad():
                next(self.net.parameters())[0] = torch.inf
        return loss

    monkeypatch.setattr(loop._Run, "_learn", spoilt)
    with pytest.raises(NonFiniteLoss, match=r"conv1\.0\.weight is not finite at step 8"):
        fit(data, CONFIG, None, tmp_path, ignore)
    assert checkpoints(tmp_path)[0].name == "step-00000007"


@pytest.mark.parametrize("fault", [RuntimeError, AssertionError, ValueError])
def test_a_net_that_cannot_take_this_size_says_so(
    fault: type[Exception], data: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wide(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise fault("Wrong image height!\nExpected 224")

    monkeypatch.setattr(starting, "build", lambda *_: Wide())
    with pytest.raises(TrainingError, match=r"6 images of 32 pixels \(Wrong image height! Expected 224\)"):
        fit(data, CONFIG, None, tmp_path, ignore)


# starts, schedules, precision


def test_starting_weights_are_taken_once_and_what_stays_random_is_said(
    data: TrainingSet, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    given = build(CONFIG.architecture, 1000).state_dict()
    save_file({k: v.contiguous() for k, v in given.items()}, tmp_path / "w.safetensors")
    started = fit(data, CONFIG, tmp_path / "w.safetensors", tmp_path / "a", ignore)
    assert log(tmp_path / "a")[0] == {
        "event": "started from weights",
        "random": ["fc.bias", "fc.weight"],
    }
    with pytest.raises(Stopped):
        fit(data, CONFIG, tmp_path / "w.safetensors", tmp_path / "b", stop_after(3))
    (tmp_path / "w.safetensors").unlink()
    resumed = fit(data, CONFIG, tmp_path / "w.safetensors", tmp_path / "b", ignore)
    assert weights(started) == weights(resumed)


def test_one_cycle_rises_for_a_fifth_and_falls_to_nothing() -> None:
    config = CONFIG.model_copy(update={"epochs": 50})
    rates = [rate_at(s, 4, config) for s in range(200)]
    peak = rates.index(max(rates))
    assert peak == 40
    assert rates[peak] == pytest.approx(config.learning_rate)
    assert rates[0] == pytest.approx(0.04 * config.learning_rate)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 1e-3 * config.learning_rate


@pytest.mark.parametrize(("precision", "wanted"), [("fp32", False), ("bf16", True)])
def test_the_precision_that_was_asked_for_is_taken(precision: str, wanted: bool) -> None:
    assert loop.uses_bf16(CONFIG.model_copy(update={"precision": precision})) is wanted


def test_a_resumed_training_keeps_the_precision_it_began_with(
    data: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.model_copy(update={"precision": "auto"})
    monkeypatch.setattr(loop, "uses_bf16", lambda _: True)
    whole = weights(fit(data, config, None, tmp_path / "whole", ignore))
    with pytest.raises(Stopped):
        fit(data, config, None, tmp_path / "moved", stop_after(3))
    monkeypatch.setattr(loop, "uses_bf16", lambda _: False)
    assert weights(fit(data, config, None, tmp_path / "moved", ignore)) == whole


def test_fewer_images_than_a_batch_are_one_step_an_epoch(data: TrainingSet, tmp_path: Path) -> None:
    few = TrainingSet(data.pixels[:4], data.targets[:4], draw_weights(["a"] * 4, 1), 3)
    rows: list[dict[str, Any]] = []
    fit(few, CONFIG, None, tmp_path, rows.append)
    assert [r["step"] for r in rows] == [1, 2]


def test_training_lowers_the_loss(data: TrainingSet, tmp_path: Path) -> None:
    recipe = {"epochs": 40, "batch": 12, "learning_rate": 3e-3, "checkpoint_seconds": 1e9}
    losses: list[float] = []
    fit(data, CONFIG.model_copy(update=recipe), None, tmp_path, lambda row: losses.append(row["loss"]))
    assert np.mean(losses[-6:]) < 0.7 * np.mean(losses[:6])


# prediction


def test_a_net_read_from_a_file_gives_the_bits_of_the_one_that_was_trained(
    data: TrainingSet, tmp_path: Path
) -> None:
    preprocessing = default_preprocessing(CONFIG.architecture, CONFIG.test_size)
    net = fit(data, CONFIG, None, tmp_path, ignore)
    other = build(CONFIG.architecture, 3)
    other.load_state_dict({k: v.contiguous().clone() for k, v in net.state_dict().items()})
    assert np.array_equal(
        predict(net, data.pixels, preprocessing), predict(other, data.pixels, preprocessing)
    )


def test_images_of_any_size_are_predicted_in_order(data: TrainingSet, drawn: Callable[..., Any]) -> None:
    net = build(CONFIG.architecture, 3)
    several = [drawn("benign:nevus", k, 64 + 7 * k, 80) for k in range(5)]
    rows = predict(net, several, Preprocessing(32, 40), batch=2)
    assert rows.shape == (5, 3)
    assert rows.dtype == np.float64
    alone = np.concatenate([predict(net, [p], Preprocessing(32, 40)) for p in several])
    assert np.abs(rows - alone).max() < 1e-5
