"""Drawn fundus photographs whose truth is known."""

from dxtree_fundus.drawing.eye import KINDS, Drawn, draw

__all__ = ["KINDS", "Drawn", "draw"]
