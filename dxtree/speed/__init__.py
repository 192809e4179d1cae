"""How fast is this machine at diagnosing? Engines, decoding and the whole way, in interleaved rounds."""

from dxtree.speed.engines import EngineSpeed, measure_engines, recommended
from dxtree.speed.machine import Machine
from dxtree.speed.rounds import Interleaved, interleaved
from dxtree.speed.whole import Rates, measure_whole

__all__ = [
    "EngineSpeed",
    "Interleaved",
    "Machine",
    "Rates",
    "interleaved",
    "measure_engines",
    "measure_whole",
    "recommended",
]
