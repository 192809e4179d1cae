"""Sequential dermoscopy: one lesion at several dates."""
