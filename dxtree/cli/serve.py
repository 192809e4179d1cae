"""`dxtree serve`: the HTTP service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dxtree.cli.clinic import RefuseOption
from dxtree.cli.diagnose import AuditKeyOption
from dxtree.cli.gate import GateOption, policy_of
from dxtree.cli.options import (
    ModelsOption,
    PluginOption,
    PredictionSetsOption,
    models_of,
    registry_of,
    trail_of,
)

if TYPE_CHECKING:
    from dxtree.service import ServiceSettings

NEEDED = ("fastapi", "jinja2", "multipart", "prometheus_client", "uvicorn")


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; loopback unless told otherwise.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8000,
    keys: Annotated[
        Path | None,
        typer.Option(help="File of hashed API keys, see `dxtree keys`. Default: none is asked for."),
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="PEM certificate of TLS.")] = None,
    private_key: Annotated[Path | None, typer.Option(help="PEM private key of TLS.")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy that ends TLS stands in front.")
    ] = False,
    host_name: Annotated[
        list[str] | None, typer.Option(help="Name under which clients reach the service. Repeatable.")
    ] = None,
    waiting: Annotated[int, typer.Option(help="Requests that may wait while every core is at work.")] = 32,
    wait_seconds: Annotated[
        float, typer.Option(help="Refuse what would wait longer, as long as the last requests took.")
    ] = 30.0,
    body_megabytes: Annotated[int, typer.Option(help="Largest request, MiB.")] = 32,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Answer browsers too, at `/`.")] = True,
    fuser: Annotated[str | None, typer.Option(help="Default: the model set's own.")] = None,
    calibration: Annotated[str | None, typer.Option(help="Default: the model set's own; or none.")] = None,
    engine: Annotated[str, typer.Option(help="auto, or an engine of `dxtree bench`.")] = "auto",
    prediction_sets: PredictionSetsOption = None,
    refuse: RefuseOption = None,
    gate: GateOption = None,
    audit: Annotated[
        Path | None,
        typer.Option(help="Record every diagnosis in this audit trail; none is given without its record."),
    ] = None,
    audit_key: AuditKeyOption = None,
    models: ModelsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Serve diagnoses over HTTP. For research use only; not a medical device."""
    from importlib.util import find_spec

    from core.diagnosis import RESEARCH_USE
    from core.errors import MissingExtra
    from plugins.assembly import assemble

    if any(find_spec(name) is None for name in NEEDED):
        raise MissingExtra("the service", "serve")
    from dxtree.service import Judge, make_app
    from dxtree.service import serve as run
    from dxtree.service.settings import MIB
    from dxtree.set_of import read_rule

    settings = _settings(
        host=host,
        port=port,
        keys=keys,
        certificate=certificate,
        private_key=private_key,
        behind_proxy=behind_proxy,
        hosts=tuple(name.lower() for name in host_name or ()),
        waiting=waiting,
        wait_seconds=wait_seconds,
        page=page,
        body_bytes=body_megabytes * MIB,
        dicom_refuse=tuple(refuse or ()),
    )
    registry = registry_of(plugin)
    found = models_of(registry, models)
    pipeline = assemble(registry, found, fuser=fuser, engine=engine, calibration=calibration)
    pipeline = pipeline.with_gate(policy_of(gate))
    trail = None if audit is None else trail_of(audit, audit_key, registry, plugin)
    rule = None if prediction_sets is None else read_rule(prediction_sets, pipeline.partition)
    app = make_app(Judge(registry, found, pipeline, trail, rule), settings)
    scheme = "http" if certificate is None else "https"
    typer.echo(f"serving {found.bundle.manifest.get('name')} on {scheme}://{host}:{port}", err=True)
    typer.echo(RESEARCH_USE, err=True)
    run(app, settings)


def _settings(**given: Any) -> ServiceSettings:
    from pydantic import ValidationError

    from dxtree.service import ServiceSettings

    try:
        return ServiceSettings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        text = str(first["msg"]).removeprefix("Value error, ")
        raise typer.BadParameter(f"{where}: {text}" if where else text) from None
