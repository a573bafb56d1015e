"""Signals take effect at once, or at the end of what must not be torn apart."""

import signal
import subprocess
import sys

import pytest

from tests.conftest import CHECKOUT

PROGRAM = """
import os, signal
from pipeline import stopping
stopping.listen()
try:
    with stopping.held_back():
        os.kill(os.getpid(), signal.{signal})
        print("whole")
    print("never")
except BaseException as error:
    print(type(error).__name__, stopping.requested().name)
try:
    os.kill(os.getpid(), signal.{signal})
    print("never")
except BaseException as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(("name", "raised"), [("SIGTERM", "Stopped"), ("SIGINT", "KeyboardInterrupt")])
def test_a_signal_waits_for_the_end_of_a_held_block(name: str, raised: str) -> None:
    code = PROGRAM.replace("{signal}", name)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["whole", f"{raised} {name}", raised]
    assert signal.Signals[name]


def test_nothing_was_requested_where_nothing_came() -> None:
    from pipeline import stopping

    with stopping.held_back():
        pass
    assert stopping.requested() is None
