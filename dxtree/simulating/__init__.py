"""How are simulated files of a modality written, drawn, and turned into a demonstration bundle of a set?"""

from dxtree.simulating.adding import add_simulated
from dxtree.simulating.figure import draw_before_after
from dxtree.simulating.writing import TRUTH, write_simulated

__all__ = ["TRUTH", "add_simulated", "draw_before_after", "write_simulated"]
