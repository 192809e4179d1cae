"""The command line, data set adapters, evaluation and whatever else stands on top of the framework."""

from dxtree.house import check_house

check_house()

__all__: list[str] = []
