"""The command `ui`: the MLflow UI with one worker, no background jobs, no telemetry, on this machine."""

import errno
import os
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline import signals
from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.files import any_home
from pipeline.secrets import mask
from pipeline.settings import addresses
from pipeline.settings.command_line import PROGRAM
from pipeline.settings.tracking import Ui

if TYPE_CHECKING:
    from mlflow import MlflowClient

STUDIES = 3
"""Studies whose runs are printed."""
LEAN_ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def run(words: Sequence[str]) -> None:
    """Replace this process by the server; with `--prepare` only create the store, for `make run`."""
    prepare_only = list(words) == ["--prepare"]
    settings = compose([] if prepare_only else words).settings
    ui = settings.ui
    from pipeline.tracking import mlflow_store
    from pipeline.tracking.pages import server, study_routes
    from pipeline.tracking.runs import adopted_run, orphans

    client = mlflow_store.open_store()
    orphans.end_orphans(client)
    if prepare_only:
        mlflow_store.find_or_create_experiment(client, settings.tracking.experiment)
        return
    adopted_run.discard_adopted_run(client)  # `mlflow run -e ui`: showing runs is no run to keep
    address = addresses.read_uri()
    if address.startswith("http"):
        print(f"The runs are on {mask(address)}; open it in a browser.")
        return
    _check_port(ui)
    print(f"MLflow UI: {build_link(ui)}   (Ctrl-C ends it)")
    print(f"Pages of studies: {build_link(ui)}{study_routes.STUDIES}")
    if studies := _list_studies(client, ui):
        print("Newest studies in MLflow:", *studies, sep="\n")
    sys.stdout.flush()
    os.environ.update(LEAN_ENVIRONMENT | _name_stores(address))
    with signals.defer_interrupt(), any_home():
        os.execv(sys.executable, [sys.executable, "-m", server.__name__, *_list_options(ui)])


def _check_port(ui: Ui) -> None:
    """Raise where nothing can listen on the address.

    Raises:
        BadSetting: another program listens there, the host is not of this machine, or it may not be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(ui.host, ui.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            trial.listen(1)
    except socket.gaierror as error:
        raise BadSetting(
            f"ui.host must be an address of this machine, got {ui.host} ({error.strerror}); leave it out"
        ) from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise BadSetting(
                f"ui.host must be an address of this machine, got {ui.host}; leave it out"
            ) from None
        free = ui.port + 1 if ui.port < 65535 else 5000
        raise BadSetting(
            f"ui.port must be free, got {ui.port} ({os.strerror(error.errno or 0).lower()}); "
            f"use ui.port={free}"
        ) from None


def _list_studies(client: "MlflowClient", ui: Ui) -> list[str]:
    """List the runs of the newest studies, a line each."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    condition = "tags.stage = 'sweep'"
    newest = client.search_runs(
        experiments, condition, max_results=STUDIES, order_by=["attributes.start_time DESC"]
    )
    routes = [addresses.make_run_route(run.info.experiment_id, run.info.run_id) for run in newest]
    return [
        f"  {run.info.run_name}: {build_link(ui)}/{route}" for run, route in zip(newest, routes, strict=True)
    ]


def format_ui_command() -> str:
    """Return the command that opens the UI, as the user has it."""
    return "make ui" if addresses.CHECKOUT else f"{PROGRAM} ui"


def build_link(ui: Ui) -> str:
    """Return the address of MLflow's UI."""
    return f"http://{ui.host}:{ui.port}"


def find_base_address(ui: Ui) -> str:
    """Return the address of the runs: that of the tracking server, or that on which `ui` listens."""
    address = addresses.read_uri()
    return mask(address) if address.startswith("http") else build_link(ui)


def _name_stores(address: str) -> dict[str, str]:
    """Name the stores of runs and of models to the server: whoever lists processes reads its words."""
    registry = os.environ.get(addresses.REGISTRY_URI) or address
    return {"MLFLOW_BACKEND_STORE_URI": address, "MLFLOW_REGISTRY_STORE_URI": registry}


def _list_options(ui: Ui) -> list[str]:
    place = ["--host", ui.host, "--port", str(ui.port)]
    return [*place, "--workers", "1", "--uvicorn-opts", "--log-level warning"]
