"""Does a modality's bundle belong to this pipeline, and what do all kinds of model read from it?"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.errors import ContractError, NonFiniteOutput
from core.manifest import Bundle
from core.partition import Partition
from core.probabilities import LeafProbabilities


def check_belongs(bundle: Bundle, partition: Partition, modality: str, file: str) -> None:
    """Raises `ContractError` where modality, tree, partition or classes differ, or `file` is missing."""
    wanted: dict[str, Any] = {
        "kind": "modality",
        "modality": modality,
        "taxonomy": partition.taxonomy.fingerprint,
        "partition": partition.fingerprint,
        "classes": list(partition.ids),
    }
    for key, value in wanted.items():
        if bundle.manifest.get(key) != value:
            raise ContractError(
                f"the bundle's {key} differs from the pipeline's; they do not belong together"
            )
    if file not in bundle.files:
        raise ContractError(f"the bundle has no {file}")


def read_temperature(bundle: Bundle) -> float:
    """What logits are divided by. Raises `ContractError` for anything but a number from .01 to 100."""
    temperature = bundle.manifest.get("temperature")
    if not isinstance(temperature, int | float) or not 0.01 <= temperature <= 100:
        raise ContractError("the bundle's temperature must be a number from .01 to 100")
    return float(temperature)


def read_prior(bundle: Bundle, classes: tuple[str, ...]) -> LeafProbabilities:
    """Share of each class in what the model was shown. Raises `ContractError` for other or wrong numbers."""
    prior = bundle.require("prior", dict)
    try:
        return LeafProbabilities(classes, np.array([prior[c] for c in classes], np.float64))
    except (KeyError, TypeError, ValueError, NonFiniteOutput) as error:
        raise ContractError("the bundle's prior must hold a probability for each training class") from error
