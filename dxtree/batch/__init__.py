"""How are the cases of a whole file diagnosed so that nothing is lost or doubled? See `Batch`."""

from dxtree.batch.progress import Progress
from dxtree.batch.ray_pool import RayPool
from dxtree.batch.recipe import Recipe
from dxtree.batch.run import Batch
from dxtree.batch.stopping import Interrupted, Stop
from dxtree.batch.summary import Summary

__all__ = ["Batch", "Interrupted", "Progress", "RayPool", "Recipe", "Stop", "Summary"]
