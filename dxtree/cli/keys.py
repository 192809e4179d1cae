"""`dxtree keys`: who may use the service?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="API keys of the service. The file holds hashes, never a key.")
FileOption = Annotated[Path, typer.Option("--file", help="File of hashed keys.")]
NameArgument = Annotated[str, typer.Argument(help="Name of the client.")]


@app.command("add")
def add(name: NameArgument, file: FileOption) -> None:
    """Make a key for a client and print it, once: it is stored nowhere."""
    from dxtree.service.keys import KeyRing

    ring = KeyRing.read(file) if file.exists() else KeyRing({})
    key = ring.add(name)
    ring.write(file)
    typer.echo(key)


@app.command("remove")
def remove(name: NameArgument, file: FileOption) -> None:
    """Take a client's key away. A running service reads the file when it starts."""
    from dxtree.service.keys import KeyRing

    ring = KeyRing.read(file)
    ring.remove(name)
    ring.write(file)


@app.command("list")
def names(file: FileOption) -> None:
    """Names of the clients that have a key."""
    from dxtree.service.keys import KeyRing

    for name in sorted(KeyRing.read(file).hashes):
        typer.echo(name)
