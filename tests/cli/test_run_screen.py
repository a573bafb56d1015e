"""What a run shows while it trains."""

import pytest

from pipeline.cli import run_screen
from pipeline.cli.run_screen import PLAIN_LINES, RunScreen, draw_curve
from pipeline.measures import Epoch
from pipeline.settings.searching.measures import ACCURACY_MEASURE


def epoch(number: int, accuracy: float = 0.5) -> Epoch:
    return Epoch(
        number=number,
        device_seconds=0.25 * number,
        train_loss=1.0,
        validation_loss=1.0,
        validation_accuracy=accuracy,
    )


def test_elsewhere_than_on_a_terminal_there_are_a_few_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with RunScreen(3, ACCURACY_MEASURE) as screen:
        for number in (1, 2, 3):
            screen.show_epoch(epoch(number, number / 4))
    assert capsys.readouterr().out.splitlines() == [
        "epoch 1/3: 25.00% validation, 0.25 s",
        "epoch 2/3: 50.00% validation, 0.50 s",
        "epoch 3/3: 75.00% validation, 0.75 s",
    ]


@pytest.mark.parametrize("epochs", [1, 10, 11, 99, 200])
def test_the_last_epoch_is_among_the_lines(epochs: int, capsys: pytest.CaptureFixture[str]) -> None:
    with RunScreen(epochs, ACCURACY_MEASURE) as screen:
        for number in range(1, epochs + 1):
            screen.show_epoch(epoch(number))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= PLAIN_LINES + 1
    assert lines[-1].startswith(f"epoch {epochs}/{epochs}: ")


def test_the_line_of_a_terminal_has_the_curve_and_the_time_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(run_screen.time, "monotonic", lambda: now[0])
    screen = RunScreen(4, ACCURACY_MEASURE)
    assert screen._draw_line().plain == "compiling ..."
    screen.show_epoch(epoch(1, 0.1))
    assert screen._draw_line().plain.endswith("training ...")
    now[0] += 3
    screen.show_epoch(epoch(2, 0.9))
    assert screen._draw_line().plain == "epoch 2/4: 90.00% validation, 0.50 s  ▁█  about 6.00 s to go"
    for number in (3, 4):
        screen.show_epoch(epoch(number, 0.9))
    assert screen._draw_line().plain.endswith("evaluating ...")


def test_a_curve_is_drawn_from_its_lowest_to_its_highest_value() -> None:
    assert draw_curve([0.0, 0.5, 1.0]) in ("▁▄█", "▁▅█")
    assert draw_curve([0.7, 0.7]) == "▁▁"
    assert draw_curve([float("nan")]) == ""
    assert len(draw_curve([float(number) for number in range(99)])) == run_screen.WIDTH
