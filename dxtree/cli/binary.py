"""`dxtree binary`: two sets of nodes against each other, with the curve, operating points and readers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dxtree.cli.options import (
    JsonOption,
    ModelsOption,
    PluginOption,
    existing,
    models_of,
    print_json,
    registry_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.cohort import LabelledImage, Lesion
    from core.pipeline import Pipeline
    from core.protocols import Fuser
    from core.tree import FloatArray
    from dxtree.binary import BinaryTask, ReaderPoint, TaskResult

OWN = "own"
"""Name of a task that is made of --positive and --negative."""


def binary(
    cohort: Annotated[str, typer.Option(help="milk10k, ham10000, isic, synthetic, or a plugin's.")],
    data: Annotated[Path, typer.Option(help="Folder with metadata.csv and images.")],
    task: Annotated[
        str | None,
        typer.Option(
            help="carcinoma-keratosis-clinical, melanoma-nevus-clinical, melanoma-nevus-dermoscopy, or a "
            "YAML or JSON file with one task."
        ),
    ] = None,
    positive: Annotated[
        list[str] | None, typer.Option(help="Node of the positive set, in place of --task. Repeatable.")
    ] = None,
    negative: Annotated[
        list[str] | None, typer.Option(help="Node of the negative set, in place of --task. Repeatable.")
    ] = None,
    modality: Annotated[
        str | None, typer.Option(help="Take the images of this modality alone. Default: the task's, or all.")
    ] = None,
    fuser: Annotated[
        str, typer.Option(help="image_only, or a fuser of the model set, which may use metadata.")
    ] = "image_only",
    lesions: Annotated[
        str, typer.Option(help="all, or validation: those that the model set held out of training.")
    ] = "all",
    readers: Annotated[
        Path | None,
        typer.Option(help="CSV of reader points. Default: the paper's means, which saw other images."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for result.json and the figure (SVG, PNG).")
    ] = None,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples behind every interval.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    engine: Annotated[str, typer.Option(help="auto, or an engine of `dxtree bench`.")] = "auto",
    models: ModelsOption = None,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Tell two sets of nodes apart: AUC, operating points, and readers beside the curve."""
    from core.cohort import lesions as grouped
    from dxtree.binary import judge
    from dxtree.binary.show import print_result
    from dxtree.cli.evaluate import choose
    from plugins.assembly import assemble, load_fuser
    from plugins.registry import guarded

    chosen_task = task_of(task, positive or [], negative or [], modality)
    points = readers_for(chosen_task, readers)
    if out is not None:
        prepare(out)
    registry = registry_of(plugin)
    found = models_of(registry, models)
    spec = registry.cohorts.get(cohort)
    tree = found.partition.taxonomy
    chosen_task.check(tree)
    pipeline = assemble(registry, found, engine=engine)
    fusers = {} if fuser == "image_only" else {fuser: load_fuser(registry, found, fuser)}
    images = guarded(f"cohort {cohort!r}", lambda: spec.read(existing(data, "the data folder"), tree))
    every, notices = choose(grouped(of_modality(images, chosen_task.modality)), lesions, found)
    values = answers(chosen_task, every, pipeline, fusers)
    malignant = spec.malignant if spec.malignant in tree else None
    result = judge(
        chosen_task,
        every,
        values,
        found.partition,
        malignant=malignant,
        readers=points,
        resamples=resamples,
        seed=seed,
    )
    document = {"cohort": cohort, "lesions": lesions, "fuser": fuser, "notices": notices, **result.to_dict()}
    document["models"] = {key: str(value) for key, value in pipeline.provenance.items()}
    if out is not None:
        write(result, points, document, out)
    if json:
        print_json(document)
        return
    for notice in notices:
        typer.echo(f"notice: {notice}", err=True)
    print_result(result)


def prepare(out: Path) -> None:
    """Makes the folder before the nets run. Raises `PathRejected`, or `MissingExtra` without matplotlib."""
    import dxtree.figures  # noqa: F401
    from core.errors import PathRejected

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathRejected(
            f"the folder {out.name!r} cannot be made ({type(error).__name__}); name another one"
        ) from None


def task_of(name: str | None, positive: list[str], negative: list[str], modality: str | None) -> BinaryTask:
    """The task of the options. Raises `typer.BadParameter` for both or neither way to name one."""
    from core.errors import CohortError, did_you_mean
    from core.taxonomy import SEPARATOR
    from dxtree.binary import PAPER_TASKS, BinaryTask, read_tasks

    if (name is None) == (not positive and not negative):
        raise typer.BadParameter("give either --task, or --positive and --negative")
    if name is None:
        if not positive or not negative:
            raise typer.BadParameter("--positive and --negative go together, each at least once")
        sides = (" or ".join(n.rpartition(SEPARATOR)[2] for n in nodes) for nodes in (positive, negative))
        title = " against ".join(sides)
        return BinaryTask.from_dict(
            {
                "name": OWN,
                "title": title[:200],
                "positive": positive,
                "negative": negative,
                "modality": modality,
            }
        )
    known = {task.name: task for task in PAPER_TASKS}
    if name in known:
        found = known[name]
    elif Path(name).suffix in (".yaml", ".yml", ".json"):
        tasks = read_tasks(existing(Path(name), "the file of the task"))
        if len(tasks) != 1:
            raise CohortError(f"{Path(name).name} holds {len(tasks)} tasks; one is needed here")
        found = tasks[0]
    else:
        raise CohortError(
            f"task {name!r} is unknown{did_you_mean(name, known)}; there are {', '.join(known)}, "
            "or name a file that ends in .yaml or .json"
        )
    return found if modality is None else found.model_copy(update={"modality": modality})


def readers_for(task: BinaryTask, file: Path | None) -> tuple[ReaderPoint, ...]:
    """The points of the task. Raises `CohortError` where a file that was named has none."""
    from core.errors import CohortError
    from dxtree.binary import esteva_readers, read_readers, readers_of

    every = esteva_readers() if file is None else read_readers(existing(file, "the CSV of readers"))
    found = readers_of(task.name, every)
    if file is not None and not found:
        named = sorted({p.task for p in every})
        raise CohortError(
            f"{file.name} has no reader of task {task.name!r}, but of {', '.join(named) or 'no task'}"
        )
    return found


def of_modality(images: Sequence[LabelledImage], modality: str | None) -> list[LabelledImage]:
    """The images of one modality, or all. Raises `CohortError` where there is none of it."""
    from core.errors import CohortError, did_you_mean

    found = [i for i in images if modality in (None, i.modality)]
    if not found:
        known = sorted({i.modality for i in images})
        raise CohortError(
            f"the cohort has no {modality!r} image, but {', '.join(known)}"
            f"{did_you_mean(str(modality), known)}"
        )
    return found


def answers(
    task: BinaryTask, lesions: list[Lesion], pipeline: Pipeline, fusers: dict[str, Fuser]
) -> FloatArray:
    """Probabilities of the training classes, lesions x classes; NaN outside the task and without an answer.

    Only lesions of the task are read. Raises `CohortError` where none of them gets an answer.
    """
    import numpy as np
    from rich.console import Console
    from rich.progress import Progress

    from core.errors import CohortError
    from dxtree.evaluation import gather, predict

    values = np.full((len(lesions), len(pipeline.partition.classes)), np.nan)
    rows = task.select([lesion.label for lesion in lesions], pipeline.partition.taxonomy).rows
    with Progress(console=Console(stderr=True), transient=True) as bar:
        running = bar.add_task("reading images", total=len(rows))

        def progress(done: int, total: int, rate: float) -> None:
            bar.update(running, completed=done, total=total, description=f"{rate:.0f} images/s")

        gathering = gather([lesions[k] for k in rows], pipeline, progress=progress)
    predictions = predict(gathering, pipeline, fusers, variants=())
    # The fuser that was asked for; else what takes most images: both modalities, or the only one there is.
    name = next(iter(fusers), "") or next(reversed(list(predictions.values)), "")
    if name not in predictions.values:
        raise CohortError(
            f"no lesion of task {task.name} got an answer; check the modality, and that the cohort holds "
            "lesions of both sets"
        )
    values[rows] = predictions.values[name]
    return values


def write(result: TaskResult, readers: Sequence[ReaderPoint], document: dict[str, object], out: Path) -> None:
    """Writes `result.json`, `curve.svg` and `curve.png` into the folder."""
    import json

    from core.files import write_whole
    from dxtree.binary import SCORE_TITLES
    from dxtree.figures import save, sensitivity_specificity_figure

    text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
    write_whole(out / "result.json", text.encode("utf-8"))
    figure = sensitivity_specificity_figure(
        {SCORE_TITLES[name]: curve for name, curve in result.curves.items()},
        title=result.task.title,
        readers=readers,
    )
    for suffix in ("svg", "png"):
        save(figure, out / f"curve.{suffix}")
