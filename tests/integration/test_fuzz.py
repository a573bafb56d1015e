"""Random command lines end as they should: in one line, without a traceback or a secret."""

import subprocess
import sys

import pytest

from tests.conftest import CHECKOUT
from tests.support.fuzz import PASSWORD, find_faults


@pytest.mark.parametrize("lines", [20, pytest.param(120, marks=pytest.mark.slow)])
def test_random_command_lines_are_accepted_or_refused_in_one_line(lines: int) -> None:
    """In a process of its own, in which nothing has imported TensorFlow: importing it means accepted."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.fuzz", "--lines", str(lines), "--seed", "5"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    report = done.stdout.splitlines()
    assert report[0].startswith(f"{lines} lines: "), done.stderr
    assert "not one line" not in report[1], done.stdout
    assert "traceback" not in report[1], done.stdout
    assert "secret" not in report[1], done.stdout
    assert "odd end" not in report[1], done.stdout


def test_a_fault_would_be_found() -> None:
    assert list(find_faults("exit 2", "error: a\nb\n", 0.0)) == ["not one line"]
    assert list(find_faults("exit 2", "error: a\n", 9.0)) == ["above 3 s"]
    assert list(find_faults("exit 1", "Traceback (most recent ...\nx", 0.0)) == ["traceback"]
    assert list(find_faults("raised SystemExit", "", 0.0)) == ["odd end"]
    assert list(find_faults("exit 2", f"error: got {PASSWORD}\n", 0.0)) == ["secret"]
    assert list(find_faults("accepted", "", 9.0)) == list(find_faults("exit 2", "error: a\n", 0.0)) == []
