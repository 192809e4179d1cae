"""`dxtree audit`: does an audit trail hold, and which hash proves later that nothing was cut off its end?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dxtree.cli.options import JsonOption, print_json

app = typer.Typer(help="Check an audit trail, or print its head to keep elsewhere.", no_args_is_help=True)

TrailArgument = Annotated[Path, typer.Argument(help="An audit trail, as --audit writes it.")]


@app.command("verify")
def verify(
    file: TrailArgument,
    head: Annotated[
        str | None, typer.Option(help="A hash that `dxtree audit head` printed: a line must bear it.")
    ] = None,
    key: Annotated[
        list[Path] | None,
        typer.Option(help="File of a key that records are sealed with. Repeatable. Default: FILE.key."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Find the first line that was changed, removed, inserted or moved; exit 1 where there is one."""
    from dxtree.audit import key_beside, read_key, segments
    from dxtree.audit import verify_all as check

    beside = key_beside(file)
    files = key or ([beside] if beside.exists() else [])
    found = check(file, keys=[read_key(f) for f in files], head=head)
    if json:
        print_json(found.to_dict())
    elif found.fault is not None:
        typer.echo(f"line {found.fault.line}: {found.fault.what}")
        typer.echo(f"{found.records} records before it hold")
    else:
        seals = "seals hold" if found.seals_checked else "seals not checked: no key at hand"
        ending = "" if head is not None else "; what was cut off the end shows only against --head"
        torn = f"; {found.torn} torn lines were moved aside" if found.torn else ""
        closed = len(segments(file))
        where = f" in {file.name} and {closed} segments" if closed else ""
        typer.echo(f"{found.records} records hold{where}, {seals}{torn}{ending}")
        typer.echo(f"head {found.head}")
    if found.fault is not None:
        raise typer.Exit(1)


@app.command("head")
def head(file: TrailArgument, json: JsonOption = False) -> None:
    """Print the hash of the last record. Kept elsewhere, it shows later what was cut off the end."""
    from dxtree.audit import head_of

    found = head_of(file)
    if json:
        print_json({"records": found.index, "head": found.hash})
    else:
        typer.echo(found.hash)


@app.command("rotate")
def rotate(
    file: TrailArgument,
    keep_days: Annotated[
        int | None,
        typer.Option(help="Remove segments whose last record is older; 183 at least. Default: keep all."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="File of the trail's key. Default: FILE.key.")] = None,
    json: JsonOption = False,
) -> None:
    """Close the trail as a segment, FILE.1 and so on, and begin a new file that joins on to it."""
    from dxtree.audit import key_beside, read_key
    from dxtree.audit import rotate as close

    done = close(file, read_key(key or key_beside(file)), keep_days=keep_days)
    if json:
        removed = [one.name for one in done.removed]
        print_json({"segment": done.segment.name, "head": done.closed.hash, "removed": removed})
    else:
        typer.echo(f"{done.segment.name} closed with {done.closed.index} records, head {done.closed.hash}")
        for one in done.removed:
            typer.echo(f"{one.name} removed: older than {keep_days} days")
