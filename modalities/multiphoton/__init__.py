"""Multiphoton tomography."""
