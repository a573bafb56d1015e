"""What `doctor` prints, and what its exit code says."""

import json
import re

import pytest

from pipeline.cli.doctor import checks
from tests.conftest import Run

PARTS = ["python", "driver", "tensorflow", "extras", "memory"]
PARTS += ["disk", "cores", "bfloat16", "training", "clock", "energy"]
WORDS = ("doctor", "device=cpu", "train.epochs=10", "model.hidden=16")


def test_a_machine_that_works_is_said_to_in_a_line_a_part_or_in_json(fulcrum: Run) -> None:
    done = fulcrum(*WORDS)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == PARTS
    accuracy = re.search(r"core: ([\d.]+)% on digits", lines[-3])
    assert accuracy, lines[-3]
    assert float(accuracy[1]) > 70, "the digits are learnt, of which guessing has 10 %"
    again = fulcrum(*WORDS, "--json")
    told = json.loads(again.stdout)
    assert [each["component"] for each in told] == PARTS
    assert all(each["state"] in ("ok", "note") for each in told)
    assert [each["remedy"] for each in told if each["state"] == "note"].count("") <= 1  # no GPU needs none


def test_what_breaks_is_named_and_hides_nothing_else(fulcrum: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(_lead: float) -> checks.Outcome:
        raise OSError("the driver\nis mismatched")

    monkeypatch.setattr(checks, "look_at_clock", break_down)
    monkeypatch.setattr(checks.training, "LEAST_ACCURACY", 1.01)
    done = fulcrum(*WORDS)
    assert done.returncode == 1
    assert done.stderr == "error: 2 of 11 parts of this machine do not work: training, clock\n"
    training, clock, energy = done.stdout.splitlines()[-3:]
    assert clock.startswith("FAIL  clock      OSError: the driver")
    assert energy.split()[1] == "energy"
    assert training.startswith("FAIL  training")


def test_a_device_that_is_not_there_is_one_of_the_lines(fulcrum: Run) -> None:
    done = fulcrum("doctor", "device=gpu", "--json")
    training = next(each for each in json.loads(done.stdout) if each["component"] == "training")
    assert training["state"] == "fails"
    assert training["text"].startswith("device=gpu needs a GPU that TensorFlow sees, got none")
    assert done.returncode == 1
