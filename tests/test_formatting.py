"""Numbers are formatted so that they do not mislead."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from pipeline import errors, formatting


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (1, "100%"), (0.0004, "<0.1%"), (0.9996, ">99.9%"), (0.5, "50.0%"), (0.9985, "99.9%")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert formatting.format_percent(share) == text


def test_a_line_stays_one_line_whatever_is_in_it() -> None:
    assert errors.format_one_line("a\nb\x1b\u2028\udcff ü") == "a\\nb\\x1b\\u2028\\udcff ü"


def test_markdown_shows_a_name_as_it_is() -> None:
    assert formatting.escape_markdown("a_b 2") == "a_b 2"
    assert formatting.escape_markdown("<b>*x*|`[y]\\") == "&lt;b&gt;\\*x\\*\\|\\`\\[y\\]\\\\"


def test_settings_are_told_briefly() -> None:
    assert (
        formatting.format_params({"model.hidden": 32, "optimizer.learning_rate": 0.3527})
        == "hidden=32 learning_rate=0.35"
    )
    assert formatting.format_params({"train.seed": 1, "preprocess.seed": 2, "model.hidden": 3}) == (
        "train.seed=1 preprocess.seed=2 hidden=3"
    )
    assert formatting.format_params({}) == ""
    assert formatting.format_params({"width": None}) == "width=null"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00298, "0.003"),
        (0.125, "0.125"),
        (1500.0, "1500"),
        (640.25, "640"),
        (0.9, "0.9"),
        (1024, "1024"),
        (True, "True"),
        ("sgd", "sgd"),
        (1e-5, "1e-05"),
    ],
)
def test_values_are_told_briefly(value: object, text: str) -> None:
    assert formatting.format_setting(value) == text


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
def test_a_duration_has_a_unit_that_fits(value: float, text: str) -> None:
    assert formatting.format_duration(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12_345, "12,345 s"),
        (999.7, "1,000 s"),
        (12.34, "12.3 s"),
        (0.9997, "1,000 ms"),
        (0.0123, "12.3 ms"),
        (4.2e-5, "42 µs"),
    ],
)
def test_measured_seconds_keep_three_digits(value: float, text: str) -> None:
    assert formatting.format_seconds(value) == text


@pytest.mark.parametrize(
    ("number", "thing", "text"),
    [
        (1, "trial", "1 trial"),
        (0, "trial", "0 trials"),
        (2000, "new class", "2,000 new classes"),
        (1.0, "minute", "1 minute"),
        (0.5, "minute", "0.5 minutes"),
        (5142.857142857, "device-second", "5,142.86 device-seconds"),
        (1234567.0, "device-second", "1,234,567 device-seconds"),
        (2, "study", "2 studies"),
        (2, "key", "2 keys"),
        (2, "epoch", "2 epochs"),
        (2, "batch", "2 batches"),
        (1, "study", "1 study"),
        (3, "process", "3 processes"),
    ],
)
def test_a_count_has_its_thing_in_the_right_number(number: float, thing: str, text: str) -> None:
    assert formatting.format_count(number, thing) == text


def test_a_cost_of_one_is_a_singular_as_it_is_shown() -> None:
    costs = (1.0, 1.0004, 1.01, 1234.0)
    shown = ["1 device-second", "1 device-second", "1.01 device-seconds", "1,234 device-seconds"]
    assert [formatting.format_device_seconds(cost) for cost in costs] == shown


def test_code_stands_between_more_backticks_than_it_has() -> None:
    assert [formatting.format_code(text) for text in ("a=1", "a=`b`", "a=```b c")] == [
        "`a=1`",
        "`` a=`b` ``",
        "````a=```b c````",
    ]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0.00%"),
        (1, "100.00%"),
        (1 - 1e-15, "100.00%"),
        (0.99997, ">99.99%"),
        (0.99994, "99.99%"),
        (0.00003, "<0.01%"),
        (0.95126, "95.13%"),
    ],
)
def test_a_score_is_never_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert formatting.format_score(share) == text


def test_whole_percents_are_never_rounded_to_all_or_nothing() -> None:
    shares = (0, 0.003, 0.456, 0.997, 1, 1.59)
    assert [*map(formatting.format_roughly, shares)] == ["0%", "<1%", "46%", ">99%", "100%", "159%"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.958333, "0.9583"),
        (1, "1.0000"),
        (0, "0.0000"),
        (0.9999667, "0.999967"),
        (0.99999998, ">0.9999"),
        (1.234e-5, "1.23e-05"),
        (-0.00312, "-0.00312"),
        (123456.7, "123,457"),
        (12.3, "12.3000"),
    ],
)
def test_a_figure_keeps_what_it_says(value: float, text: str) -> None:
    """An RMSE of a label in metres was 0.0000, one of prices had four decimals."""
    assert formatting.format_figure(value) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(1234.5, 3, "1,234"), (999.7, 3, "1,000"), (277.8, 2, "278"), (99.7, 2, "100"), (-1234.5, 3, "-1,234")],
)
def test_no_large_number_is_a_power_of_ten(value: float, digits: int, text: str) -> None:
    assert formatting.format_number(value, digits) == text


def test_two_numbers_have_the_digits_that_tell_them_apart() -> None:
    assert formatting.tell_apart(0.50413, 0.504) == "0.5041"
    assert formatting.tell_apart(99.7167, 99.72) == "99.717"
    assert formatting.tell_apart(0.3, 0.3) == "0.3"


@pytest.mark.parametrize(
    "word",
    [
        "ten",
        "-999",
        "007",
        "82*",
        "70 [1]",
        "<8",
        "1e400",
        "a,b",
        "o'k",
        'the "x"',
        "=A1",
        "5 €",
        "Temp (°C)",
        "true",
    ],
)
def test_a_list_with_a_word_is_read_back_by_a_shell_and_hydra(word: str) -> None:
    (typed,) = shlex.split(formatting.format_list("data.missing", word))
    (value,) = OverridesParser.create().parse_override(typed).value()  # type: ignore[misc, union-attr]
    assert str(value) == word


def test_a_plain_word_in_a_list_needs_no_quotes() -> None:
    assert formatting.format_list("data.drop", "zip") == "data.drop=[zip]"
    assert formatting.format_list("data.missing", "<8") == "'data.missing=[\"<8\"]'"
