"""How is ONNX Runtime imported so that it reports to nobody?

Its build 1.32 for Linux holds a client that sends telemetry to its maker and leaves a file of session ids in
the temporary folder. It looks at the environment when it is imported, so that is where it is told.
"""

from __future__ import annotations

import os
from threading import Lock
from types import ModuleType

SWITCH = "ORT_DISABLE_TELEMETRY"
_lock = Lock()


def onnxruntime() -> ModuleType:
    """The module `onnxruntime`, its telemetry off; the environment is as before once it is imported.

    Where another package imported it first, the events of this process are switched off from here on.
    """
    with _lock:
        before = os.environ.get(SWITCH)
        os.environ[SWITCH] = "1"
        try:
            import onnxruntime as found
        finally:
            if before is None:
                del os.environ[SWITCH]
            else:
                os.environ[SWITCH] = before
        found.disable_telemetry_events()
    return found  # type: ignore[no-any-return]
