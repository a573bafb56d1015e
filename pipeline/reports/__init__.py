"""Reports: everything that is drawn or written for a person to read. Nothing here talks to MLflow."""

import os
import sys
from contextlib import suppress


def _import_matplotlib() -> None:
    """Import matplotlib whatever MPLBACKEND names: one that it does not know ended the import, a training.

    Only files are drawn here, for which no backend counts.
    """
    backend = os.environ.pop("MPLBACKEND")
    try:
        import matplotlib
    finally:
        os.environ["MPLBACKEND"] = backend  # for what is started later
    with suppress(ValueError, ImportError):  # a loop of the user's own may draw by it
        matplotlib.rcParams["backend"] = backend


if os.environ.get("MPLBACKEND") and "matplotlib" not in sys.modules:
    _import_matplotlib()
