"""Run the notebooks and keep what they show: `python -m tools.notebooks [NAME ...]`.

They run in a store of their own, after one small sweep for those that read a study. What is kept has no path
of this machine, and the drawing library of an interactive page is named by its address. The metadata keep a
digest of the code that ran, so that a test sees outputs of other code.
"""

import argparse
import base64
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path

import nbformat
import plotly.offline  # type: ignore[import-untyped]
from nbclient import NotebookClient

from pipeline.cli import main as run_command
from pipeline.settings.addresses import make_sqlite_address

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
SWEEP = ("sweep", "data=digits", "search=quick", "search.budget=16trials", "search.study=digits-quick")
HOST_PATH = re.compile(r"(/[\w.-]+)+/(?=mlflow\.db|mlartifacts|frontier\.html)")
SECONDS = 1800
DIGEST = "code_sha256"
"""Key in a notebook's metadata."""


def execute(path: Path) -> nbformat.NotebookNode:
    """Run a notebook; raises where a cell does."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=SECONDS, resources=resources).execute()
    return notebook


def compute_digest(notebook: nbformat.NotebookNode) -> str:
    """Return the SHA-256 of a notebook's code cells but the first, which only installs."""
    _, *code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(code).encode()).hexdigest()


def shorten(notebook: nbformat.NotebookNode) -> None:
    """Leave out of the outputs what is this machine's, what is large, and what every run changes."""
    own = {DIGEST: compute_digest(notebook), "language_info": {"name": "python"}}
    notebook.metadata = {**notebook.metadata, **own}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.get("outputs", ()):
            if "text" in output:
                output["text"] = HOST_PATH.sub("", output["text"])
            for kind, content in output.get("data", {}).items():
                if kind.startswith("text/"):
                    output["data"][kind] = HOST_PATH.sub("", name_library(content))


def name_library(html: str) -> str:
    """Return a page in a frame with the address of plotly.js in the place of its text."""
    code = plotly.offline.get_plotlyjs()
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    version = plotly.offline.get_plotlyjs_version()
    tag = (
        f'<script src="https://cdn.plot.ly/plotly-{version}.min.js" integrity="sha256-{digest}" '
        'crossorigin="anonymous"></script>'
    )
    return html.replace(escape(f"<script>{code}</script>"), escape(tag))


def main(words: Sequence[str]) -> int:
    """Run and write the notebooks that are named, or all."""
    parser = argparse.ArgumentParser("python -m tools.notebooks", description=__doc__)
    parser.add_argument("names", nargs="*", default=[path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))])
    names = parser.parse_args(words).names
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = make_sqlite_address(Path(folder) / "mlflow.db")
        if "frontier" in names and (code := run_command(SWEEP)):
            return code
        for name in names:
            path = NOTEBOOKS / f"{name}.ipynb"
            notebook = execute(path)
            shorten(notebook)
            nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
