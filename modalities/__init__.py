"""Imaging modalities, and the rooms that they share: nets, images, training, model sets."""
