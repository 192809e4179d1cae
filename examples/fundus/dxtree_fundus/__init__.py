"""Colour fundus photographs and a tree of eye diseases, outside dermatology, for dxtree."""
