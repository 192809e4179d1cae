"""Where in an image does a node's probability come from? One call for every method."""

from __future__ import annotations

from dataclasses import replace

from core.case import ImageInput
from core.contributions import check_node
from core.tree import TreeSums
from modalities.cnn.attribution import AUTO, OCCLUSION, Attribution, choose_method
from modalities.cnn.deadline import Deadline
from modalities.cnn.model import CnnModel
from modalities.cnn.occlusion import occlusion_of


def explain(
    model: CnnModel,
    image: ImageInput,
    sums: TreeSums,
    node: str,
    method: str = AUTO,
    *,
    seconds: float | None = None,
) -> Attribution:
    """The map of one node over one image, by `METHODS` or `auto`.

    `auto` is saliency where torch and captum are installed, else occlusion, and a note says so. `seconds` is
    the longest that it may take; one step of the work is finished beyond that.

    Raises what `core.contributions.check_node` raises for the node, `InputError` for an image that cannot be
    read, `ExplanationError` for an unknown method, a net that it does not suit and a map that takes too long,
    `MissingExtra` for a method whose packages are absent.
    """
    check_node(node, sums)
    chosen, notes = choose_method(method, has_net=model.make_net is not None)
    deadline = Deadline(seconds)
    if chosen == OCCLUSION:
        found = occlusion_of(model, image, sums, node, deadline=deadline)
    else:
        from modalities.cnn.gradients import gradient_of

        found = gradient_of(model, image, sums, node, chosen, deadline)
    return replace(found, notes=(*notes, *found.notes))
