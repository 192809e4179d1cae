"""Terahertz reflection images."""
