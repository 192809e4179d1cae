"""What does a map say about one image and one node, whatever made it, and which methods make one?"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from core.errors import ExplanationError, MissingExtra, did_you_mean
from core.tree import FloatArray
from modalities.cnn.preprocess import ByteImage

AUTO = "auto"
SALIENCY, GRAD_CAM, INTEGRATED, OCCLUSION = "saliency", "grad-cam", "integrated-gradients", "occlusion"
METHODS = (SALIENCY, GRAD_CAM, INTEGRATED, OCCLUSION)
"""All but the last ask a torch net for gradients, through captum."""
EXTRA = "explain"
_PACKAGES = ("captum", "onnx", "torch", "torchvision")


@dataclass(frozen=True, eq=False)
class Attribution:
    """What the probability of a node hangs on in one image, by one net, before fusion.

    `picture`: uint8 H x W x 3, upright, in the proportions of the original. `frame`: left, top, right and
    bottom in its pixels of what the net sees; nothing outside can matter. `values`: float64 rows x columns of
    equal cells over the frame, about log P(node) in natural logarithms. What they are hangs on `method`:

    - ``saliency``: the sum over red, green and blue of the gradient's size by a channel's value from 0 to 1,
      a cell for each pixel that the net sees; never below 0.
    - ``grad-cam``: a cell for each place of the net's last feature map; above 0 speaks for the node, below 0
      against it. The published map is the part above 0.
    - ``integrated-gradients``: a cell for each pixel; signs as above.
    - ``occlusion``: what covering the cell takes from log P(node); signs as above.

    `probability`: P(node) of this image alone, by the engine that answers. `total`: what the values sum to
    where the method promises a sum. `notes`: sentences about how the map was made.
    """

    picture: ByteImage
    frame: tuple[float, float, float, float]
    values: FloatArray
    node: str
    probability: float
    method: str
    total: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_signed(self) -> bool:
        """Whether what speaks against the node can be told from what does not matter."""
        return self.method != SALIENCY


def can_take_gradients() -> bool:
    """Whether torch and captum are installed; nothing is imported."""
    return all(find_spec(name) is not None for name in _PACKAGES)


def available_methods() -> tuple[str, ...]:
    """`auto`, then what works here."""
    return (AUTO, *(METHODS if can_take_gradients() else (OCCLUSION,)))


def choose_method(name: str, *, has_net: bool = True) -> tuple[str, tuple[str, ...]]:
    """The method itself, and notes: for `auto` saliency, else occlusion with the reason.

    `has_net`: whether the model knows its torch net. Raises `ExplanationError` for an unknown name and a
    model without a net, `MissingExtra` where torch or captum is asked for and absent.
    """
    if name not in (AUTO, *METHODS):
        raise ExplanationError(
            f"method {name!r} is unknown; there are {', '.join((AUTO, *METHODS))}"
            f"{did_you_mean(name, (AUTO, *METHODS))}"
        )
    if name == OCCLUSION:
        return name, ()
    if not can_take_gradients():
        if name == AUTO:
            return OCCLUSION, (f"made by occlusion: gradients need the extra {EXTRA!r} (torch and captum)",)
        raise MissingExtra(f"the method {name}", EXTRA)
    if not has_net:
        if name == AUTO:
            return OCCLUSION, ("made by occlusion: this model has no torch net",)
        raise ExplanationError(f"this model has no torch net for {name}; ask for {OCCLUSION}")
    return (SALIENCY if name == AUTO else name), ()
