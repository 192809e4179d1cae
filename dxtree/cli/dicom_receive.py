"""`dxtree dicom-receive`: images of a DICOM network in, a folder of answers out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dxtree.cli.options import ModelsOption, PluginOption, models_of, registry_of


def dicom_receive(
    out: Annotated[Path, typer.Option(help="Folder of the answers, one folder a lesion.")],
    title: Annotated[str, typer.Option(help="Our application entity title.")] = "DXTREE",
    host: Annotated[
        str, typer.Option(help="Address to listen on; loopback unless told otherwise.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 11112,
    caller: Annotated[
        list[str] | None,
        typer.Option(help="An application entity title that may call; default: any. Repeatable."),
    ] = None,
    models: ModelsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Receive images by C-STORE and diagnose them, one association a lesion. Ends with Ctrl-C.

    For research use only; not a medical device.
    """
    import threading

    from dxtree.dicomnet import Inbox, Receiver
    from plugins.assembly import assemble

    registry = registry_of(plugin)
    pipeline = assemble(registry, models_of(registry, models))
    inbox = Inbox(out, pipeline.diagnose)
    with Receiver(inbox.take, title=title, host=host, port=port, callers=caller or ()) as receiver:
        typer.echo(f"{title} listens on {host}:{receiver.port}; answers go to {out}")
        threading.Event().wait()
