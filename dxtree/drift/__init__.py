"""Do answers and inputs still look as they did? Stability indices against chance."""

from dxtree.drift.compare import Drift, Row, compare
from dxtree.drift.sample import Sample, moment, of_predictions, of_trail

__all__ = ["Drift", "Row", "Sample", "compare", "moment", "of_predictions", "of_trail"]
