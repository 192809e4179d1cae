"""`dxtree fit-fusion`: fusers and calibrations fitted on out-of-fold evidence, and the set they complete."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dxtree.cli.options import CohortOption, PluginOption, registry_of


def fit_fusion(
    run: Annotated[list[Path], typer.Option(help="Folder of a finished training run. One a modality.")],
    cohort: CohortOption,
    out: Annotated[Path, typer.Option(help="Folder of the model set to write.")],
    fuser: Annotated[
        list[str] | None, typer.Option(help="Fusers to fit; default: all that are known. Repeatable.")
    ] = None,
    default: Annotated[
        str, typer.Option(help="The fuser that answers unless another is asked for.")
    ] = "logistic",
    taxonomy: Annotated[str, typer.Option(help="Name of the disease tree of the runs.")] = "isic_diagnosis",
    name: Annotated[str, typer.Option(help="Name of the model set.")] = "models",
    description: Annotated[str, typer.Option(help="One sentence on what it was trained on.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the models, as their data allow.")] = "not stated",
    card: Annotated[
        Path | None, typer.Option(help="Model card in Markdown to put beside the models.")
    ] = None,
    licence_file: Annotated[Path | None, typer.Option(help="Text of the licence to put beside.")] = None,
    demonstration: Annotated[bool, typer.Option(help="Mark the set as one for demonstration only.")] = False,
    calibrate: Annotated[
        bool, typer.Option(help="Fit calibrations of every fuser, on each cohort and on all; slower.")
    ] = True,
    calibration: Annotated[
        str,
        typer.Option(help="The calibration that is applied unless another is asked for: a cohort or all."),
    ] = "none",
    seed: Annotated[int, typer.Option(help="Decides dropping and folds.")] = 0,
    plugin: PluginOption = None,
) -> None:
    """Fit fusers and their calibrations on out-of-fold evidence of training runs and write a model set."""
    from core.errors import TrainingError
    from dxtree.cohorts.reading import read_cohorts
    from dxtree.fitting import check_calibration, fit_calibrations, fit_fusers, out_of_fold_evidence
    from modalities.training.run import open_run
    from plugins.model_set import UNCALIBRATED, write_model_set

    registry = registry_of(plugin)
    names = fuser or list(registry.fusers.names())
    if registry.fusers.get(default).fit is not None and default not in names:
        raise TrainingError(f"the default fuser {default!r} is not among those to fit: {', '.join(names)}")
    tree = registry.taxonomies.get(taxonomy).load()
    images = read_cohorts(registry, cohort, tree)
    runs = [open_run(folder, tree, images) for folder in run]
    bundles = {r.config.modality: r.folder / "bundle" for r in runs}
    if len(bundles) != len(runs):
        raise TrainingError("two runs are of one modality; give one run a modality")
    cases = out_of_fold_evidence(runs)
    typer.echo(f"{len(cases):,} lesions with out-of-fold evidence", err=True)
    check_calibration(calibration, cases if calibrate else [])
    material = (cases, runs[0].partition, seed, licence)
    fitted = fit_fusers(registry, names, *material, lambda n: typer.echo(f"fitting {n}", err=True))
    calibrated = {}
    if calibrate:
        usable = sorted({*names, default})
        calibrated = fit_calibrations(
            registry, usable, *material, lambda n: typer.echo(f"calibrating {n}", err=True)
        )
    texts = {"card.md": card, "LICENCE.txt": licence_file}
    models = write_model_set(
        out,
        runs[0].partition,
        runs[0].split,
        modalities=bundles,
        fusers=fitted,
        default_fuser=default,
        about={"name": name, "description": description, "licence": licence, "demonstration": demonstration},
        texts={file: path.read_bytes() for file, path in texts.items() if path is not None},
        calibrations=calibrated,
        default_calibration=None if calibration == UNCALIBRATED else calibration,
    )
    for file, size in models.contents().items():
        typer.echo(f"{size:>12,}  {file}", err=True)
