"""A modality of numbers: named scores that a reader or another model gave a lesion, in place of pixels."""

from modalities.concepts.reader import Concepts, read_concepts
from modalities.concepts.vocabulary import CHECKLIST, CONCEPTS, MONET, concept_of

__all__ = ["CHECKLIST", "CONCEPTS", "MONET", "Concepts", "concept_of", "read_concepts"]
