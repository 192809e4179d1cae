"""Reflectance confocal microscopy of skin: stacks over depth, and mosaics."""
