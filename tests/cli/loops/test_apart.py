"""What ends the process of a user's function is one line and exit code 1; what asks to stop reaches it."""

import subprocess
import sys

import pytest

from pipeline.cli.loops import apart

THREE = """
import os, signal
from pipeline.cli.loops import apart

def crash():
    os.kill(os.getpid(), signal.SIGSEGV)

def stop():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(9))
    os.kill(os.getppid(), signal.SIGTERM)
    signal.pause()

ended = []
apart._end_records = ended.append
codes = [apart.run_apart(["run", "trial.call=m:f"], run) for run in (crash, stop, lambda: os._exit(7))]
print(codes, len(ended))
"""


def test_a_crash_is_one_line_and_signals_are_handed_on() -> None:
    done = subprocess.run([sys.executable, "-c", THREE], capture_output=True, text=True, check=True)
    assert done.stdout == "[1, 9, 7] 1\n"
    reason = "its process was ended by SIGSEGV (it used memory that is not its own)"
    assert done.stderr == f"error: trial.call=m:f failed: {reason}; mend it\n"


@pytest.mark.parametrize(
    ("words", "is_function"),
    [
        (["run", "trial=function", "trial.call=m:f"], True),
        (["run", "--trial", "function"], True),
        (["run", "data=digits"], False),
        (["sweep", "trial=function"], False),
        ([], False),
    ],
)
def test_only_run_of_a_function_is_apart(words: list[str], is_function: bool) -> None:
    assert apart.is_of_function(words) == is_function
