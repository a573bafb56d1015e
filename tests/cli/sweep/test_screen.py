"""What a sweep shows while it runs, and the table at its end."""

from collections.abc import Mapping, Sequence

import pytest
from rich.console import Console

from pipeline.cli.sweep import screen as sweep_screen
from pipeline.cli.sweep.screen import (
    BLOCKS,
    SPARKLINE_WIDTH,
    Screen,
    build_frontier_table,
    draw_sparkline,
    format_params,
    format_seconds,
    format_value,
)
from pipeline.measures import Curve, Epoch, Point
from pipeline.search.ends.standstill import CONFIRMING, MODELS, PICTURES
from pipeline.search.results import Results
from pipeline.search.study_trial import Confirmation, FrontierPoint, StudyTrial
from pipeline.search.workers.job import TrialOutcome
from pipeline.settings.measuring import Price

PARAMS = {"model.hidden": 32, "optimizer": "sgd", "optimizer.learning_rate": 0.3527, "train.epochs": 4}


def tried(
    number: int, *curve: tuple[float, float], params: Mapping[str, object] = PARAMS, **more: object
) -> StudyTrial:
    points = tuple(Point(*pair) for pair in curve)
    return StudyTrial(
        number=number,
        run_id="r",
        command="c",
        params=params,
        curve=points,
        fair_midway=True,
        state="complete",
        reason="",
        paid_seconds=points[-1].device_seconds,
        device="CPU",
        **more,
    )  # type: ignore[arg-type]


STUDY = Results(
    study="digits-1",
    data="digits",
    trials=(tried(0, (0.5, 0.01), (0.7, 0.02)), tried(11, (0.9, 0.04), (0.97, 3.0))),
)


def lines(members: Sequence[FrontierPoint], wide: int) -> list[str]:
    console = Console(width=wide, highlight=False, force_terminal=False)
    with console.capture() as captured:
        console.print(build_frontier_table(members, members[0]))
    return [line.rstrip() for line in captured.get().splitlines()]


# ---- sparkline --------------------------------------------------------------------------------


def test_a_sparkline_rises_from_the_cheapest_to_the_dearest() -> None:
    text = draw_sparkline([Point(0.5, 0.01), Point(0.9, 0.1), Point(0.99, 1.0)])
    blocks = text.removeprefix("10.0 ms ").removesuffix(" 1.00 s")
    heights = [BLOCKS.index(block) for block in blocks]
    assert len(heights) == SPARKLINE_WIDTH
    assert heights == sorted(heights)
    assert (heights[0], heights[-1]) == (1, len(BLOCKS) - 1)
    assert set(heights[:-1]) == {1, 4}  # error 0.5 -> 0.1 -> 0.01 on a log scale
    assert heights.count(4) == pytest.approx(SPARKLINE_WIDTH / 2, abs=1)


def test_a_sparkline_of_nothing_of_one_point_and_of_perfection() -> None:
    assert draw_sparkline([]) == ""
    assert draw_sparkline([Point(0.5, 2.0)]).count("█") == SPARKLINE_WIDTH
    assert "█" in draw_sparkline([Point(0.0, 1.0), Point(1.0, 2.0)])
    assert len(draw_sparkline([Point(0.5, 1.0), Point(0.6, 2.0)], width=1)) == len("1.00 s x 2.00 s")


# ---- words ------------------------------------------------------------------------------------


def test_settings_are_told_briefly() -> None:
    assert format_params(PARAMS) == "hidden=32 optimizer=sgd learning_rate=0.35 epochs=4"
    assert format_params({"train.seed": 1, "preprocess.seed": 2, "model.hidden": 3}) == (
        "train.seed=1 preprocess.seed=2 hidden=3"
    )
    assert format_params({}) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.00298, "0.003"), (0.9, "0.9"), (1024, "1024"), (True, "True"), ("sgd", "sgd"), (1e-5, "1e-05")],
)
def test_values_are_told_briefly(value: object, text: str) -> None:
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3600, "60 min"),
        (599.7, "600 s"),
        (12.3, "12 s"),
        (1.234, "1.23 s"),
        (0.0123, "12.3 ms"),
        (4.2e-5, "42 µs"),
    ],
)
def test_seconds_have_a_unit_that_fits(value: float, text: str) -> None:
    assert format_seconds(value) == text


# ---- table ------------------------------------------------------------------------------------


def test_the_table_has_a_line_for_each_member() -> None:
    assert lines(STUDY.frontier, 80) == [
        "        cost  accuracy  trial  epoch",
        "knee 10.0 ms    50.00%      0      1  hidden=32 optimizer=sgd learning_rate=0.35",
        "     20.0 ms    70.00%      0      2  hidden=32 optimizer=sgd learning_rate=0.35",
        "     40.0 ms    90.00%     11      1  hidden=32 optimizer=sgd learning_rate=0.35",
        "      3.00 s    97.00%     11      2  hidden=32 optimizer=sgd learning_rate=0.35",
    ]


def test_what_was_confirmed_has_its_columns() -> None:
    two = Confirmation((1, 2), (0.5, 0.53), (0.49, 0.51), (0.01, 0.04))
    one = Confirmation((1,), (0.6,), (0.61,), (0.02,))
    found = Results(
        study="s",
        data="digits",
        trials=(tried(0, (0.5, 0.01), (0.7, 0.02), confirmations={1: two, 2: one}), STUDY.trials[1]),
    )
    rows = [line.removeprefix("knee").split() for line in lines(found.frontier, 120)]
    assert [row[: row.index("hidden=16") if "hidden=16" in row else -3] for row in rows[1:4]] == [
        ["20.0", "ms", "×÷3.3", "51.00%", "±8.28", "50.00%", "51.50%", "50.00%", "0", "1"],
        ["20.0", "ms", "×÷4.4", "65.00%", "±9.68", "70.00%", "60.00%", "61.00%", "0", "2"],
        ["40.0", "ms", "-", "90.00%", "-", "-", "11", "1"],
    ]


def test_long_settings_are_broken_between_words_under_their_own_column() -> None:
    long = PARAMS | {"precision": "mixed_bfloat16", "train.batch_size": 128, "optimizer.momentum": 0.9}
    found = Results(study="s", data="digits", trials=(tried(0, (0.5, 0.01), params=long),))
    _, *rows = lines(found.frontier, 80)
    words = format_params(found.trials[0].params).removesuffix(" epochs=4").split()
    column = rows[0].index("hidden")
    assert all(row[:column].strip() == "" for row in rows[1:])
    assert [word for row in rows for word in row[column:].split()] == [
        *words[:3],
        *(word for word in words[3:] if not word.startswith("epochs")),
    ]
    assert max(map(len, rows)) <= 80
    assert len(lines(found.frontier, 140)) == 2


def test_markup_in_a_value_is_text() -> None:
    found = Results(
        study="s", data="digits", trials=(tried(0, (0.5, 0.01), params={"data.path": "[red]x[/red]"}),)
    )
    assert lines(found.frontier, 80)[1].endswith("path=[red]x[/red]")


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
        screen.show_confirmation(0, 1, 8, TrialOutcome(status="failed", reason="out of memory"))
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
    console = Console(width=100, height=30, force_terminal=True, highlight=False, color_system=None)
    monkeypatch.setattr(sweep_screen, "Console", lambda **_: console)
    return console


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
    assert len(table) == 1 + len(STUDY.frontier)


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
    monkeypatch.setattr(sweep_screen.time, "monotonic", lambda: now[0])
    screen = Screen("digits-1", None, 10.0, "cpu")
    screen.update(Results(study="digits-1", data="digits", trials=()))
    now[0] = 6.0
    screen.update(STUDY)
    assert screen._format_progress() == "2 trials, cpu time 3.02 s of 10 s, about 14 s to go"


# ---- after the search, and what it costs ------------------------------------------------------


def test_what_follows_the_search_is_part_of_the_time_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(sweep_screen.time, "monotonic", lambda: now[0])
    price = Price(per_hour=3.6, currency="usd", watts=None, carbon=None)
    screen = Screen("digits-1", 4, None, "cpu", seeds=2, price=price)
    screen.update(Results(study="digits-1", data="digits", trials=()))
    now[0] = 6.04
    screen.update(STUDY)
    cost = sum(member.estimate.device_seconds for member in STUDY.frontier)
    models = sweep_screen.MODEL_SECONDS * 2
    after = 2 * cost * 2 + models + sweep_screen.PICTURE_SECONDS  # two wall seconds for each device-second
    assert screen._forecast_afterwards() == pytest.approx(after)
    whole = format_seconds(6.04 + after)
    assert screen._format_progress() == f"2/4 trials, cpu time 3.02 s (0.003 USD), about {whole} to go"
    screen.begin_phase(CONFIRMING, 8)
    assert screen._format_progress().endswith("(0.003 USD), confirming the frontier with new seeds 0/8")
    now[0] += 3
    screen.show_confirmation(0, 1, 7, TrialOutcome(status="failed", reason="out of memory"))
    rest = format_seconds(3 * 7 + models + sweep_screen.PICTURE_SECONDS)
    assert screen._format_progress().endswith(f"seeds 1/8, about {rest} to go")
    screen.begin_phase(MODELS, 2)
    screen.advance_phase()
    assert screen._format_progress().endswith("models of the frontier 1/2, about 6.00 s to go")
    screen.begin_phase(PICTURES, 1)
    assert screen._format_progress().endswith(", drawing pictures and the page")


def test_elsewhere_than_on_a_terminal_the_first_trials_tell_how_long_it_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(sweep_screen.time, "monotonic", lambda: now[0])
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
