"""MLflow's scoring server as a process that ends with this one, whatever ends this one."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from pipeline import signals
from pipeline.errors import BadModel, format_one_line
from pipeline.secrets import mask

HOST = "127.0.0.1"
START_SECONDS, GRACE_SECONDS, POLL_SECONDS = 300.0, 5.0, 0.05
APPLICATION = "mlflow.pyfunc.scoring_server.app:app"
# Linux tells a process that its parent has died, where it has asked for that; a kill leaves no other chance.
PROGRAM = """
import ctypes, os, signal, sys
try:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
except (OSError, AttributeError):
    pass
if os.getppid() != int(sys.argv.pop(1)):
    sys.exit(1)
from uvicorn.main import main
main()
"""


@dataclass(frozen=True, slots=True)
class ScoringServer:
    """A server that answers; `load_seconds`: from its start until it did."""

    host: str
    port: int
    load_seconds: float
    process: "subprocess.Popen[bytes]"

    def answers(self, patience: float) -> bool:
        """Return whether it answers within `patience` seconds; it may have a queue to work off."""
        until = time.monotonic() + patience
        while self.process.poll() is None:
            if _answers(self.port):
                return True
            if time.monotonic() >= until:
                break
            time.sleep(POLL_SECONDS)
        return False


@contextmanager
def serve(folder: Path, workers: int, environment: Mapping[str, str]) -> Iterator[ScoringServer]:
    """Serve the model that MLflow saved in `folder` as `mlflow models serve` does; end it with the block.

    `workers`: processes that answer; `environment`: of variables.

    Raises:
        BadModel: the server ends before it answers, or does not within five minutes.
    """
    port, log = _find_free_port(), tempfile.TemporaryFile()  # noqa: SIM115
    _, variables = import_module("mlflow.pyfunc.scoring_server").get_cmd(str(folder))
    given = {key: value for key, value in variables.items() if value != os.environ.get(key)}
    words = [APPLICATION, "--host", HOST, "--port", str(port), "--workers", str(workers)]
    start = time.perf_counter()
    process = None
    try:
        with signals.hold_back():
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(os.getpid()), *words, "--log-level", "warning"],
                # its temporary files are ours: it leaves some behind
                env={**environment, **given, "TMPDIR": tempfile.gettempdir()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() - start > START_SECONDS:
                log.seek(0)
                raise BadModel(_explain_end(log.read().decode(errors="replace"), folder))
            time.sleep(POLL_SECONDS)
        yield ScoringServer(HOST, port, time.perf_counter() - start, process)
    finally:
        with signals.hold_back():
            if process is not None:
                _end(process)
            log.close()


def _find_free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _explain_end(said: str, folder: Path) -> str:
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
    return mask(
        f"trained must be a model that MLflow can serve, got {folder}, whose server did not come up: "
        f"{format_one_line(last)[:300]}; see more with: mlflow models serve -m {folder} --env-manager local"
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the server and the processes that it has started."""
    for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    process.wait()
