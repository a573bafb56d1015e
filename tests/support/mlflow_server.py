"""A tracking server of one's own on loopback."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from pipeline.cli.ui import LEAN_ENVIRONMENT
from tests.support.postgres import free_port


@contextmanager
def running_mlflow_server(folder: Path) -> Iterator[str]:
    """Yield the address of a fresh server, whose files lie in `folder`; what it says is in `server.txt`."""
    folder.mkdir(exist_ok=True)
    port, said = free_port(), folder / "server.txt"
    options = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"]
    options += ["--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1"]
    with said.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options, "--port", str(port)],
            env={**os.environ, **LEAN_ENVIRONMENT},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        while not _answers(address):
            assert server.poll() is None, said.read_text()
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/health", timeout=2).ok
    except requests.ConnectionError:
        return False
