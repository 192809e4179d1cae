"""How does a bundle become a small one, and what does that cost on lesions held out of training?"""

from dxtree.compressing.compress import Compressed, compress
from dxtree.compressing.document import document
from dxtree.compressing.knee import knee
from dxtree.compressing.making import Made, make
from dxtree.compressing.material import Material, bundled, find_source, from_run, from_set
from dxtree.compressing.page import page, verdict
from dxtree.compressing.rivals import Rival

__all__ = [
    "Compressed",
    "Made",
    "Material",
    "Rival",
    "bundled",
    "compress",
    "document",
    "find_source",
    "from_run",
    "from_set",
    "knee",
    "make",
    "page",
    "verdict",
]
