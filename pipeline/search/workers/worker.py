"""A worker process: jobs come in through a pipe, epochs and outcomes go out, until the pipe is closed."""

import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

from pipeline.measures import Point
from pipeline.processes import ProcessOwner
from pipeline.search.workers.job import Job
from pipeline.search.workers.pool import catch_crash
from pipeline.settings.measuring import Device


def run_worker(pipe: Connection, parent: ProcessOwner, device: Device) -> None:
    """Run jobs in a worker process, on cores of its own, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    from pipeline.hardware.device import claim_device
    from pipeline.search.workers.job import run_job

    claim_device(device, pin=True)
    frontier: Sequence[Point] = ()

    def read_frontier() -> Sequence[Point]:
        nonlocal frontier
        while pipe.poll():
            frontier = pipe.recv()
        return frontier

    with suppress(EOFError, OSError):
        while True:
            job = pipe.recv()
            if not isinstance(job, Job):  # a frontier for a job that has ended meanwhile
                continue
            frontier = ()
            for event in catch_crash(run_job(job, read_frontier)):
                pipe.send(event)


def _end_with(parent: ProcessOwner) -> None:
    """End this process once its parent has ended: it has nobody to work for."""
    while parent.is_alive():
        time.sleep(1.0)
    os._exit(1)
