"""Is the extra `report` installed? Imported before everything else here, so that its absence has a name."""

from __future__ import annotations

from core.errors import MissingExtra

try:
    import jinja2  # noqa: F401
    import matplotlib as mpl  # noqa: F401
except ImportError as error:
    raise MissingExtra("drawing figures and writing a report", "report") from error
