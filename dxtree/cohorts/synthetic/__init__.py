"""A cohort with known truth, made by this project: both views of lesions that nobody ever had."""

from dxtree.cohorts.synthetic.classes import SYNTHETIC, synthetic_taxonomy
from dxtree.cohorts.synthetic.lesion import FineSignal, SyntheticLesion, make_lesion, true_mask
from dxtree.cohorts.synthetic.signal import FINE_SIGNAL, fine_signal_taxonomy
from dxtree.cohorts.synthetic.writing import SyntheticConfig, read_synthetic, write_synthetic

__all__ = [
    "FINE_SIGNAL",
    "SYNTHETIC",
    "FineSignal",
    "SyntheticConfig",
    "SyntheticLesion",
    "fine_signal_taxonomy",
    "make_lesion",
    "read_synthetic",
    "synthetic_taxonomy",
    "true_mask",
    "write_synthetic",
]
