"""Optical coherence tomography of skin: volumes of B-scans."""
