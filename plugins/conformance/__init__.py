"""Does a plugin keep the contract? What `dxtree plugins check NAME` and a plugin's own tests run.

Every check states a promise of `core.protocols`; a broken one says what was found.
"""

from plugins.conformance.contract import PluginContract
from plugins.conformance.finding import Finding
from plugins.conformance.plan import KEYS, check
from plugins.conformance.samples import sample_images

__all__ = ["KEYS", "Finding", "PluginContract", "check", "sample_images"]
