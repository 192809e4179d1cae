"""The published schemas of what dxtree answers."""
