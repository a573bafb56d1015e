"""The frontier on a terminal: its table, and its accuracies by cost as a line of blocks."""

import io
import re
from collections.abc import Sequence

import pytest

from pipeline.cli.console import Console
from pipeline.cli.frontier.drawing import BLOCKS, SPARKLINE_WIDTH, build_frontier_table, draw_sparkline
from pipeline.cli.frontier.output import list_never_chosen
from pipeline.formatting import format_params
from pipeline.measures import Point
from pipeline.output import GuardedOutput
from pipeline.search.estimation.validation_split import ValidationSplit
from pipeline.search.results import Results
from pipeline.search.study_trial import Confirmation, FrontierPoint
from tests.support.small_studies import PARAMS, STUDY, tried


def lines(members: Sequence[FrontierPoint], wide: int) -> list[str]:
    console = Console(width=wide, force_terminal=False)
    with console.capture() as captured:
        console.print(build_frontier_table(members, members[0]))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_knee_in_words_is_named_before_its_cost() -> None:
    shown = lines(STUDY.frontier, 30)
    assert next(line for line in shown if "cost" in line).startswith("knee cost ")


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


# ---- table ------------------------------------------------------------------------------------


def test_the_table_has_a_line_for_each_member() -> None:
    assert lines(STUDY.frontier, 80) == [
        "all points: hidden=32 optimizer=sgd learning_rate=0.35",
        "        cost  accuracy  trial  epoch",
        "knee 10.0 ms    50.00%      0      1",
        "     20.0 ms    70.00%      0      2",
        "     40.0 ms    90.00%     11      1",
        "      3.00 s    97.00%     11      2",
    ]


def test_each_setting_in_which_points_differ_has_a_column() -> None:
    first = {"model.hidden": 8, "optimizer": "sgd", "optimizer.momentum": 0.9, "data.path": "[red]x"}
    second = {"model.hidden": 128, "optimizer": "adam", "data.path": "[red]x"}
    trials = (tried(0, (0.5, 0.01), params=first), tried(1, (0.7, 0.02), params=second))
    found = Results(study="s", data="digits", trials=trials)
    assert lines(found.frontier, 80) == [
        "all points: path=[red]x",
        "        cost  accuracy  trial  epoch  hidden  optimizer  momentum",
        "knee 10.0 ms    50.00%      0      1       8        sgd       0.9",
        "     20.0 ms    70.00%      1      1     128       adam",
    ]
    assert [line for line in lines(found.frontier, 60) if "hidden" in line][-1].endswith(
        "hidden=128 optimizer=adam"
    )


def test_a_setting_that_is_called_as_a_figure_has_its_whole_name() -> None:
    trials = tuple(
        tried(number, (0.5 + 0.2 * number, 0.01 + number), params={"loop.cost": number}) for number in (0, 1)
    )
    shown = lines(Results(study="s", data="digits", trials=trials).frontier, 80)
    assert shown[0].split() == ["cost", "accuracy", "trial", "epoch", "loop.cost"]


def test_what_was_confirmed_has_its_columns() -> None:
    two = Confirmation((1, 2), (0.5, 0.53), (0.49, 0.51), (0.01, 0.04))
    one = Confirmation((1,), (0.6,), (0.61,), (0.02,))
    found = Results(
        study="s",
        data="digits",
        trials=(tried(0, (0.5, 0.01), (0.7, 0.02), confirmations={1: two, 2: one}), STUDY.trials[1]),
    )
    rows = [line.removeprefix("knee").split() for line in lines(found.frontier, 120)]
    assert rows[2:5] == [
        ["20.0", "ms", "×÷3.3", "51.00%", "±8.28", "50.00%", "51.50%", "50.00%", "0", "1"],
        ["20.0", "ms", "×÷4.4", "65.00%", "±9.68", "70.00%", "60.00%", "61.00%", "0", "2"],
        ["40.0", "ms", "-", "90.00%", "-", "-", "11", "1"],
    ]


def test_what_the_means_over_all_seeds_say_against_a_point_is_told() -> None:
    guess, worse, good = (
        Confirmation((1,), (accuracy,), (accuracy,), (cost,))
        for accuracy, cost in ((0.1, 0.01), (0.7, 0.05), (0.9, 0.04))
    )
    trials = (
        tried(0, (0.3, 0.01), confirmations={1: guess}),
        tried(1, (0.9, 0.04), confirmations={1: good}),
        tried(2, (0.95, 0.05), confirmations={1: worse}),
        tried(3, (0.96, 0.06)),
    )
    found = Results(study="s", data="digits", trials=trials, split=ValidationSplit(10_000, 0.2))
    assert list_never_chosen(found.frontier, found) == [
        "by the means over all seeds at chance level, so never chosen: trial 0 at epoch 1",
        "by the means over all seeds beaten by other points, so never chosen: trial 2 at epoch 1",
    ]
    assert not list_never_chosen(found.frontier[1:2], found)


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
    assert lines(found.frontier, 80)[1].endswith("[red]x[/red]")
    assert lines(found.frontier, 30)[-1].endswith("path=[red]x[/red]")


LONG = PARAMS | {"precision": "mixed_bfloat16", "train.batch_size": 128, "optimizer.momentum": 0.9}


@pytest.mark.parametrize(
    ("wide", "lines_of_two", "summed_up"),
    [(40, 14, True), (56, 8, False), (80, 7, True), (100, 6, True), (120, 7, True), (200, 3, True)],
)
def test_the_table_fits_the_terminal_and_every_setting_can_be_read(
    wide: int, lines_of_two: int, summed_up: bool
) -> None:
    """Settings stand beside the numbers, below them, or all in words where not even the numbers have room."""
    two = Confirmation((1, 2), (0.5, 0.53), (0.49, 0.51), (0.01, 0.04))
    other = {key: "mixed_float16" if key == "precision" else 2 for key in LONG}
    trials = (
        tried(0, (0.5, 0.01), params=LONG, confirmations={1: two}),
        tried(1, (0.7, 0.02), params=other, confirmations={1: two}),
    )
    found = Results(study="s", data="digits", trials=trials)
    shown = lines(found.frontier, wide)
    text = " ".join(" ".join(shown).split())
    assert max(map(len, shown)) <= wide
    assert ("search" in text) is summed_up
    for member in found.frontier:
        assert member.estimate.format() in text
    for params in (LONG, other):
        settings = format_params({key: value for key, value in params.items() if key != "train.epochs"})
        assert settings in text or (wide == 200 and " ".join(re.findall(r"=(\S+)", settings)) in text)
    assert (len(found.frontier), len(shown)) == (2, lines_of_two)


def test_a_terminal_of_ascii_alone_gets_signs_that_it_has() -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    guarded = GuardedOutput(output)
    Console(width=80, file=guarded).print(build_frontier_table(STUDY.frontier, STUDY.frontier[0]))
    Console(width=80, file=guarded).print(f"812 \u00b5s \u00b13% {draw_sparkline([Point(0.5, 1e-6)])}")
    guarded.flush()
    text = output.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert "812 us +/-3% 1 us ##" in text
    assert "\\x" not in text
