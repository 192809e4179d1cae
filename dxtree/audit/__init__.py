"""Who said what, when and with which models? A chain of records that shows when it was changed."""

from dxtree.audit.chain import Link
from dxtree.audit.key import key_beside, make_key, read_key
from dxtree.audit.plugins import plugin_versions
from dxtree.audit.record import gist
from dxtree.audit.rotating import LEAST_DAYS, Rotated, rotate, segments, verify_all
from dxtree.audit.trail import AuditTrail
from dxtree.audit.verifying import Fault, Verified, head_of, records, verify

__all__ = [
    "LEAST_DAYS",
    "AuditTrail",
    "Fault",
    "Link",
    "Rotated",
    "Verified",
    "gist",
    "head_of",
    "key_beside",
    "make_key",
    "plugin_versions",
    "read_key",
    "records",
    "rotate",
    "segments",
    "verify",
    "verify_all",
]
