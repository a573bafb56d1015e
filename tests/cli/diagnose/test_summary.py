"""What a diagnosis says where it is stopped."""

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.cli.compose import compose
from pipeline.cli.diagnose.summary import DiagnosisPrinter


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
