"""At which depths do the layers of skin lie, and how large is the field that a view shows?"""

from __future__ import annotations

LAYERS_UM = (
    ("stratum corneum", 8.0),
    ("stratum granulosum", 20.0),
    ("stratum spinosum", 40.0),
    ("upper dermo-epidermal junction", 60.0),
    ("lower dermo-epidermal junction", 85.0),
    ("papillary dermis", 115.0),
)
"""Layer and depth below the surface, micrometres, of thin skin outside palms and soles, rounded after
Rajadhyaksha, Gonzalez, Zavislan, Anderson and Webb, "In vivo confocal scanning laser microscopy of human skin
II", Journal of Investigative Dermatology 113(3), 1999. Depths differ by tens of micrometres among sites and
people: these say where to look, not what is there."""

FIELD_UM = 500.0
"""Side of one field of the common microscopes (1000 x 1000 pixels), which a view shows."""

FIELD_PIXELS = 1000
"""The same in pixels, where a file does not say how far these lie apart."""
