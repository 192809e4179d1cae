"""Sequential dermoscopy: one lesion at several dates."""

from modalities.dermoscopy_sequence.binding import bind

__all__ = ["bind"]
