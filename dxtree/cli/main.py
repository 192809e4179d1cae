"""The command line: what commands are there, and how does a fault end?

Exit codes: 0 done; 1 a fault of dxtree; 2 the input or an option is at fault; 3 a model, bundle or plugin
cannot be used; 4 a training run cannot go on; 5 the loss is not finite; 6 the run is locked; 130 and 143
interrupted.
"""

from __future__ import annotations

import gc
import sys

from dxtree.cli.commands import LazyCommands, make_app

INTERRUPTED = (130, 143)
GARBAGE_THRESHOLD = 50_000
"""Objects that may be made before cycles among them are looked for: imports make many, and no garbage."""

app = make_app(
    name="dxtree",
    cls=LazyCommands,
    help="Diagnosis on a disease tree from several images of one lesion and the patient's metadata. "
    "For research use only; not a medical device.",
    no_args_is_help=True,
)


@app.callback()
def dxtree() -> None:
    """Holds the commands, which `LazyCommands` finds."""


def run() -> None:
    """Runs the command line. A typed fault is one line on standard error and its own exit code."""
    gc.set_threshold(GARBAGE_THRESHOLD, *gc.get_threshold()[1:])
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
    finally:
        gc.freeze()  # what is alive at the end is not garbage: looking takes a tenth of a diagnosis
