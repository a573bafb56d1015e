"""Variables of this process, and where it and those that it starts look for modules."""

import os
import sys
from pathlib import Path


def find_modules_here() -> None:
    """Let this process import what lies in the folder that it is in, as Python alone does for a script."""
    if "" not in sys.path:
        sys.path.insert(0, "")


def set_variable(name: str, value: str | None) -> None:
    """Set a variable of this process' environment; None: let there be none."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def make_import_path() -> str:
    """Make a PYTHONPATH by which a process finds this program, and then what that of this process names."""
    program = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, [program, os.environ.get("PYTHONPATH")]))
