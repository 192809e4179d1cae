"""Which images should not be judged, and why? Checks with thresholds of a stated false-alarm rate."""

from modalities.gate.fitting import RATE, fit, fit_if_enough, threshold_of
from modalities.gate.looks import LOOKS, look
from modalities.gate.safety import ACTIONS, NAMES, SafetyGate

__all__ = ["ACTIONS", "LOOKS", "NAMES", "RATE", "SafetyGate", "fit", "fit_if_enough", "look", "threshold_of"]
