"""`dxtree fit-fusion`: fusers fitted on out-of-fold evidence, and the model set they complete."""

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
    seed: Annotated[int, typer.Option(help="Decides dropping and folds.")] = 0,
    plugin: PluginOption = None,
) -> None:
    """Fit fusers on out-of-fold evidence of training runs and write a model set."""
    from core.errors import TrainingError
    from core.manifest import read_bundle
    from dxtree.cohorts.reading import read_cohorts
    from dxtree.fitting import fit_fusers, out_of_fold_evidence
    from modalities.training.run import open_run
    from plugins.model_set import MODALITY_MANIFEST, write_model_set

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
    temperatures = {
        m: float(read_bundle(f, MODALITY_MANIFEST).manifest["temperature"]) for m, f in bundles.items()
    }
    cases = out_of_fold_evidence(runs, temperatures)
    typer.echo(f"{len(cases):,} lesions with out-of-fold evidence", err=True)
    fitted = fit_fusers(
        registry,
        names,
        cases,
        runs[0].partition,
        seed,
        licence,
        lambda n: typer.echo(f"fitting {n}", err=True),
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
    )
    for file, size in models.contents().items():
        typer.echo(f"{size:>12,}  {file}", err=True)
