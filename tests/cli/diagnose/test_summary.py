"""What a diagnosis says where it is stopped."""

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.cli.compose import compose
from pipeline.cli.diagnose.summary import DiagnosisPrinter
from pipeline.measures import Point


@pytest.mark.parametrize(
    ("kept", "line"),
    [
        ([], "stopped before its end; go on with: python -m pipeline diagnose model.hidden=32 "),
        (
            ["model.hidden=32", "train.batch_size=64"],
            "stopped before its end (1 remedy kept); go on with: python -m pipeline diagnose model.hidden=32 "
            "train.batch_size=64 ",
        ),
    ],
)
def test_a_stopped_diagnosis_goes_on_from_what_was_kept(
    kept: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command_line = compose(["model.hidden=32", "diagnose.minutes=1"])
    record: Any = None
    printer = DiagnosisPrinter(command_line.settings.diagnose, "cpu_seconds", record)
    refused: Any = SimpleNamespace(kept=False, after=SimpleNamespace(words=("train.epochs=1",)))
    attempts: Any = [SimpleNamespace(kept=True, after=SimpleNamespace(words=tuple(kept)))] if kept else []
    printer._attempts = [*attempts, refused]
    printer.print_stopped(command_line, command_line.overrides.trial_part())
    assert capsys.readouterr().out == f"{line}diagnose.minutes=1\n"


def test_on_a_terminal_a_line_says_what_is_measured_and_what_was_kept() -> None:
    settings: Any = SimpleNamespace(minutes=5)
    record: Any = None
    printer = DiagnosisPrinter(settings, "cpu_seconds", record)
    assert printer._draw_line().plain.startswith("measuring the baseline ...  ")
    measured: Any = [SimpleNamespace(point=Point(0.9, cost)) for cost in (2.0, 0.5)]
    kept: Any = SimpleNamespace(kept=True, after=measured[1])
    refused: Any = SimpleNamespace(kept=False, after=None)
    printer._baseline, printer._attempts = measured[0], [kept, refused]
    assert printer._draw_line().plain.startswith("tried 2 remedies, kept 1  2 s -> 500 ms  ")
    assert printer._draw_line().plain.endswith(" of about 5 min")
