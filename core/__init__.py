"""The framework's front door: cases in, diagnoses on a tree out."""

from core.api import default_pipeline, diagnose
from core.case import Case, ImageInput, PatientMetadata, body_sites
from core.cohort import LabelledImage, Lesion, lesions
from core.counts import read_counts
from core.diagnosis import Diagnosis, Notice
from core.errors import DxtreeError
from core.partition import Partition, TrainingClass, partition_tree
from core.pipeline import Pipeline
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.protocols import Evidence, Fuser, ImageResult, ModalityModel
from core.split import Split, split_by_component
from core.taxonomy import Taxonomy, shipped_taxonomies
from core.tree import TreeSums

__all__ = [
    "Case",
    "Diagnosis",
    "DxtreeError",
    "Evidence",
    "Fuser",
    "ImageInput",
    "ImageResult",
    "LabelledImage",
    "LeafProbabilities",
    "Lesion",
    "ModalityModel",
    "Notice",
    "Partition",
    "PatientMetadata",
    "Pipeline",
    "Split",
    "Taxonomy",
    "TrainingClass",
    "TreeProbabilities",
    "TreeSums",
    "body_sites",
    "default_pipeline",
    "diagnose",
    "lesions",
    "partition_tree",
    "read_counts",
    "shipped_taxonomies",
    "split_by_component",
]
