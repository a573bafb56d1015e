"""`ui`: the MLflow UI, lean: one worker, no background jobs, no telemetry, loopback only."""

import os
import sys
from collections.abc import Sequence

from pipeline.cli.compose import compose
from pipeline.secrets import masked
from pipeline.settings.tracking import Ui

LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def run(words: Sequence[str]) -> None:
    """Replace this process by the server; `--prepare` only creates the store, for `make run`."""
    prepare_only = list(words) == ["--prepare"]
    settings = compose([] if prepare_only else words).settings
    ui = settings.ui
    from pipeline.tracking import mlflow_store

    client = mlflow_store.open_store()
    mlflow_store.reap(client)
    if prepare_only:
        mlflow_store.experiment_id(client, settings.tracking.experiment)
        return
    address = mlflow_store.uri()
    if address.startswith("http"):
        print(f"The runs are on {masked(address)}; open it in a browser.")
        return
    if adopted := mlflow_store.adopted_run():  # `mlflow run -e ui`: showing runs is no run worth keeping
        client.delete_run(adopted)
    print(f"MLflow UI: {link(ui)}   (Ctrl-C ends it)", flush=True)
    os.environ.update(LEAN)
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *_options(ui, address)])


def link(ui: Ui) -> str:
    return f"http://{ui.host}:{ui.port}"


def base_address() -> str:
    """Where the runs can be looked at: the tracking server itself, or where `ui` listens."""
    from pipeline.tracking import mlflow_store

    address = mlflow_store.uri()
    return masked(address) if address.startswith("http") else link(compose([]).settings.ui)


def _options(ui: Ui, address: str) -> list[str]:
    return ["--backend-store-uri", address, "--host", ui.host, "--port", str(ui.port), "--workers", "1"]
