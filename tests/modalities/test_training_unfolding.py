"""Does a net whose batch norm was folded answer as before, and train as one that was never folded?"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core.errors import TrainingError
from modalities.cnn.preprocess import default_preprocessing
from modalities.training import starting, unfolding
from modalities.training.config import TrainingConfig
from modalities.training.data import draw_weights
from modalities.training.loop import TrainingSet, fit
from modalities.training.starting import starting_net
from modalities.training.unfolding import is_folded, unfold

CONFIG = TrainingConfig(
    modality="dermoscopy",
    architecture="shufflenet_v2_x0_5",
    size=64,
    test_size=64,
    epochs=1,
    batch=8,
    checkpoint_seconds=1e-9,
    precision="fp32",
    unfold_batch_norm=True,
)
NORMS = 56
"""Layers of batch norm in this net."""
LABELS = ("benign:nevus", "benign:keratosis", "malignant:melanoma")


def ignore(row: dict[str, Any]) -> None:
    """Watches nothing."""


def norms(net: nn.Module) -> list[nn.BatchNorm2d]:
    return [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]


def folded(net: nn.Module) -> nn.Module:
    """The same function, every batch norm folded by hand into the convolution before it and a bias."""
    made = copy.deepcopy(net)
    convolution: Any = None
    for layer in made.modules():
        if isinstance(layer, nn.Conv2d):
            convolution = layer
        elif isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            with torch.no_grad():
                scale = layer.weight / (layer.running_var + layer.eps).sqrt()
                convolution.weight.mul_((scale * (1 + layer.eps) ** 0.5)[:, None, None, None])
                layer.bias.sub_(layer.running_mean * scale)
                layer.running_mean.zero_()
                layer.running_var.fill_(1)
                layer.weight.fill_(1)
    return made.eval()


@pytest.fixture(scope="module")
def pixels(drawn: Callable[..., Any]) -> list[Any]:
    return [drawn(LABELS[k % 3], k, 80, 80) for k in range(192)]


@pytest.fixture(scope="module")
def images(pixels: list[Any]) -> torch.Tensor:
    preprocessing = default_preprocessing("shufflenet_v2_x0_5", 64)
    return torch.from_numpy(np.stack([preprocessing(p) for p in pixels]))


@pytest.fixture(scope="module")
def whole(lively: Callable[..., nn.Module], images: torch.Tensor) -> nn.Module:
    """A net whose running statistics are those of drawn lesions, its scales and shifts drawn."""
    net = lively("shufflenet_v2_x0_5", 3, 64)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in norms(net):
            layer.weight.copy_(torch.rand(layer.weight.shape, generator=generator) + 0.5)
            layer.bias.copy_(torch.rand(layer.bias.shape, generator=generator) - 0.5)
        net.train()(images)
    return net.eval()


@pytest.fixture
def net(whole: nn.Module) -> nn.Module:
    return folded(whole)


def answers(net: nn.Module, images: torch.Tensor, *, training: bool = False) -> torch.Tensor:
    """Logits, without moving the running statistics of the net that is asked."""
    with torch.no_grad():
        return copy.deepcopy(net).train(training)(images)


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest difference of logits, relative to their spread."""
    return float((one - other).abs().max() / one.std())


def alike(one: torch.Tensor, other: torch.Tensor) -> float:
    """Correlation of two tables of logits."""
    return float(np.corrcoef(one.flatten(), other.flatten())[0, 1])


def test_folding_by_hand_keeps_the_function_and_leaves_no_norm(
    whole: nn.Module, net: nn.Module, images: torch.Tensor
) -> None:
    assert len(norms(net)) == NORMS
    assert all(map(is_folded, norms(net)))
    assert not any(map(is_folded, norms(whole)))
    assert apart(answers(whole, images), answers(net, images)) < 1e-3


def test_an_unfolded_net_answers_as_before(net: nn.Module, images: torch.Tensor) -> None:
    before = answers(net, images)
    assert unfold(net, images.split(64)) == NORMS
    assert not any(map(is_folded, norms(net)))
    assert (before - answers(net, images)).abs().max() < 1e-4


def test_in_training_mode_an_unfolded_net_answers_like_itself_and_a_folded_one_does_not(
    net: nn.Module, images: torch.Tensor
) -> None:
    measured, others = images[::2], images[1::2]
    wanted = answers(net, others)
    assert abs(alike(wanted, answers(net, others, training=True))) < 0.3
    unfold(net, [measured])
    # On the very images that were measured the statistics of the batch are the running ones.
    assert apart(answers(net, measured), answers(net, measured, training=True)) < 1e-2
    # On others they differ as two samples do, which a drawn net of 56 layers makes much of.
    assert alike(wanted, answers(net, others, training=True)) > 0.6


def test_the_statistics_are_those_of_all_batches_together(net: nn.Module, images: torch.Tensor) -> None:
    other = copy.deepcopy(net)
    unfold(net, [images])
    unfold(other, images.split([5, 3, 90, 94]))
    for one, two in zip(norms(net), norms(other), strict=True):
        assert one.running_mean is not None
        assert two.running_mean is not None
        assert torch.allclose(one.running_mean, two.running_mean, atol=1e-4)
        assert torch.allclose(one.weight, two.weight, rtol=1e-3)
    first = next(iter(norms(net)))
    with torch.no_grad():
        given = net.get_submodule("conv1.0")(images)
    assert first.running_mean is not None
    assert first.running_var is not None
    assert torch.allclose(first.running_mean, given.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(first.running_var, given.var((0, 2, 3), correction=0), rtol=1e-4)


def test_a_layer_that_is_not_folded_is_left_alone(
    whole: nn.Module, net: nn.Module, images: torch.Tensor
) -> None:
    kept = "stage3.1.branch2.1"
    state = whole.get_submodule(kept).state_dict()
    net.get_submodule(kept).load_state_dict(state)
    before = answers(net, images)
    wanted = {k: v.clone() for k, v in state.items()}
    assert unfold(net, [images]) == NORMS - 1
    found = net.get_submodule(kept).state_dict()
    assert all(torch.equal(found[k], v) for k, v in wanted.items())
    assert (before - answers(net, images)).abs().max() < 1e-4


@pytest.mark.parametrize("part", ["running_mean", "running_var", "weight"])
def test_one_channel_that_differs_is_a_norm_that_is_not_folded(part: str) -> None:
    layer = nn.BatchNorm2d(5)
    assert is_folded(layer)
    with torch.no_grad():
        layer.bias.fill_(3)
        assert is_folded(layer)
        getattr(layer, part)[2] += 0.5
    assert not is_folded(layer)


def test_a_layer_of_another_kind_is_not_folded() -> None:
    assert not is_folded(nn.Conv2d(3, 4, 1))
    assert not is_folded(nn.BatchNorm2d(4, track_running_stats=False))


def test_a_net_that_was_never_folded_stays_as_it_is(whole: nn.Module, images: torch.Tensor) -> None:
    net = copy.deepcopy(whole)
    assert unfold(net, [images]) == 0
    assert all(torch.equal(v, net.state_dict()[k]) for k, v in whole.state_dict().items())


def test_without_an_image_nothing_can_be_measured(net: nn.Module) -> None:
    with pytest.raises(TrainingError, match="no image to measure batch norm on"):
        unfold(net, iter(()))


def test_a_net_that_would_answer_otherwise_is_refused(
    net: nn.Module, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = unfolding._measure

    def wrong(*given: Any) -> Any:
        # Means so large that subtracting them leaves nothing of a float32.
        return {layer: (mean + 1e9, variance) for layer, (mean, variance) in measure(*given).items()}

    monkeypatch.setattr(unfolding, "_measure", wrong)
    with pytest.raises(TrainingError, match="un-folding batch norm changed the logits by"):
        unfold(net, [images])


# as a start


@pytest.fixture
def file(net: nn.Module, tmp_path: Path) -> Path:
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, tmp_path / "start.safetensors")
    return tmp_path / "start.safetensors"


def test_a_start_is_unfolded_on_training_images_where_the_recipe_says_so(
    net: nn.Module, file: Path, images: torch.Tensor, pixels: list[Any]
) -> None:
    made, told = starting_net(CONFIG, 3, file, pixels)
    assert told == {"random": [], "unfolded": NORMS}
    assert not any(map(is_folded, norms(made)))
    assert (answers(made, images) - answers(net, images)).abs().max() < 1e-4
    plain, told = starting_net(CONFIG.model_copy(update={"unfold_batch_norm": False}), 3, file, pixels)
    assert told == {"random": []}
    assert all(map(is_folded, norms(plain)))


def test_a_start_is_measured_on_at_most_256_images_spread_over_all(
    file: Path, pixels: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []

    def watch(_: nn.Module, batches: Any) -> int:
        seen.extend(batches)
        return 0

    monkeypatch.setattr(starting, "unfold", watch)
    many = [np.full((64, 64, 3), k % 256, np.uint8) for k in range(1024)]
    starting_net(CONFIG.model_copy(update={"size": 32, "augmentation": "rotation"}), 3, file, many)
    assert [len(batch) for batch in seen] == [32] * 8
    shades = torch.cat(seen).mean((1, 2, 3))
    # Shades rise four times over 1,024 images: so do those of the sample.
    assert int((shades.diff() < -1).sum()) == 3
    seen.clear()
    starting_net(CONFIG, 3, file, pixels)
    assert sum(map(len, seen)) == len(pixels)


def test_a_start_without_images_cannot_be_unfolded(file: Path) -> None:
    with pytest.raises(TrainingError, match="no image to measure batch norm on"):
        starting_net(CONFIG, 3, file, [])


class Stopped(Exception):
    """Stands for whatever ends a process."""


def test_a_run_unfolds_once_says_so_and_ends_with_the_same_weights_where_it_was_stopped(
    file: Path, pixels: list[Any], tmp_path: Path
) -> None:
    targets = np.array([k % 3 for k in range(24)], np.int64)
    data = TrainingSet(pixels[:24], targets, draw_weights([str(t) for t in targets], 1), 3)

    def stop(row: dict[str, Any]) -> None:
        if row["step"] == 2:
            raise Stopped

    whole = fit(data, CONFIG, file, tmp_path / "whole", ignore).state_dict()
    with pytest.raises(Stopped):
        fit(data, CONFIG, file, tmp_path / "stopped", stop)
    again = fit(data, CONFIG, file, tmp_path / "stopped", ignore).state_dict()
    assert all(torch.equal(v, again[k]) for k, v in whole.items())
    log = [json.loads(line) for line in (tmp_path / "stopped" / "metrics.jsonl").read_text().splitlines()]
    assert [r.get("unfolded") for r in log if "event" in r] == [NORMS, None]
