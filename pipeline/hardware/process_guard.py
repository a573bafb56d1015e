"""A small process beside one that runs a user's code: it ends what that one has started.

A worker, and a slot on another machine, end what a trial has left behind. Killed, they can do nothing, and
the next one to start there may never come. The guard waits for the end of the process it was started by,
whatever ended it: a signal, a lack of memory, a driver that is gone.
"""

import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

from pipeline.hardware.process_marks import ENDS_BY_ITSELF, kill_abandoned

PACKAGE = Path(__file__).resolve().parents[2]
"""The folder that this program is imported from; on a node it is one of Ray's."""
READY = b"."
LOOK_SECONDS = 0.5
MAX_ROUNDS = 20
"""A process that is killed may start another one while the others are looked for."""
PAUSE_SECONDS = 0.1


def start_guard() -> None:
    """Start the guard of this process, once, and wait until it is at work: it shall not disturb a clock."""
    _start_guard_of(os.getpid())


@cache
def _start_guard_of(pid: int) -> subprocess.Popen[bytes] | None:
    """Start the guard of a process; a copy of this one that is forked off has a guard of its own."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    # By its last word it is spared where all that this process has started is ended, also by itself.
    command = [sys.executable, "-P", "-m", __name__, str(pid), ENDS_BY_ITSELF]
    try:
        guard = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:  # the trial does without: another worker that starts does the same
        return None
    assert guard.stdout is not None
    with guard.stdout:
        guard.stdout.read(len(READY))
    return guard


def _watch(pid: int) -> None:
    """Wait for the end of a process; kill what it has left, until nothing is."""
    os.write(1, READY)
    while os.getppid() == pid:  # once it has ended, though nobody has asked how, the system is the parent
        time.sleep(LOOK_SECONDS)
    for _ in range(MAX_ROUNDS):
        if not kill_abandoned():
            return
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    _watch(int(sys.argv[1]))
