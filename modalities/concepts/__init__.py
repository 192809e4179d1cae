"""A modality of numbers: named scores that a reader or another model gave a lesion, in place of pixels."""
