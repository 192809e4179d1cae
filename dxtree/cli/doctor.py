"""`dxtree doctor`: will dxtree work here, and if not, what should be done?"""

from __future__ import annotations

import typer

from dxtree.cli.options import JsonOption, PluginOption, print_json, registry_of


def doctor(plugin: PluginOption = None, json: JsonOption = False) -> None:
    """Check this machine: packages, engines, plugins, models. Ends with 3 where something is broken."""
    from dxtree.doctor import examine

    findings = examine(registry_of(plugin, warn=False))
    if json:
        print_json([{"check": f.check, "state": f.state, "detail": f.detail} for f in findings])
    else:
        from rich.console import Console
        from rich.text import Text

        console = Console()
        colours = {"ok": "green", "note": "yellow", "broken": "bold red"}
        for f in findings:
            console.print(Text(f"{f.state:<8}", style=colours[f.state]) + Text(f"{f.check}: {f.detail}"))
    if any(f.state == "broken" for f in findings):
        raise typer.Exit(3)
