"""What runs a net, on which machine, and how is it known to give the source's answers?"""

from modalities.engines.choosing import choose_engine, load_engine, maker_of, net_maker, threads_for
from modalities.engines.engine import Engine, FloatArray, finite
from modalities.engines.graphs import COMPRESSED, GRAPH, INT8, check_graph, source_file
from modalities.engines.kinds import KINDS, Kind, check_engine, engine_names
from modalities.engines.processor import Processor

__all__ = [
    "COMPRESSED",
    "GRAPH",
    "INT8",
    "KINDS",
    "Engine",
    "FloatArray",
    "Kind",
    "Processor",
    "check_engine",
    "check_graph",
    "choose_engine",
    "engine_names",
    "finite",
    "load_engine",
    "maker_of",
    "net_maker",
    "source_file",
    "threads_for",
]
