"""Which commands are there, and where does each stand? Its module is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

GROUPS = ("keys", "plugins", "audit", "taxonomy")
"""Modules whose `app` has commands of its own."""

COMMANDS = (
    "demo",
    "diagnose",
    "diagnose-many",
    "explain",
    "stages",
    "embed",
    "dicom-receive",
    "partition",
    "synthesize",
    "simulate",
    "train-simulated",
    "survey",
    "split",
    "train",
    "fit-head",
    "fit-concepts",
    "fit-fusion",
    "fit-gate",
    "evaluate",
    "evidence",
    "bench",
    "benchmark",
    "experiment",
    "reproduce",
    "export",
    "export-phone",
    "compress",
    "serve",
    "binary",
    "drift",
    "models",
    "doctor",
    *GROUPS,
)
"""In the order of the help: `some-name` is the function `some_name` of the module of that name."""


class LazyCommands(TyperGroup):
    """Commands that are imported one by one: all at once would cost every start some 60 ms."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the library's signature
        """Every name, in the order of the help."""
        return list(COMMANDS)


class _Commands(dict[str, Any]):
    """Looks like all commands by name."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(COMMANDS))

    def __getitem__(self, name: str) -> Any:
        if super().__getitem__(name) is None:
            self[name] = load(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - the one of `dict` asks nobody


def load(name: str) -> Any:
    """A command, or group of commands, as the library runs it."""
    module = import_module(f"dxtree.cli.{name.replace('-', '_')}")
    around = make_app()
    if name in GROUPS:
        around.add_typer(module.app, name=name)
    else:
        around.command(name)(getattr(module, name.replace("-", "_")))
    return typer.main.get_group(around).commands[name]


def make_app(**options: Any) -> typer.Typer:
    """A command line as ours are: plain help, plain tracebacks, no completion."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, **options)
