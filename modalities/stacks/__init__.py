"""Volumes, sequences, mosaics and spectra: modalities whose file is more than one picture."""

from modalities.stacks.recipe import StackRecipe
from modalities.stacks.spec import modality_from_recipe
from modalities.stacks.stack import Axis, Channel, FloatArray, Stack

__all__ = ["Axis", "Channel", "FloatArray", "Stack", "StackRecipe", "modality_from_recipe"]
