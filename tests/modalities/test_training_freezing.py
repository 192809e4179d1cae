"""Is a net that was cut in two the same net, and what its frozen part gives computed once?"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from core.cohort import LabelledImage
from core.errors import TrainingError
from core.partition import Partition
from core.split import split_by_component
from modalities.cnn.preprocess import default_preprocessing
from modalities.cnn.torch_net import build, logits
from modalities.training import freezing, loop
from modalities.training.answering import predict
from modalities.training.augmentation import augment
from modalities.training.checkpoint import locked
from modalities.training.config import TrainingConfig
from modalities.training.data import read_all
from modalities.training.evidence import read_evidence
from modalities.training.freezing import Activations, check_layer, compute, lower_part, upper_part
from modalities.training.loop import TrainingSet
from modalities.training.processes import ALONE
from modalities.training.run import Run, read_data
from modalities.training.starting import starting_net

CONFIG = TrainingConfig(
    modality="dermoscopy",
    architecture="shufflenet_v2_x0_5",
    frozen="stage3",
    views=3,
    size=32,
    test_size=40,
    epochs=2,
    batch=6,
    balance_level=1,
    checkpoint_seconds=1e-9,
    precision="fp32",
)
CUTS = {
    "mobilenet_v2": ("features.13", 64),
    "resnet18": ("layer3", 64),
    "inception_v3": ("Mixed_6e", 96),
}


def ignore(row: dict[str, Any]) -> None:
    """Watches nothing."""


class Stopped(Exception):
    """Stands for whatever ends a process."""


# the cut


@pytest.fixture(scope="module")
def nets(lively: Callable[..., nn.Module]) -> dict[str, nn.Module]:
    # Inception's auxiliary head needs 299 pixels while the net's statistics are made.
    return {
        name: lively(name, 3, max(size, 299) if "inc" in name else size) for name, (_, size) in CUTS.items()
    }


@pytest.mark.parametrize("architecture", CUTS)
def test_the_parts_one_after_the_other_are_the_net(architecture: str, nets: dict[str, nn.Module]) -> None:
    layer, size = CUTS[architecture]
    net = nets[architecture].eval()
    images = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = logits(net, images)
        between = lower_part(net, layer)(images)
        assert torch.equal(upper_part(net, layer)(between), whole)
        assert torch.equal(net(images), whole), "tracing changes nothing"
    assert whole.std(0).min() > 1e-3
    assert between.ndim == 4


@pytest.mark.parametrize("architecture", CUTS)
def test_every_parameter_lies_in_one_part_and_is_the_nets_own(
    architecture: str, nets: dict[str, nn.Module]
) -> None:
    layer, _ = CUTS[architecture]
    net = nets[architecture].train()
    own, lower, upper = (
        dict(part.named_parameters()) for part in (net, lower_part(net, layer), upper_part(net, layer))
    )
    assert not lower.keys() & upper.keys()
    assert lower.keys() | upper.keys() == own.keys()
    assert all(own[name] is value for part in (lower, upper) for name, value in part.items())
    assert any(name.startswith(layer) for name in lower)


def test_the_auxiliary_head_of_inception_is_there_in_training_mode_alone(nets: dict[str, nn.Module]) -> None:
    net = nets["inception_v3"]
    between = torch.randn(2, 768, 17, 17, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = upper_part(net.train(), "Mixed_6e").train()(between)
        wanted = copy.deepcopy(net.get_submodule("AuxLogits")).train()(between)
        assert isinstance(upper_part(net.eval(), "Mixed_6e")(between), torch.Tensor)
    assert (out.logits.shape, out.aux_logits.shape) == ((2, 3), (2, 3))
    assert torch.equal(out.aux_logits, wanted)


def test_a_frozen_inception_is_tuned_together_with_its_auxiliary_head(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"architecture": "inception_v3", "frozen": "Mixed_6e", "size": 299})
    between = np.random.default_rng(0).normal(size=(6, 1, 768, 17, 17)).astype(np.float16)
    rows = np.arange(6, dtype=np.int64)
    data = TrainingSet([], rows % 3, np.full(6, 1 / 6), 3, None, between, rows)
    run = loop._Run(data, config, None, tmp_path, ignore)
    heads = {name.split(".")[0] for name in run.parameters}
    assert heads == {"AuxLogits", "Mixed_7a", "Mixed_7b", "Mixed_7c", "fc"}
    before = run.parameters["AuxLogits.fc.weight"].detach().clone()
    run._learn(0, run._batch(0))
    assert not torch.equal(before, run.parameters["AuxLogits.fc.weight"])


PASSED = {
    "resnet18": "layer3.0.conv1",
    "mobilenet_v2": "features.3.conv.0",
    "inception_v3": "Mixed_7a",
    "shufflenet_v2_x0_5": "stage3.1.branch2",
}


@pytest.mark.parametrize("architecture", PASSED)
def test_a_layer_that_something_leads_past_is_refused(architecture: str) -> None:
    layer = PASSED[architecture]
    with pytest.raises(TrainingError, match=f"cannot be cut behind '{layer}', something leads past it"):
        check_layer(build(architecture, 3), layer)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        ("stages3", "the net has no layer 'stages3'; did you mean 'stage3'?"),
        ("xyzzy", "the net has no layer 'xyzzy'$"),
        ("", "the net has no layer ''"),
        ("fc", "nothing is left to tune behind 'fc'"),
    ],
)
def test_a_layer_that_cannot_be_the_last_frozen_one_is_named(layer: str, text: str) -> None:
    with pytest.raises(TrainingError, match=text.replace("?", r"\?")):
        check_layer(build("shufflenet_v2_x0_5", 3), layer)


def test_a_layer_that_does_not_run_is_refused(nets: dict[str, nn.Module]) -> None:
    with pytest.raises(TrainingError, match="'AuxLogits' is no layer that runs once"):
        check_layer(nets["inception_v3"].eval(), "AuxLogits")


@pytest.mark.parametrize("layer", ["conv1", "maxpool", "stage2", "stage3", "stage4.2", "conv5"])
def test_a_layer_through_which_everything_goes_is_taken(layer: str) -> None:
    check_layer(build("shufflenet_v2_x0_5", 3), layer)


# runs


@pytest.fixture(scope="module")
def start(drawn: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a net whose normalisation has seen lesions: its activations are of one size."""
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    torch.manual_seed(0)
    net = build(CONFIG.architecture, 3)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    seen = [
        default_preprocessing(CONFIG.architecture, 40)(drawn("benign:nevus", k, 64, 64)) for k in range(48)
    ]
    with torch.no_grad():
        net.train()(torch.from_numpy(np.stack(seen)))
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path)
    return path


def net_of(start: Path) -> nn.Module:
    return starting_net(CONFIG, 3, start, [])[0]


@pytest.fixture
def images(lesions: Callable[..., list[LabelledImage]]) -> tuple[LabelledImage, ...]:
    return tuple(lesions(8, side=64))


@pytest.fixture
def make(tmp_path: Path, cells: Partition, images: tuple[LabelledImage, ...]) -> Callable[..., Run]:
    split = split_by_component(images, validation=0.25, folds=2)

    def run(name: str, **changed: Any) -> Run:
        config = TrainingConfig.model_validate({**CONFIG.model_dump(), **changed})
        return Run(tmp_path / name, config, cells, split, images, tmp_path / "shared")

    return run


def parts_of(net: nn.Module) -> tuple[set[str], set[str]]:
    """Names of tensors of the frozen part, and of parameters of the other."""
    net = net.train()
    frozen = {k for k in net.state_dict() if k.startswith(("conv1", "stage2", "stage3"))}
    return frozen, {k for k, _ in net.named_parameters()} - frozen


def contents(folder: Path) -> dict[str, bytes]:
    kept = ("weights.safetensors", "evidence.csv", "validation.csv", "data.json")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.name in kept}


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_run_leaves_every_bit_of_the_frozen_part_and_changes_all_else(
    ema: float, make: Callable[..., Run], start: Path
) -> None:
    run = make("run", ema=ema)
    run.train("final", start, ignore)
    net = net_of(start)
    frozen, tuned = parts_of(net)
    before, after = net.state_dict(), load_file(run.folder / "final" / "weights.safetensors")
    assert len(frozen) > 100
    assert torch.equal(before["conv1.0.weight"], load_file(start)["conv1.0.weight"])
    assert {k for k in frozen if after[k].numpy().tobytes() != before[k].numpy().tobytes()} == set()
    assert {k for k in tuned if torch.equal(after[k], before[k])} == set()


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """When each file of activations was written last, and its number on the disk."""
    found = [p for p in folder.rglob("*") if p.suffix in (".npy", ".json")]
    return {p.relative_to(folder).as_posix(): (p.stat().st_mtime_ns, p.stat().st_ino) for p in found}


def test_runs_that_share_a_folder_compute_activations_once(
    make: Callable[..., Run], start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[Path] = []
    fill = freezing._fill

    def counted(*given: Any) -> None:
        filled.append(given[5])
        fill(*given)

    monkeypatch.setattr(freezing, "_fill", counted)
    one = make("one")
    one.train("final", start, ignore)
    before = stamps(tmp_path / "shared")
    assert len(before) == 3
    one.train("fold-0", start, ignore)
    # What is behind the cut may differ: rate, loss, epochs, batch, balance.
    other = make("other", learning_rate=1e-2, loss="hierarchical", epochs=1, batch=4, balance_power=1.0)
    other.train("final", start, ignore)
    assert stamps(tmp_path / "shared") == before
    assert len(filled) == 1
    for k, changed in enumerate(({"size": 48}, {"views": 2}, {"seed": 1}, {"augmentation": "rotation"})):
        make(f"changed-{k}", epochs=1, **changed).train("final", start, ignore)
        assert len(filled) == k + 2, changed
    assert {k: v for k, v in stamps(tmp_path / "shared").items() if k in before} == before


def test_another_start_has_activations_of_its_own(
    make: Callable[..., Run], start: Path, tmp_path: Path
) -> None:
    make("one", epochs=1).train("final", start, ignore)
    tensors = load_file(start)
    tensors["conv1.0.weight"][0, 0, 0, 0] += 1e-3
    (tmp_path / "elsewhere").mkdir()
    save_file(tensors, tmp_path / "elsewhere" / start.name)
    make("two", epochs=1).train("final", tmp_path / "elsewhere" / start.name, ignore)
    assert len(list((tmp_path / "shared").iterdir())) == 2
    tensors = load_file(start)
    tensors["fc.weight"][0, 0] += 1
    save_file(tensors, tmp_path / "elsewhere" / "head.safetensors")
    make("three", epochs=1).train("final", tmp_path / "elsewhere" / "head.safetensors", ignore)
    assert len(list((tmp_path / "shared").iterdir())) == 2, "what is tuned decides no activation"


@pytest.mark.parametrize("changed", [{}, {"ema": 0.9, "mixup": 0.3, "accumulate": 2}], ids=["plain", "all"])
def test_stopped_anywhere_a_run_leaves_the_same_bytes(
    changed: dict[str, Any], make: Callable[..., Run], start: Path, tmp_path: Path
) -> None:
    whole = make("whole", **changed)
    whole.train("final", start, ignore)
    (tmp_path / "shared").rename(tmp_path / "shared-whole")
    victim = make("victim", **changed)

    def stop(steps: int) -> Callable[[dict[str, Any]], None]:
        left = [steps]

        def report(row: dict[str, Any]) -> None:
            left[0] -= 1
            if not left[0]:
                raise Stopped

        return report

    # The first report is that of activations: it comes before their list is written.
    for reports in (1, 2, 3, 2):
        with pytest.raises(Stopped):
            victim.train("final", start, stop(reports))
        assert not victim.is_finished("final")
    victim.train("final", start, ignore)
    assert contents(victim.folder) == contents(whole.folder)
    for name in ("training.npy", "test.npy", "images.json"):
        one, other = (next((tmp_path / f).glob(f"*/{name}")) for f in ("shared", "shared-whole"))
        assert one.read_bytes() == other.read_bytes()


def test_evidence_is_that_of_the_whole_net(make: Callable[..., Run], start: Path) -> None:
    run = make("run")
    run.train("final", start, ignore)
    keys, rows, _ = read_evidence(run.folder / "validation.csv")
    held = run.evidence_images("final")
    assert keys == [(i.image, i.lesion, i.cohort) for i in held]
    net = run.finished("final")
    assert net is not None
    preprocessing = run.test_preprocessing()
    wanted = predict(net, read_all(held, preprocessing.resize)[0], preprocessing)
    assert wanted.std(0).min() > 0.05
    assert np.abs(rows - wanted).max() < 2e-2


def test_a_frozen_net_can_be_unfolded_and_its_frozen_part_stays_as_it_was_then(
    make: Callable[..., Run], tmp_path: Path
) -> None:
    torch.manual_seed(3)
    save_file(build(CONFIG.architecture, 3).state_dict(), tmp_path / "folded.safetensors")
    run = make("run", unfold_batch_norm=True, epochs=1)
    run.train("final", tmp_path / "folded.safetensors", ignore)
    net, _ = starting_net(run.config, 3, tmp_path / "folded.safetensors", run._sample_pixels())
    frozen, _ = parts_of(net)
    after = load_file(run.folder / "final" / "weights.safetensors")
    before = {k: v.contiguous() for k, v in net.state_dict().items()}
    assert {k for k in frozen if not torch.equal(after[k], before[k])} == set()
    assert after["conv1.1.running_var"].std() > 0


# activations


def computed(
    run: Run, net: nn.Module, folder: Path, images: Any = None, progress: Callable[[int, int], None] = print
) -> Activations:
    training = default_preprocessing(run.config.architecture, run.config.size)
    given = run.images if images is None else images
    return compute(net, given, run.config, training, run.test_preprocessing(), folder, progress)


def test_activations_are_those_of_augmented_views_and_of_the_square_of_inference(
    make: Callable[..., Run], start: Path, tmp_path: Path
) -> None:
    run, net = make("run"), net_of(start)
    seen: list[tuple[int, int]] = []
    made = computed(run, net, tmp_path / "a", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(24, 24)]
    assert made.training.shape == (24, 3, 96, 2, 2)
    assert made.test.shape == (24, 96, 3, 3)
    assert made.training.dtype == made.test.dtype == np.float16
    lower = lower_part(net.eval(), "stage3")
    training, test = default_preprocessing(CONFIG.architecture, 32), run.test_preprocessing()
    pixels, _, _ = read_all(run.images, max(training.resize, test.resize))
    for k in (0, 7, 23):
        views = [augment(pixels[k], np.random.default_rng((CONFIG.seed, n, k)), CONFIG) for n in range(3)]
        pictures = [training.normalise(view) for view in views]
        with torch.inference_mode():
            wanted = lower(torch.from_numpy(np.stack(pictures))).numpy()
            alone = lower(torch.from_numpy(test(pixels[k])[None])).numpy()
        assert np.allclose(made.training[k], wanted, rtol=2e-3, atol=2e-3)
        assert np.allclose(made.test[k], alone[0], rtol=2e-3, atol=2e-3)
        assert np.abs(wanted[0] - wanted[1]).max() > 0.1
    assert made.rows(run.images[5:8]).tolist() == [5, 6, 7]


def test_every_image_meets_each_view_once_before_any_comes_again() -> None:
    rows = np.array([4, 0, 2, 5, 1], np.int64)
    values = np.arange(6 * 3, dtype=np.float16).reshape(6, 3, 1, 1, 1)
    data = TrainingSet([], np.arange(5), np.full(5, 0.2), 5, None, values, rows)
    config = TrainingConfig.model_validate({**CONFIG.model_dump(), "batch": 5, "epochs": 6})
    run: Any = SimpleNamespace(data=data, config=config, processes=ALONE, steps_per_epoch=1)
    met: dict[int, list[int]] = {int(row): [] for row in rows}
    for step in range(6):
        batch = loop._Run._batch(run, step)
        assert batch.pixels.dtype == np.float32
        for value, target in zip(batch.pixels[:, 0, 0, 0].astype(int), batch.targets, strict=True):
            assert value // 3 == rows[target]
            met[int(rows[target])].append(int(value % 3))
    for views in met.values():
        assert sorted(views[:3]) == [0, 1, 2]
        assert views[3:] == views[:3]
    assert len({tuple(views) for views in met.values()}) == 3


def test_an_image_without_activations_is_an_error_that_names_it(
    make: Callable[..., Run], start: Path, tmp_path: Path
) -> None:
    run = make("run")
    made = computed(run, net_of(start), tmp_path / "a", run.images[:-1])
    with pytest.raises(TrainingError, match=f"no activations were computed for image {run.images[-1].image}"):
        made.rows(run.images)


def test_activations_that_another_process_computes_are_waited_for(
    make: Callable[..., Run], start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freezing, "PAUSE", 0.01)
    run, net = make("run"), net_of(start)
    wanted = computed(run, net, tmp_path / "a")
    (place,) = (tmp_path / "a").iterdir()
    listed = (place / "images.json").read_bytes()
    (place / "images.json").unlink()
    monkeypatch.setattr(freezing, "_fill", lambda *_: pytest.fail("it computed what another one does"))
    found: list[Activations] = []
    waiting = threading.Thread(target=lambda: found.append(computed(run, net, tmp_path / "a")))
    with locked(place):
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        (place / "images.json").write_bytes(listed)
    waiting.join(60)
    assert np.array_equal(found[0].training, wanted.training)


def test_an_activation_that_half_precision_cannot_hold_is_refused(
    make: Callable[..., Run], start: Path, tmp_path: Path
) -> None:
    net = net_of(start)
    with torch.no_grad():
        net.get_submodule("stage3.3.branch2.6").weight.mul_(1e6)
    with pytest.raises(TrainingError, match="does not fit into float16; choose another layer"):
        computed(make("run"), net, tmp_path / "a")
    assert not list((tmp_path / "a").rglob("images.json"))


def test_an_image_that_cannot_be_read_is_skipped_listed_and_has_no_evidence(
    tmp_path: Path, cells: Partition, lesions: Callable[..., list[LabelledImage]], start: Path
) -> None:
    images = tuple(lesions(68, side=64))
    split = split_by_component(images, validation=0.25, folds=2)
    config = CONFIG.model_copy(update={"batch": 64, "views": 1, "epochs": 1})
    run = Run(tmp_path / "run", config, cells, split, images)
    bad, unseen = run.training_images("final")[7], run.evidence_images("final")[3]
    for image in (bad, unseen):
        image.path.write_bytes(b"gone")
    run.train("final", start, ignore)
    data = read_data(run.folder / "final")
    assert data["skipped"] == [bad.image]
    assert data["images"] == len(run.training_images("final")) - 1
    keys, _, _ = read_evidence(run.folder / "validation.csv")
    assert [k[0] for k in keys] == [i.image for i in run.evidence_images("final") if i is not unseen]
    assert (run.folder / "activations").is_dir()
