"""`dxtree plugins`: which are there, which work, does one keep the contract, and how does one start?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dxtree.cli.options import JsonOption, ModelsOption, PluginOption, models_of, print_json, registry_of

if TYPE_CHECKING:
    from plugins.conformance import Finding
    from plugins.registry import Registry

app = typer.Typer(
    help="List plugins with what they offer and why one failed, check, pin or start one.",
    no_args_is_help=True,
)

NameArgument = Annotated[
    str, typer.Argument(help="A plugin's name, or the .py file of a one-file plugin.", metavar="NAME|FILE")
]
_HINTS = {
    "not enabled": "enable it with --plugin NAME or DXTREE_PLUGINS",
    "disabled": "switched off by DXTREE_PLUGINS_OFF",
}


@app.command("list")
def list_plugins(plugin: PluginOption = None, json: JsonOption = False) -> None:
    """List every plugin that was found: working, failed with its cause, disabled or not enabled."""
    registry = registry_of(plugin, warn=False)
    rows: list[dict[str, Any]] = [
        {
            "name": s.name,
            "origin": s.origin,
            "state": s.state,
            "built_in": s.built_in,
            "offers": {k: list(v) for k, v in registry.offered_by(s.name).items() if v},
            "cause": s.cause.safe_message if s.cause else None,
        }
        for s in registry.manager.statuses
    ]
    if json:
        print_json(rows)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="dxtree plugins")
    for column in ("plugin", "from", "state", "offers, or why not"):
        table.add_column(column, overflow="fold")
    colours = {"ok": "green", "failed": "red", "not enabled": "yellow", "disabled": "yellow"}
    for row in rows:
        offers = "; ".join(f"{k}: {', '.join(v)}" for k, v in row["offers"].items())
        state = Text(row["state"], style=colours[row["state"]])
        told = row["cause"] or offers or _HINTS.get(row["state"], "")
        table.add_row(Text(row["name"]), Text(row["origin"]), state, Text(told))
    Console().print(table)


@app.command("check")
def check_plugin(
    name: NameArgument,
    plugin: PluginOption = None,
    models: ModelsOption = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(help="KEY=REASON: a promise that is expected to be broken; kept, it fails. Repeatable."),
    ] = None,
    quick: Annotated[
        bool, typer.Option(help="Leave out what needs another process: import time, network, files.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Run the conformance kit on a plugin: every promise, one line. Ends with 3 where one is broken.

    An installed plugin is switched on by being named here.
    """
    from plugins.conformance import check

    registry, known_as = _named(name, plugin)
    expected = dict(_expected(text) for text in expect or [])
    findings = check(known_as, registry, models_of(registry, models), expected=expected, quick=quick)
    if json:
        print_json([f.to_dict() for f in findings])
    else:
        _show(findings)
    if not all(f.passed for f in findings):
        raise typer.Exit(3)


@app.command("pin")
def pin_plugin(name: NameArgument, plugin: PluginOption = None) -> None:
    """Print a plugin's line for an allow-list: its name and the sha256 of its files, as they are now."""
    from plugins import allow_list

    registry, known_as = _named(name, plugin)
    typer.echo(allow_list.line(known_as, registry.manager.digest(known_as)))


@app.command("new")
def new_plugin(
    name: Annotated[str, typer.Argument(help="The modality: small letters, digits and _, such as confocal.")],
    out: Annotated[Path, typer.Option(help="The folder in which it is made.")] = Path(),
    one_file: Annotated[bool, typer.Option(help="One .py file in place of a distribution.")] = False,
    title: Annotated[str | None, typer.Option(help="What the modality is, for people.")] = None,
    author: Annotated[str, typer.Option(help="Who holds the copyright.")] = "The authors",
) -> None:
    """Start a modality of your own: a distribution with test, card and licence, or one file.

    Then two functions are to be edited.
    """
    from dxtree.scaffold import new

    made = new(name, out, one_file=one_file, title=title, author=author)
    then = f"dxtree plugins check {made if one_file else name}"
    told = then if one_file else f"pip install -e {made} && {then}"
    typer.echo(f"{made}: edit the functions `describe` and `score`, then: {told}")


def _named(name: str, plugin: list[str] | None) -> tuple[Registry, str]:
    registry = registry_of([*(plugin or []), *([name] if name.endswith(".py") else [])], warn=False)
    manager = registry.manager
    # A file may be called like another plugin: what became of this very file is known by its path.
    known_as = manager.load_file(name).name if name.endswith(".py") else manager.resolve(name)
    if any(s.name == known_as and s.state == "not enabled" for s in manager.statuses):
        return registry_of([*(plugin or []), known_as], warn=False), known_as
    return registry, known_as


def _expected(text: str) -> tuple[str, str]:
    key, separator, reason = text.partition("=")
    if not separator:
        raise typer.BadParameter(f"--expect takes KEY=REASON, not {text!r}")
    return key, reason


def _show(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for f in findings:
        mark = Text("pass ", style="green") if f.passed else Text("FAIL ", style="bold red")
        if f.expected:
            mark = Text("expected ", style="yellow")
        told = f"{f.expected} ({f.detail})" if f.expected else f.detail
        console.print(mark + Text(f.check + (f": {told}" if told else "")))
    failed = sum(not f.passed for f in findings)
    expected = sum(bool(f.expected) for f in findings)
    text = f"{len(findings) - failed} of {len(findings)} checks passed"
    console.print(
        Text(text + (f", {expected} of them as expected failures" if expected else ""), style="bold")
    )
