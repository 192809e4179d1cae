"""Figures as files, and one page that holds them all. Needs the extra `report`."""

import dxtree.figures.needed  # noqa: F401
from dxtree.figures.class_size import class_size_figure
from dxtree.figures.confusion import confusion_counts, confusion_figure
from dxtree.figures.curves import reliability_figure, sensitivity_specificity_figure
from dxtree.figures.embedding import Embedding, embed, embedding_figure
from dxtree.figures.forest import forest_figure
from dxtree.figures.report import (
    Block,
    Command,
    FigureBlock,
    Section,
    Table,
    Text,
    write_report,
)
from dxtree.figures.risk_coverage import risk_coverage_figure
from dxtree.figures.saliency import Saliency, saliency_figure, saliency_of
from dxtree.figures.steps import bars_figure, pictures_figure
from dxtree.figures.style import png, save, svg
from dxtree.figures.training import training_figure

__all__ = [
    "Block",
    "Command",
    "Embedding",
    "FigureBlock",
    "Saliency",
    "Section",
    "Table",
    "Text",
    "bars_figure",
    "class_size_figure",
    "confusion_counts",
    "confusion_figure",
    "embed",
    "embedding_figure",
    "forest_figure",
    "pictures_figure",
    "png",
    "reliability_figure",
    "risk_coverage_figure",
    "saliency_figure",
    "saliency_of",
    "save",
    "sensitivity_specificity_figure",
    "svg",
    "training_figure",
    "write_report",
]
