"""The stages between a picture and its diagnosis: what is done to it, where the lesion is, what is measured.

What is offered stands in `modalities.stages.plugin`; every function works on uint8 H x W x 3, red, green and
blue from 0 to 255, and its lengths in pixels are meant for a short side of some 200 to 500 pixels.
"""

from modalities.stages.running import measured, outlined, step_of, stepped
from plugins.specs import Mask, Pixels

__all__ = ["Mask", "Pixels", "measured", "outlined", "step_of", "stepped"]
