"""Where the pages of studies are served: a list of them, and of each one its page and its feed."""

import re
import time
from html import escape
from pathlib import Path

from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from pipeline.settings.addresses import FEED, PAGE, make_run_route
from pipeline.tracking import mlflow_runs, mlflow_store

STUDIES = "/studies"
LISTED = 200
"""So many studies are on the list, the newest first."""
RUN_ID = re.compile(r"[0-9a-f]{32}")
KINDS = {PAGE: "text/html", FEED: "text/javascript"}
# A page is an artifact, which anybody may have uploaded: its scripts get no access to what MLflow serves.
HEADERS = {
    "Content-Security-Policy": "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
STYLE = (
    '<link rel="icon" href="data:,"><style>'
    ":root { color-scheme: light dark; } body { font: 15px/1.6 system-ui, sans-serif; margin: 24px; } "
    "td, th { text-align: left; padding: 2px 18px 2px 0; }</style>"
)


def list_studies(_: Request) -> Response:
    """Show the newest studies: the page of each, and its run."""
    client = mlflow_store.open_store()
    names = {each.experiment_id: each.name for each in client.search_experiments()}
    order = ["attributes.start_time DESC"]
    runs = client.search_runs(list(names), "tags.stage = 'sweep'", max_results=LISTED, order_by=order)
    rows = "".join(_render_row(run, names[run.info.experiment_id]) for run in runs)
    table = (
        f"<table><tr><th>study</th><th>begun</th><th>state</th><th></th></tr>{rows}</table>"
        if rows
        else "<p>No study yet; begin one with: <code>python -m pipeline sweep</code></p>"
    )
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Studies</title>{STYLE}'
    return HTMLResponse(f'{head}<h1>Studies</h1>{table}<p><a href="/">MLflow</a></p>', headers=HEADERS)


def _render_row(run: Run, experiment: str) -> str:
    name, run_id = escape(f"{run.info.run_name}"), run.info.run_id
    has_page = (page := _find_file(run, PAGE)) is not None and page.exists()
    first = f'<a href="{STUDIES}/{run_id}">{name}</a>' if has_page else name
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.info.start_time / 1000))
    link = "/" + make_run_route(run.info.experiment_id, run_id)
    return (
        f"<tr><td>{first}</td><td>{begun}</td><td>{run.info.status.lower()}</td>"
        f'<td><a href="{link}">in MLflow, experiment {escape(experiment)}</a></td></tr>'
    )


def open_page(request: Request) -> Response:
    """Lead to the page of a study's run."""
    return RedirectResponse(f"{STUDIES}/{request.path_params['run_id']}/{PAGE}")


def send_file(request: Request) -> Response:
    """Send the page or the feed of a study's run."""
    run_id, name = request.path_params["run_id"], request.path_params["name"]
    file = _find_file_of(run_id, name) if RUN_ID.fullmatch(run_id) and name in KINDS else None
    if file is None or not file.is_file():
        remedy = "write one with: python -m pipeline frontier --study NAME --open"
        return PlainTextResponse(f"there is no page of a study here; {remedy}\n", 404, headers=HEADERS)
    return FileResponse(file, headers=HEADERS, media_type=KINDS[name])


def _find_file_of(run_id: str, name: str) -> Path | None:
    try:
        return _find_file(mlflow_store.open_store().get_run(run_id), name)
    except MlflowException:
        return None


def _find_file(run: Run, name: str) -> Path | None:
    folder = mlflow_runs.locate_artifacts(run)
    return folder / name if folder else None


ROUTES = [
    Route(STUDIES, list_studies),
    Route(f"{STUDIES}/{{run_id}}", open_page),
    Route(f"{STUDIES}/{{run_id}}/{{name}}", send_file),
]
