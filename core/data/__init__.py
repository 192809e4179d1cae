"""Taxonomies that ship. `scripts/make_taxonomies.py` writes them; `SOURCES.md` names source and licence."""
