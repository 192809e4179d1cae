"""How does a bundle get its int8 graph and the records that other engines give the same answers?"""

from dxtree.exporting.bundles import Source, check_target, open_source
from dxtree.exporting.checking import Checked, check_engines
from dxtree.exporting.export import Exported, export
from dxtree.exporting.images import Chosen, choose
from dxtree.exporting.truth import Judged, judge

__all__ = [
    "Checked",
    "Chosen",
    "Exported",
    "Judged",
    "Source",
    "check_engines",
    "check_target",
    "choose",
    "export",
    "judge",
    "open_source",
]
