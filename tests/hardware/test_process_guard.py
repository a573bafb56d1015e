"""What a killed process has started is ended by the guard beside it, though nobody else comes to look."""

import subprocess
import sys

WORDS = """
import os, signal, subprocess
from pipeline.hardware.process_guard import start_guard
from pipeline.hardware.process_marks import kill_started, mark_started
mark_started()
start_guard()
start_guard()
assert not kill_started()  # the guard is none of it
subprocess.Popen(["sleep", "60"], start_new_session=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_has_started_ends() -> None:
    # A child that lived on would hold the pipe open, and this process would wait for it.
    done = subprocess.run([sys.executable, "-c", WORDS], stdout=subprocess.PIPE, timeout=50, check=False)
    assert done.returncode == -9
