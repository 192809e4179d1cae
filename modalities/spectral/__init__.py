"""What spectral modalities share: channels found by wavelength or frequency, and HDF5 from strangers."""

from modalities.spectral.bands import choose, values
from modalities.spectral.tree import Tree, open_tree

__all__ = ["Tree", "choose", "open_tree", "values"]
