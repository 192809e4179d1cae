"""`dxtree plugins`: which plugins are there, which work, and does one keep the contract?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dxtree.cli.options import JsonOption, ModelsOption, PluginOption, models_of, print_json, registry_of

app = typer.Typer(
    help="List plugins with what they offer and why one failed, or check one.", no_args_is_help=True
)


@app.command("list")
def list_plugins(plugin: PluginOption = None, json: JsonOption = False) -> None:
    """List every plugin that was found: working, failed with its cause, or not enabled."""
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
    colours = {"ok": "green", "failed": "red", "not enabled": "yellow"}
    for row in rows:
        offers = "; ".join(f"{k}: {', '.join(v)}" for k, v in row["offers"].items())
        hint = "enable it with --plugin NAME or DXTREE_PLUGINS" if row["state"] == "not enabled" else ""
        state = Text(row["state"], style=colours[row["state"]])
        table.add_row(Text(row["name"]), Text(row["origin"]), state, Text(row["cause"] or offers or hint))
    Console().print(table)


@app.command("check")
def check_plugin(
    name: Annotated[str, typer.Argument(help="A plugin's name, or the .py file of a one-file plugin.")],
    plugin: PluginOption = None,
    models: ModelsOption = None,
    json: JsonOption = False,
) -> None:
    """Run the conformance kit on a plugin: every promise, one line. Ends with 3 where one is broken."""
    from plugins.conformance import check

    is_file = name.endswith(".py")
    registry = registry_of([*(plugin or []), *([name] if is_file else [])], warn=False)
    # A file may be called like another plugin: what became of this very file is known by its path.
    known_as = registry.manager.load_file(name).name if is_file else name
    findings = check(known_as, registry, models_of(registry, models))
    if json:
        print_json([{"check": f.check, "passed": f.passed, "detail": f.detail} for f in findings])
    else:
        from rich.console import Console
        from rich.text import Text

        console = Console()
        for f in findings:
            mark = Text("pass ", style="green") if f.passed else Text("FAIL ", style="bold red")
            console.print(mark + Text(f.check + (f": {f.detail}" if f.detail else "")))
        failed = sum(not f.passed for f in findings)
        console.print(Text(f"{len(findings) - failed} of {len(findings)} checks passed", style="bold"))
    if not all(f.passed for f in findings):
        raise typer.Exit(3)
