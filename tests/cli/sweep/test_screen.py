"""What a sweep shows while it runs."""

import pytest

from pipeline.cli.console import Console
from pipeline.cli.sweep import screen as sweep_screen
from pipeline.cli.sweep.progress import MODEL_SECONDS, PICTURE_SECONDS
from pipeline.cli.sweep.screen import Screen
from pipeline.formatting import format_duration
from pipeline.measures import Curve, Epoch, Point
from pipeline.search.ends.standstill import CONFIRMING, MODELS, PICTURES
from pipeline.search.results import Results
from pipeline.search.workers.job import TrialOutcome
from pipeline.settings.measuring import Price
from tests.support.small_studies import PARAMS, STUDY, tried

# ---- while it runs ----------------------------------------------------------------------------


def plain(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_elsewhere_than_on_a_terminal_each_trial_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen("digits-1", 4, None, "cpu") as screen:
        screen.show_plan(
            ["search: model.hidden=8,[16]", "until: 4 trials"],
            "http://here/#/runs/1",
            "http://here/studies/1",
        )
        screen.update(STUDY)
        screen.show_epoch(
            0,
            Epoch(number=1, device_seconds=0.1, train_loss=1.0, validation_loss=1.0, validation_accuracy=0.5),
            3,
        )
        screen.show_ended(0, "complete", Point(0.97, 1.234), PARAMS, "")
        screen.show_ended(1, "failed", None, {"model.hidden": 8}, "the loss must stay finite")
        curve = Curve(
            "CPU",
            True,
            (
                Epoch(
                    number=1, device_seconds=0.1, train_loss=1.0, validation_loss=1.0, validation_accuracy=0.5
                ),
            ),
        )
        screen.show_confirmation(0, 1, 7, TrialOutcome(status="complete", curve=curve, test_accuracy=0.48))
        failed = TrialOutcome(status="failed", reason="out of memory", curve=curve)
        screen.show_confirmation(0, 1, 8, failed)
    assert plain(capsys) == [
        "study digits-1",
        "  search: model.hidden=8,[16]",
        "  until: 4 trials",
        "  watch it: http://here/#/runs/1",
        "  its page: http://here/studies/1",
        "trial 0 complete: 97.00% at 1.23 s  hidden=32 optimizer=sgd learning_rate=0.35 epochs=4",
        "trial 1 failed: no result  hidden=8; the loss must stay finite",
        "trial 0 at epoch 1 confirmed with seed 7: 50.00% validation, 48.00% test",
        "trial 0 at epoch 1 confirmed with seed 8: failed; out of memory",
    ]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.setenv("TERM", "xterm")
    console = Console(width=100, height=30, force_terminal=True, color_system=None)
    monkeypatch.setattr(sweep_screen, "Console", lambda **_: console)
    return console


def test_a_plan_breaks_between_its_words(terminal: Console) -> None:
    words = [f"model.hidden=tag(log,int(interval({number},256)))" for number in range(9)]
    with terminal.capture() as captured:
        Screen("digits-1", 6, 60.0, "cpu").show_plan(
            [" ".join(words)], "http://here/#/runs/1", "http://here/"
        )
    shown = captured.get().splitlines()[1:-2]
    assert [line[:2] for line in shown] == ["  "] * 5
    assert " ".join(shown).split() == words


def test_the_panel_of_a_terminal(terminal: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    screen = Screen("digits-1", 6, 60.0, "cpu")
    screen.update(Results(study="digits-1", data="digits", trials=()))
    screen.show_epoch(
        3,
        Epoch(number=2, device_seconds=0.1, train_loss=1.0, validation_loss=1.0, validation_accuracy=0.815),
        8,
    )
    now[0] += 20
    screen.update(STUDY)
    with terminal.capture() as captured:
        terminal.print(screen._draw_panel())
    assert max(map(len, captured.get().splitlines())) <= 100
    first, running, spark, *table = [line.rstrip() for line in captured.get().splitlines()]
    assert first == "study digits-1: 2/6 trials, cpu time 3.02 s of 60 s, about 40 s to go"
    assert running == "running  3: 2/8 81.50%"
    assert spark.startswith("accuracy by cost  10.0 ms ▁")
    assert spark.endswith("█ 3.00 s")
    assert len(spark) <= 80
    assert len(table) == 2 + len(STUDY.frontier)  # what all share, and a heading


def test_before_the_first_point_it_tells_how_far_it_is(terminal: Console) -> None:
    screen = Screen("digits-1", 6, None, "gpu")
    with terminal.capture() as captured:
        terminal.print(screen._draw_panel())
    assert captured.get().strip() == "study digits-1: 0/6 trials, gpu time 0 µs"
    screen.update(STUDY)
    screen.show_started(2)
    screen.show_started(4)
    with terminal.capture() as captured:
        terminal.print(screen._draw_panel())
    assert "running  2: begins   4: begins" in captured.get()
    for number in range(5, 1000):
        screen.show_started(number)
    with terminal.capture() as captured:
        terminal.print(screen._draw_panel())
    assert "18: begins and 981 more" in " ".join(captured.get().split())
    assert len(captured.get().splitlines()) < 30


def test_what_has_ended_runs_no_more(terminal: Console) -> None:
    screen = Screen("digits-1", 6, None, "cpu")
    screen.update(STUDY)
    screen.show_epoch(
        3,
        Epoch(number=2, device_seconds=0.1, train_loss=1.0, validation_loss=1.0, validation_accuracy=0.815),
        8,
    )
    screen.show_ended(3, "complete", Point(0.9, 1.0), PARAMS, "")
    with terminal.capture() as captured:
        terminal.print(screen._draw_panel())
    assert "81.50%" not in captured.get()


def test_where_a_budget_ends_the_search_the_time_to_go_is_that_of_the_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    screen = Screen("digits-1", None, 10.0, "cpu")
    screen.update(Results(study="digits-1", data="digits", trials=()))
    now[0] = 6.0
    screen.update(STUDY)
    assert screen._progress.describe() == "2 trials, cpu time 3.02 s of 10 s, about 14 s to go"


# ---- after the search, and what it costs ------------------------------------------------------


def test_what_follows_the_search_is_part_of_the_time_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    price = Price(per_hour=3.6, currency="usd", watts=None, carbon=None)
    screen = Screen("digits-1", 4, None, "cpu", seeds=2, price=price)
    screen.update(Results(study="digits-1", data="digits", trials=()))
    now[0] = 6.04
    screen.update(STUDY)
    cost = sum(member.estimate.device_seconds for member in STUDY.frontier)
    models = MODEL_SECONDS * 2
    after = 2 * cost * 2 + models + PICTURE_SECONDS  # two wall seconds for each device-second
    assert screen._progress.forecast_afterwards() == pytest.approx(after)
    whole = format_duration(6.04 + after)
    assert screen._progress.describe() == f"2/4 trials, cpu time 3.02 s (0.003 USD), about {whole} to go"
    screen.begin_phase(CONFIRMING, 8)
    assert screen._progress.describe().endswith("(0.003 USD), confirming the frontier with new seeds 0/8")
    now[0] += 3
    screen.show_confirmation(0, 1, 7, TrialOutcome(status="failed", reason="out of memory"))
    rest = format_duration(3 * 7 + models + PICTURE_SECONDS)
    assert screen._progress.describe().endswith(f"seeds 1/8, about {rest} to go")
    screen.begin_phase(MODELS, 2)
    screen.advance_phase()
    assert screen._progress.describe().endswith("models of the frontier 1/2, about 6.00 s to go")
    screen.begin_phase(PICTURES, 1)
    assert screen._progress.describe().endswith(", drawing pictures and the page")


def test_elsewhere_than_on_a_terminal_the_first_trials_tell_how_long_it_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    screen = Screen("digits-1", 40, None, "cpu", seeds=0)
    screen.update(Results(study="digits-1", data="digits", trials=()))
    trials = tuple(tried(number, (0.9, 1.0)) for number in range(4))
    for count in (1, 2, 3, 4):
        now[0] += 10
        screen.update(Results(study="digits-1", data="digits", trials=trials[:count]))
    screen.begin_phase(CONFIRMING, 8)
    screen.begin_phase(PICTURES, 1)
    assert plain(capsys) == [
        "by the first trials: about 378 s to go, 8.00 s of them after the search",
        "confirming the frontier with new seeds: 8 to do",
        "drawing pictures and the page",
    ]
