"""Options that several commands share, and how they become objects. Heavy imports wait for the call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.cohort import LabelledImage
    from core.split import Split
    from dxtree.audit import AuditTrail
    from plugins.model_set import ModelSet
    from plugins.registry import Registry

PluginOption = Annotated[
    list[str] | None,
    typer.Option("--plugin", help="A one-file plugin, or the name of an installed one. Repeatable."),
]
ModelsOption = Annotated[
    str | None,
    typer.Option("--models", help="Name or folder of a model set. Default: the one trained on real lesions."),
]
FuserOption = Annotated[
    str | None, typer.Option("--fuser", help="How to fuse; default: the model set's own.")
]
CalibrationOption = Annotated[
    str | None,
    typer.Option(
        "--calibration",
        help="The fuser's calibration, such as milk10k, or none; default: the model set's own.",
    ),
]
PredictionSetsOption = Annotated[
    Path | None,
    typer.Option(
        "--prediction-sets",
        help="A fitted rule as JSON (SetRule.to_dict()): what remains possible is stated as well.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
CohortOption = Annotated[
    list[str],
    typer.Option("--cohort", help="NAME=FOLDER, such as milk10k=data/milk10k. Repeatable."),
]


def registry_of(plugin: list[str] | None, *, warn: bool = True) -> Registry:
    """Built-in plugins and those of the environment and the options.

    One that fails stops nothing else; with `warn` a line on standard error says so.
    """
    from plugins.assembly import load_registry
    from plugins.config import Settings

    registry = load_registry(Settings.from_environment().with_plugins(tuple(plugin or ())))
    for status in registry.manager.statuses if warn else ():
        if status.cause is not None:
            typer.echo(f"warning: left out: {status.cause.safe_message}", err=True)
    return registry


def models_of(registry: Registry, models: str | None) -> ModelSet:
    """The model set of the option, of the environment, or the shipped one."""
    from plugins.assembly import find_model_set
    from plugins.config import Settings

    return find_model_set(registry, models or Settings.from_environment().models)


def trail_of(path: Path, key: Path | None, registry: Registry, plugin: list[str] | None) -> AuditTrail:
    """The audit trail of a file, opened. Raises `AuditError`."""
    from dxtree.audit import AuditTrail, plugin_versions
    from plugins.config import Settings

    files = Settings.from_environment().with_plugins(tuple(plugin or ())).files()
    return AuditTrail(path, key=key, plugins=plugin_versions(registry.manager, files))


def settings_of(texts: Sequence[str]) -> dict[str, Any]:
    """FIELD=VALUE of `--set`, each value read as YAML. Raises `typer.BadParameter` for what is none."""
    import yaml

    found: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise typer.BadParameter(f"--set takes FIELD=VALUE, not {text!r}")
        try:
            found[name] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError) as error:
            raise typer.BadParameter(f"--set {name}: the value is no YAML") from error
    return found


def print_json(document: object) -> None:
    """One JSON document on standard output; a number that is not finite is an error, never NaN."""
    import json

    typer.echo(json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False))


def existing(path: Path, what: str) -> Path:
    """The path itself. Raises `PathRejected` where nothing is there."""
    from core.errors import PathRejected

    if not path.exists():
        raise PathRejected(f"{what} does not exist")
    return path


def writable_folder(path: Path) -> None:
    """Raises `PathRejected` where a file stands in a folder's place."""
    from core.errors import PathRejected

    if path.exists() and not path.is_dir():
        raise PathRejected(f"{path.name} is a file; name a folder")


def check_report_extras() -> None:
    """Raises `MissingExtra` where no page can be drawn here."""
    from importlib.util import find_spec

    from core.errors import MissingExtra

    if any(find_spec(name) is None for name in ("jinja2", "matplotlib")):
        raise MissingExtra("the page", "report")


def split_of(
    images: Sequence[LabelledImage],
    given: Path | None,
    *,
    validation: float,
    folds: int,
    seed: int,
    quality: bool = False,
) -> Split:
    """The split of a file, or one made here over connected components, with progress on standard error.

    Raises `CohortError` where the file is no split.
    """
    import json

    from core.errors import CohortError
    from core.split import Split
    from dxtree.splitting.guard import guarded_split

    if given is not None:
        try:
            return Split.from_dict(json.loads(existing(given, "the split").read_text("utf-8")))
        except ValueError as error:
            raise CohortError(f"{given.name} is no JSON; `dxtree split` writes one") from error
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking for leaks", total=len(images))
        return guarded_split(
            images,
            validation=validation,
            folds=folds,
            seed=seed,
            quality=quality,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )[0]


def check_experiment_extras() -> None:
    """Raises `MissingExtra` where an experiment cannot be trained and drawn here."""
    from importlib.util import find_spec

    from core.errors import MissingExtra

    if any(find_spec(name) is None for name in ("imagehash", "jinja2", "matplotlib", "torch", "torchvision")):
        raise MissingExtra("an experiment", "train,report")
