"""Numbers are formatted so that they do not mislead."""

import pytest

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
    [(0.00298, "0.003"), (0.9, "0.9"), (1024, "1024"), (True, "True"), ("sgd", "sgd"), (1e-5, "1e-05")],
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
    ("value", "text"), [(12_345, "12,345 s"), (12.34, "12.3 s"), (0.0123, "12.3 ms"), (4.2e-5, "42 µs")]
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
