"""Which modalities of stacks can be simulated here, and which recipe is meant by a name?"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules

import modalities
from core.errors import PluginError, did_you_mean
from modalities.stacks.recipe import StackRecipe


def recipe_names() -> tuple[str, ...]:
    """Names of our packages that have a plugin and a recipe, sorted."""
    packages = [found.name for found in iter_modules(modalities.__path__) if found.ispkg]
    return tuple(
        sorted(n for n in packages if all(find_spec(f"modalities.{n}.{m}") for m in ("plugin", "recipe")))
    )


def find_recipe(name: str) -> StackRecipe:
    """The recipe of one of our packages by its modality, or of another module as `MODULE:NAME`.

    Naming a module runs it, as naming a plugin does. Raises `PluginError` where there is no such recipe.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        wanted = name.replace("-", "_")
        if wanted not in recipe_names():
            raise PluginError(
                f"{name!r} cannot be simulated; there are {', '.join(recipe_names()) or 'none'}, and "
                f"MODULE:NAME for a recipe of your own{did_you_mean(wanted, recipe_names())}"
            )
        module, attribute = f"modalities.{wanted}.recipe", "RECIPE"
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise PluginError(f"{module} has no {attribute} here ({type(error).__name__})") from error
    if not isinstance(found, StackRecipe):
        raise PluginError(f"{attribute} of {module} is no StackRecipe")
    return found
