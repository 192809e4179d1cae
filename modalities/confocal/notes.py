"""What is told to people of a confocal file that leaves something unsaid?"""

from __future__ import annotations

from modalities.confocal.layers import FIELD_PIXELS, FIELD_UM

NO_DEPTH = (
    "the file does not say how deep its planes lie below the surface: views are planes evenly through the "
    "stack, in the order of the file, and not at layers of the skin"
)
NO_DEPTH_OF_ONE = "the file does not say how deep its plane lies below the surface, so its layer is not known"
NO_SIZE = (
    f"the file does not say how large a pixel is: a field is taken for {FIELD_PIXELS} pixels, or the whole "
    "plane where it is smaller"
)
MOSAIC = f"a mosaic: its views are fields of {FIELD_UM:.0f} micrometres, evenly over it, and not all of it"
FEW = "too few fields to tell a fall-off of the light from the tissue; it was left as it is"
