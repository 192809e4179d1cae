"""`dxtree diagnose-many`: a file of cases in, a folder of shards with one line a case out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dxtree.cli.diagnose import AuditKeyOption, PrevalenceOption, shares_of
from dxtree.cli.gate import GateOption, policy_of
from dxtree.cli.options import (
    CalibrationOption,
    FuserOption,
    JsonOption,
    ModelsOption,
    PluginOption,
    print_json,
    registry_of,
    trail_of,
)

if TYPE_CHECKING:
    from dxtree.batch import RayPool, Summary

RAY = "ray"
SIGNALLED = 128
"""A process that a signal ended exits with this and the signal's number."""


def diagnose_many(
    cases: Annotated[
        Path,
        typer.Argument(
            help="CSV or Parquet (columns id, age_years, sex, site and one a modality), or JSON lines, each "
            "a case as `dxtree diagnose --case` takes it."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the answers. The same command goes on with it.")],
    root: Annotated[
        Path | None,
        typer.Option(help="Folder that all images lie below. Default: that of the file of cases."),
    ] = None,
    fuser: FuserOption = None,
    calibration: CalibrationOption = None,
    engine: Annotated[
        str,
        typer.Option(help="auto or an engine of `dxtree bench`; ray or ray+ENGINE for a pool of Ray actors."),
    ] = "auto",
    ray_address: Annotated[
        str | None,
        typer.Option(help="A Ray cluster that shares this file system. Default: this machine alone."),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(help="A case of which any modality fails is a fault, in place of a partial answer."),
    ] = False,
    shard_rows: Annotated[int, typer.Option(help="Cases of one shard, which is written at once.")] = 1000,
    window: Annotated[int, typer.Option(help="Cases that are held at a time.")] = 64,
    keep_going: Annotated[
        bool, typer.Option("--keep-going/--fail", help="End with 0 though cases have faults, in place of 1.")
    ] = False,
    gate: GateOption = None,
    prevalence: PrevalenceOption = None,
    audit: Annotated[
        Path | None,
        typer.Option(help="Record every diagnosis in this audit trail, before it is kept; not with Ray."),
    ] = None,
    audit_key: AuditKeyOption = None,
    models: ModelsOption = None,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Diagnose every case of a file. For research use only; not a medical device.

    All cases are done, whatever faults some have; those are listed in faults.csv.
    """
    from core.errors import InputError
    from dxtree.batch import Batch, Interrupted, Recipe, Stop
    from dxtree.cli.progress import Bar
    from plugins.config import Settings

    pool, net = pool_of(engine, ray_address)
    registry = registry_of(plugin)  # says which plugins are left out
    settings = Settings.from_environment().with_plugins(tuple(plugin or ()))
    recipe = Recipe(
        settings=replace(settings, models=models or settings.models),
        fuser=fuser,
        calibration=calibration,
        engine=net,
        prevalence=shares_of(prevalence or []),
        strict=strict,
        gate=policy_of(gate),
    )
    if audit is not None and pool is not None:
        raise InputError("an audit trail is written by one machine: give --audit without --engine ray")
    trail = None if audit is None else trail_of(audit, audit_key, registry, plugin)
    batch = Batch(cases, out, recipe, root=root, shard_rows=shard_rows, window=window, pool=pool, trail=trail)
    stop = Stop()
    try:
        with stop.listening(), Bar() as bar:
            summary = batch.run(stop=stop, progress=bar)
    except Interrupted as interrupted:
        raise SystemExit(SIGNALLED + interrupted.number) from None
    if json:
        print_json(summary.to_dict())
    else:
        typer.echo(told(summary, out))
    if summary.faults and not keep_going:
        typer.echo(f"{summary.faults} of {summary.rows} cases have a fault; see faults.csv", err=True)
        raise typer.Exit(1)


def pool_of(engine: str, address: str | None) -> tuple[RayPool | None, str]:
    """The pool that `--engine` asks for, if any, and the engine of the nets. Raises `InputError`."""
    from core.errors import InputError
    from dxtree.batch import RayPool

    first, _, net = engine.partition("+")
    if first == RAY:
        return RayPool(address), net or "auto"
    if address is not None:
        raise InputError("--ray-address needs --engine ray, or ray+ENGINE")
    return None, engine


def told(summary: Summary, out: Path) -> str:
    """The summary for people."""
    from core.diagnosis import RESEARCH_USE

    rate = f", {summary.done / summary.seconds:.1f} a second" if summary.done else ""
    lines = [
        f"{summary.diagnosed} of {summary.rows} cases diagnosed ({summary.done} now{rate}), "
        f"{summary.faults} with a fault; shards in {out}"
    ]
    lines += [f"  {count:6d}  {code}" for code, count in sorted(summary.codes.items())]
    return "\n".join([*lines, RESEARCH_USE])
