"""`python -m dxtree`: the command line."""

from dxtree.cli.main import run

run()
