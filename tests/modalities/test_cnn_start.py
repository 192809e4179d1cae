"""Which nets can be built, and which starting weights fit them?"""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from core.errors import ContractError, TrainingError, UnsafeFormat
from modalities.cnn.torch_net import architectures, build, load_state, logits, start

NAME = "squeezenet1_1"


def state(classes: int, architecture: str = NAME) -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    return dict(build(architecture, classes).state_dict())


def saved(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "w.safetensors")
    return folder / "w.safetensors"


@pytest.mark.parametrize(
    ("architecture", "head"),
    [
        ("mobilenet_v2", "classifier.1"),
        ("mobilenet_v3_small", "classifier.3"),
        ("squeezenet1_1", "classifier.1"),
        ("resnet18", "fc"),
        ("shufflenet_v2_x0_5", "fc"),
        ("efficientnet_b0", "classifier.1"),
        ("regnet_y_400mf", "fc"),
        ("mnasnet0_5", "classifier.1"),
        ("googlenet", "fc"),
        ("swin_t", "head"),
    ],
)
def test_torchvision_s_classifiers_are_built_by_name_with_as_many_outputs_as_classes(
    architecture: str, head: str
) -> None:
    net = build(architecture, 4)
    assert net.get_submodule(head).weight.shape[0] == 4  # type: ignore[union-attr]
    if architecture in ("mobilenet_v2", "squeezenet1_1", "resnet18"):
        with torch.inference_mode():
            assert logits(net.eval(), torch.zeros(2, 3, 64, 64)).shape == (2, 4)


def test_eighty_classifiers_and_no_detector_are_known() -> None:
    assert len(architectures()) >= 80
    assert "inception_v3" in architectures()
    assert "fasterrcnn_resnet50_fpn" not in architectures()


def test_a_misspelt_name_is_an_error_with_the_nearest() -> None:
    with pytest.raises(TrainingError, match=r"'mobilnet_v2' is no torchvision classifier; did you mean"):
        build("mobilnet_v2", 4)


def test_weights_for_as_many_classes_leave_nothing_random(tmp_path: Path) -> None:
    given = state(4)
    net = build(NAME, 4)
    assert start(net, NAME, saved(tmp_path, given)) == []
    assert all(torch.equal(v, given[k]) for k, v in net.state_dict().items())


def test_a_head_of_another_shape_stays_random_and_is_reported(tmp_path: Path) -> None:
    given = state(1000)
    net = build(NAME, 4)
    before = net.state_dict()["classifier.1.weight"].clone()
    assert start(net, NAME, saved(tmp_path, given)) == ["classifier.1.bias", "classifier.1.weight"]
    after = net.state_dict()
    assert torch.equal(after["classifier.1.weight"], before)
    assert torch.equal(after["features.0.weight"], given["features.0.weight"])


def test_a_trunk_without_a_head_is_enough(tmp_path: Path) -> None:
    trunk = {k: v for k, v in state(4).items() if not k.startswith("classifier")}
    assert start(build(NAME, 4), NAME, saved(tmp_path, trunk)) == ["classifier.1.bias", "classifier.1.weight"]


def test_half_precision_weights_become_single(tmp_path: Path) -> None:
    given = {k: v.half() for k, v in state(4).items()}
    net = build(NAME, 4)
    start(net, NAME, saved(tmp_path, given))
    assert {v.dtype for v in net.state_dict().values()} == {torch.float32}
    assert torch.equal(net.state_dict()["features.0.weight"], given["features.0.weight"].float())


def test_auxiliary_heads_may_be_absent(tmp_path: Path) -> None:
    given = {k: v for k, v in state(5, "googlenet").items() if not k.startswith("aux")}
    random = start(build("googlenet", 5), "googlenet", saved(tmp_path, given))
    assert random
    assert all(k.startswith("aux") for k in random)


def test_a_name_that_the_net_does_not_have_is_refused(tmp_path: Path) -> None:
    given = state(4) | {"features.99.weight": torch.zeros(1)}
    with pytest.raises(ContractError, match=f"do not fit {NAME}: it has no 'features.99.weight'"):
        start(build(NAME, 4), NAME, saved(tmp_path, given))


def test_weights_of_a_smaller_net_of_the_same_names_are_refused(tmp_path: Path) -> None:
    given = state(4, "resnet18")
    with pytest.raises(ContractError, match=r"'layer1\.2\..* is absent or has another shape"):
        start(build("resnet34", 4), "resnet34", saved(tmp_path, given))


def test_layers_that_a_file_lacks_may_stay_random_where_that_is_asked_for(tmp_path: Path) -> None:
    given = {k: v for k, v in state(4).items() if not k.startswith("features.12.")}
    path = saved(tmp_path, given)
    with pytest.raises(ContractError, match="--partial-weights leaves absent ones random"):
        start(build(NAME, 4), NAME, path)
    net = build(NAME, 4)
    random = start(net, NAME, path, partial=True)
    assert set(random) == {k for k in net.state_dict() if k.startswith("features.12.")}
    assert torch.equal(net.state_dict()["features.0.weight"], given["features.0.weight"])


def test_a_layer_of_another_shape_is_refused_even_where_others_may_be_absent(tmp_path: Path) -> None:
    given = state(4) | {"features.0.weight": torch.zeros(1, 3, 3, 3)}
    with pytest.raises(ContractError, match="absent or has another shape"):
        start(build(NAME, 4), NAME, saved(tmp_path, given), partial=True)


def test_a_trunk_of_another_shape_is_refused_and_the_net_stays_as_it_was(tmp_path: Path) -> None:
    given = state(4) | {"features.0.weight": torch.zeros(1, 3, 3, 3)}
    net = build(NAME, 4)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with pytest.raises(ContractError, match=r"'features\.0\.weight' is absent or has another shape"):
        start(net, NAME, saved(tmp_path, given))
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.pkl", "w.bin", "w.ckpt", "w.tar", "w.PTH", "w.onnx"])
def test_any_other_kind_of_file_is_refused_unread(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was read"))
    torch.save(state(4), tmp_path / name)
    with pytest.raises(UnsafeFormat, match="pickle is refused"):
        start(build(NAME, 4), NAME, tmp_path / name)


@pytest.mark.parametrize("content", [None, b"", b"garbage", b"\xff" * 64])
def test_a_safetensors_file_that_is_none_is_a_contract_error(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ContractError, match="cannot be read"):
        start(build(NAME, 4), NAME, path)


def test_a_name_of_weights_that_torchvision_does_not_have_says_which_it_has() -> None:
    with pytest.raises(
        ContractError, match="no weights 'IMAGENET1K_V9' for squeezenet1_1, but IMAGENET1K_V1"
    ):
        start(build(NAME, 4), NAME, "IMAGENET1K_V9")


def test_a_download_that_fails_is_a_training_error(monkeypatch: pytest.MonkeyPatch) -> None:
    net = build(NAME, 4)

    def offline(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torchvision.models, "get_model", offline)
    with pytest.raises(TrainingError, match=r"could not be fetched \(URLError\); give a local"):
        start(net, NAME, "IMAGENET1K_V1")


def test_published_weights_are_taken_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    published = build(NAME, 1000)
    net = build(NAME, 4)
    asked = []
    monkeypatch.setattr(
        torchvision.models, "get_model", lambda name, weights: asked.append((name, weights)) or published
    )
    assert start(net, NAME, "IMAGENET1K_V1") == ["classifier.1.bias", "classifier.1.weight"]
    assert asked == [(NAME, "IMAGENET1K_V1")]


@pytest.mark.parametrize("architecture", ["mnasnet0_5", "mobilenet_v3_small"])
def test_a_state_without_torch_s_own_metadata_is_loaded(architecture: str) -> None:
    given = state(4, architecture)
    net = build(architecture, 4)
    load_state(net, {k: v.clone() for k, v in given.items()})
    assert all(torch.equal(v, given[k]) for k, v in net.state_dict().items())


def test_absent_layers_stay_random_only_where_that_is_asked_for(tmp_path: Path) -> None:
    net = build("resnet34", 4)
    given = {k: v for k, v in build("resnet34", 4).state_dict().items() if not k.startswith("layer1.2.conv1")}
    path = saved(tmp_path, given)
    with pytest.raises(ContractError, match="--partial-weights"):
        start(net, "resnet34", path)
    assert start(net, "resnet34", path, partial=True) == ["layer1.2.conv1.weight"]
    wrong = given | {"layer1.2.conv1.weight": torch.zeros(1)}
    with pytest.raises(ContractError, match="another shape"):
        start(net, "resnet34", saved(tmp_path, wrong), partial=True)
