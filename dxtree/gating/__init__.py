"""How is the gate of a model set fitted, and how good is it at telling what should not be judged?"""

from dxtree.gating.fitting import fit_gates, write_gates
from dxtree.gating.foreign import Foreign, foreign_images
from dxtree.gating.judging import Rates, judge
from dxtree.gating.looking import Looked, look_at

__all__ = ["Foreign", "Looked", "Rates", "fit_gates", "foreign_images", "judge", "look_at", "write_gates"]
