"""The command line: what commands are there, and how does a fault end?

Exit codes: 0 done; 1 a fault of dxtree; 2 the input or an option is at fault; 3 a model, bundle or plugin
cannot be used; 4 a training run cannot go on; 5 the loss is not finite; 6 the run is locked; 130 and 143
interrupted.
"""

from __future__ import annotations

import sys

import typer

from dxtree.cli import (
    audit,
    bench,
    benchmark,
    binary,
    compress,
    demo,
    diagnose,
    diagnose_many,
    dicom_receive,
    doctor,
    drift,
    evaluate,
    evidence,
    experiment,
    export,
    export_phone,
    fit_fusion,
    fit_head,
    keys,
    models,
    partition,
    plugins,
    reproduce,
    serve,
    split,
    survey,
    synthesize,
    train,
)

INTERRUPTED = (130, 143)

app = typer.Typer(
    name="dxtree",
    help="Diagnosis on a disease tree from several images of one lesion and the patient's metadata. "
    "For research use only; not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("diagnose")(diagnose.diagnose)
app.command("diagnose-many")(diagnose_many.diagnose_many)
app.command("dicom-receive")(dicom_receive.dicom_receive)
app.command("partition")(partition.partition)
app.command("synthesize")(synthesize.synthesize)
app.command("survey")(survey.survey)
app.command("split")(split.split)
app.command("train")(train.train)
app.command("fit-head")(fit_head.fit_head)
app.command("fit-fusion")(fit_fusion.fit_fusion)
app.command("evaluate")(evaluate.evaluate)
app.command("evidence")(evidence.evidence)
app.command("bench")(bench.bench)
app.command("benchmark")(benchmark.benchmark)
app.command("experiment")(experiment.experiment)
app.command("reproduce")(reproduce.reproduce)
app.command("export")(export.export)
app.command("export-phone")(export_phone.export_phone)
app.command("compress")(compress.compress)
app.command("serve")(serve.serve)
app.add_typer(keys.app, name="keys")
app.command("binary")(binary.binary)
app.add_typer(plugins.app, name="plugins")
app.add_typer(audit.app, name="audit")
app.command("drift")(drift.drift)
app.command("models")(models.models)
app.command("doctor")(doctor.doctor)


def run() -> None:
    """Runs the command line. A typed fault is one line on standard error and its own exit code."""
    try:
        app()
    except SystemExit as ended:
        if ended.code in INTERRUPTED:  # typer has turned Ctrl-C into its exit code by now
            print("interrupted; what was saved is whole, the same command resumes", file=sys.stderr)  # noqa: T201
        raise
    except BrokenPipeError:
        raise SystemExit(0) from None
    except Exception as error:
        # Importing core.errors here would cost every `--help` numpy and pydantic; by the time that a
        # DxtreeError can be raised, core is loaded.
        errors = sys.modules.get("core.errors")
        if errors is None or not isinstance(error, errors.DxtreeError):
            raise
        print(f"error: {error.safe_message}", file=sys.stderr)  # noqa: T201
        raise SystemExit(error.exit_code) from None
