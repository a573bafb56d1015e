"""MLflow's server and the pages of studies at one address: what `ui` becomes.

One port is enough where a browser comes through a tunnel. MLflow takes an application of another name only
from an installed package, which a checkout is not; so the one word of its command that names the application
is exchanged here. With a version of MLflow that builds its command in another way there are no pages, and it
says so.
"""

import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeline import signals
from pipeline.processes.environment import make_import_path

if TYPE_CHECKING:
    from fastapi import FastAPI

MLFLOW_APP = "mlflow.server.fastapi_app:app"
EXECUTE = "_exec_cmd"
ADVICE = "[MLflow] Security middleware enabled"
"""Begins a line of MLflow's own: which of its flags would open the server to other machines."""


def create_app() -> "FastAPI":
    """Return MLflow's application with our routes before its own, and so behind its check of hosts."""
    of_server = signal.getsignal(signal.SIGINT)
    signals.end_at_interrupt()
    # MLflow's own import, which nobody who opens the page can change
    warnings.filterwarnings("ignore", "starlette.middleware.wsgi is deprecated")
    from mlflow.server.fastapi_app import app

    from pipeline.tracking.pages.study_routes import ROUTES

    signal.signal(signal.SIGINT, of_server)
    app.router.routes[:0] = ROUTES
    return app  # type: ignore[no-any-return]


def add_pages(command: Sequence[str], module: str) -> list[str]:
    """Return the command of MLflow's server with our application in place of its own: `module` makes it."""
    ours = ["--factory", f"{module}:{create_app.__name__}"]
    return [new for word in command for new in (ours if word == MLFLOW_APP else [word])]


def defer_interrupt_of_server(execute: Callable[..., object], module: str) -> Callable[..., object]:
    """Return what starts the server as `execute` does, with our application, which hears Ctrl-C first."""

    def execute_deaf(command: Sequence[str], *args: object, **more: object) -> object:
        with signals.defer_interrupt():
            return execute(add_pages(command, module), *args, **more)

    return execute_deaf


def silence_advice(echo: Callable[..., None]) -> Callable[..., None]:
    """Return what prints as `echo` does, but for advice on flags that `ui` does not have."""

    def print_rest(message: object = None, *args: object, **more: object) -> None:
        if not str(message).startswith(ADVICE):
            echo(message, *args, **more)

    return print_rest


def main(words: Sequence[str], module: str) -> None:
    """Serve; `words`: those of `mlflow ui`."""
    signals.end_at_interrupt()
    import click
    import mlflow.server
    from mlflow.cli import cli

    click.echo = silence_advice(click.echo)

    execute = getattr(mlflow.server, EXECUTE, None)
    if execute is None:
        print("warning: this version of MLflow cannot serve the pages of studies", file=sys.stderr)
    else:
        setattr(mlflow.server, EXECUTE, defer_interrupt_of_server(execute, module))
    os.environ["PYTHONPATH"] = make_import_path()  # the server's process imports us, too
    cli(["ui", *words])


if __name__ == "__main__":
    assert __spec__ is not None
    main(sys.argv[1:], __spec__.name)
