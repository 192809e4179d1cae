"""Histopathology: whole slides of stained sections, tile by tile."""
