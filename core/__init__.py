"""The framework's front door: cases in, diagnoses on a tree out."""

from core.api import default_pipeline, diagnose, diagnose_many
from core.case import Case, ImageInput, PatientMetadata, body_sites
from core.cells import Cells
from core.checks import Check, GatePolicy
from core.cohort import LabelledImage, Lesion, lesions
from core.contributions import Contributions
from core.counts import read_counts
from core.decision import Decision, Utilities, decide
from core.diagnosis import Diagnosis, Notice
from core.errors import DxtreeError
from core.many import Outcome
from core.node_rule import NodeRule
from core.partition import Partition, TrainingClass, partition_tree
from core.pipeline import Pipeline
from core.prediction_set import PredictionSet
from core.prevalence import Prevalence
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.protocols import Adjustment, Evidence, Fuser, ImageResult, ModalityModel
from core.set_rule import SetRule
from core.split import Split, split_by_component
from core.taxonomy import Taxonomy, shipped_taxonomies
from core.tree import TreeSums

__all__ = [
    "Adjustment",
    "Case",
    "Cells",
    "Check",
    "Contributions",
    "Decision",
    "Diagnosis",
    "DxtreeError",
    "Evidence",
    "Fuser",
    "GatePolicy",
    "ImageInput",
    "ImageResult",
    "LabelledImage",
    "LeafProbabilities",
    "Lesion",
    "ModalityModel",
    "NodeRule",
    "Notice",
    "Outcome",
    "Partition",
    "PatientMetadata",
    "Pipeline",
    "PredictionSet",
    "Prevalence",
    "SetRule",
    "Split",
    "Taxonomy",
    "TrainingClass",
    "TreeProbabilities",
    "TreeSums",
    "Utilities",
    "body_sites",
    "decide",
    "default_pipeline",
    "diagnose",
    "diagnose_many",
    "lesions",
    "partition_tree",
    "read_counts",
    "shipped_taxonomies",
    "split_by_component",
]
