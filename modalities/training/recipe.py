"""Which recipes have a name, and what do they set?"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from core.errors import TrainingError, did_you_mean
from modalities.training.config import TrainingConfig

_SUFFIX = ".yaml"


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that ship."""
    here = files("modalities.training") / "recipes"
    return tuple(sorted(p.name.removesuffix(_SUFFIX) for p in here.iterdir() if p.name.endswith(_SUFFIX)))


def read_recipe(name: str | Path) -> dict[str, Any]:
    """The fields that a recipe sets, by its name or from a YAML file.

    Raises `TrainingError` for an unknown name, a file that is no mapping, and a field or value that
    `TrainingConfig` does not have.
    """
    if str(name).endswith((_SUFFIX, ".yml")):
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise TrainingError(
                f"recipe {Path(name).name} cannot be read ({type(error).__name__})"
            ) from error
    elif name in recipe_names():
        text = (files("modalities.training") / "recipes" / f"{name}{_SUFFIX}").read_text("utf-8")
    else:
        raise TrainingError(
            f"recipe {str(name)!r} is none of {', '.join(recipe_names())}"
            f"{did_you_mean(str(name), recipe_names())}; a file of your own ends in .yaml"
        )
    try:
        fields = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise TrainingError(f"recipe {Path(name).name} is no YAML ({type(error).__name__})") from error
    if not isinstance(fields, dict):
        raise TrainingError(f"recipe {Path(name).name} is a mapping of fields to values")
    make_config({"modality": "any", **fields})
    return fields


def make_config(fields: dict[str, Any]) -> TrainingConfig:
    """The configuration, or `TrainingError` naming each field that cannot be used, and why."""
    try:
        return TrainingConfig.model_validate(fields)
    except ValidationError as error:
        known = tuple(TrainingConfig.model_fields)
        wrong = []
        for one in error.errors():
            field = str(one["loc"][0]) if one["loc"] else "training"
            hint = did_you_mean(field, known) if one["type"] == "extra_forbidden" else ""
            wrong.append(f"{field}: {one['msg']}{hint}")
        raise TrainingError("; ".join(wrong)) from error
