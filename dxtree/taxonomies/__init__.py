"""Trees of diagnoses from files and plugins: read, drawn, judged, compared and mapped to each other."""

from dxtree.taxonomies.difference import Change, Difference, difference
from dxtree.taxonomies.draft import Fault
from dxtree.taxonomies.drawing import View, draw, level_sizes
from dxtree.taxonomies.mapping import Counterpart, Mapped, map_trees
from dxtree.taxonomies.reviewed import mapping_csv, read_reviewed
from dxtree.taxonomies.source import Judged, Tree, judge, open_tree

__all__ = [
    "Change",
    "Counterpart",
    "Difference",
    "Fault",
    "Judged",
    "Mapped",
    "Tree",
    "View",
    "difference",
    "draw",
    "judge",
    "level_sizes",
    "map_trees",
    "mapping_csv",
    "open_tree",
    "read_reviewed",
]
