"""How much memory does one engine take? Prints megabytes: `python -m dxtree.speed.memory FOLDER ENGINE`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from core.manifest import read_bundle
from modalities.engines import load_engine
from plugins.model_set import MODALITY_MANIFEST

STATUS = Path("/proc/self/status")


def main() -> None:
    """Loads the net of the bundle in a folder, judges one image, prints the peak of the resident set."""
    folder, engine = Path(sys.argv[1]), sys.argv[2]
    bundle = read_bundle(folder, MODALITY_MANIFEST)
    side = int(bundle.require("preprocessing", dict)["size"])
    load_engine(bundle, engine)(np.zeros((1, 3, side, side), np.float32))
    peak = peak_bytes()
    if peak is not None:
        sys.stdout.write(f"{peak / 1e6:.1f}")


def peak_bytes() -> int | None:
    """Largest resident set of this process so far; `None` where the system does not tell."""
    try:
        # Linux's getrusage would count what the parent had before this program was started in its place.
        lines = STATUS.read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows does not tell
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, others kibibytes


if __name__ == "__main__":
    main()
