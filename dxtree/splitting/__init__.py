"""Splits that nothing leaks through: what belongs together, what is held out, who straddles a given one."""

from dxtree.splitting.given import read_places
from dxtree.splitting.guard import guarded_split, notes_on
from dxtree.splitting.likeness import NEAR
from dxtree.splitting.links import KINDS, Link, find_links
from dxtree.splitting.look import Look, look
from dxtree.splitting.straddling import Straddle, refuse, straddling
from dxtree.splitting.summary import Size, Summary, summarise

__all__ = [
    "KINDS",
    "NEAR",
    "Link",
    "Look",
    "Size",
    "Straddle",
    "Summary",
    "find_links",
    "guarded_split",
    "look",
    "notes_on",
    "read_places",
    "refuse",
    "straddling",
    "summarise",
]
