"""The command `ui`: the MLflow UI with one worker, no background jobs, no telemetry, on this machine."""

import os
import sys
from collections.abc import Sequence

from pipeline.cli.compose import compose
from pipeline.secrets import mask
from pipeline.settings import addresses
from pipeline.settings.command_line import PROGRAM
from pipeline.settings.tracking import Ui

LEAN_ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def run(words: Sequence[str]) -> None:
    """Replace this process by the server; with `--prepare` only create the store, for `make run`."""
    prepare_only = list(words) == ["--prepare"]
    settings = compose([] if prepare_only else words).settings
    ui = settings.ui
    from pipeline.tracking import adopted_run, mlflow_runs, mlflow_store

    client = mlflow_store.open_store()
    mlflow_runs.end_orphans(client)
    if prepare_only:
        mlflow_store.find_or_create_experiment(client, settings.tracking.experiment)
        return
    adopted_run.discard_adopted_run(client)  # `mlflow run -e ui`: showing runs is no run to keep
    address = addresses.read_uri()
    if address.startswith("http"):
        print(f"The runs are on {mask(address)}; open it in a browser.")
        return
    print(f"MLflow UI: {build_link(ui)}   (Ctrl-C ends it)", flush=True)
    os.environ.update(LEAN_ENVIRONMENT)
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *_list_options(ui, address)])


def format_ui_command() -> str:
    """Return the command that opens the UI, as the user has it."""
    return "make ui" if addresses.CHECKOUT else f"{PROGRAM} ui"


def build_link(ui: Ui) -> str:
    return f"http://{ui.host}:{ui.port}"


def find_base_address() -> str:
    """Return the address of the runs: that of the tracking server, or that on which `ui` listens."""
    address = addresses.read_uri()
    return mask(address) if address.startswith("http") else build_link(compose([]).settings.ui)


def _list_options(ui: Ui, address: str) -> list[str]:
    return ["--backend-store-uri", address, "--host", ui.host, "--port", str(ui.port), "--workers", "1"]
