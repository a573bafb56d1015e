"""Amounts are read with their units, and nothing is guessed."""

import pytest

from pipeline.settings.searching.quantities import (
    Budget,
    read_budget,
    read_seconds,
    read_share,
    suggest_amount,
)


@pytest.mark.parametrize(("text", "share"), [("95%", 0.95), ("0.95", 0.95), ("1", 1.0), (" 97.5 % ", 0.975)])
def test_a_share_is_read_in_per_cent_and_as_a_number(text: str, share: float) -> None:
    assert read_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["95", "101%", "-1%", "nan", "", "%", "95pct", "0,95"])
def test_what_is_no_share_is_none(text: str) -> None:
    assert read_share(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5ms", 0.005),
        ("2min", 120),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        ("2 h", 7200),
        ("30S", 30),
        ("7us", 7e-6),
        ("7 \u03bcs", 7e-6),
        ("2mins", 120),
    ],
)
def test_a_time_is_read_in_its_unit(text: str, seconds: float) -> None:
    assert read_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["0", "-1s", "inf", "1e999", "2 parsec", "ms", "", "1:30"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert read_seconds(text) is None


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("2min", Budget(seconds=120)),
        ("90 s", Budget(seconds=90)),
        ("120 device-seconds", Budget(seconds=120)),
        ("1 day", Budget(seconds=86400)),
        ("40trials", Budget(trials=40)),
        ("1 trial", Budget(trials=1)),
        ("0.5usd", Budget(money=0.5, currency="usd")),
        ("3 EUR", Budget(money=3, currency="eur")),
    ],
)
def test_a_budget_is_time_trials_or_money(text: str, budget: Budget) -> None:
    assert read_budget(text) == budget


@pytest.mark.parametrize("text", ["60", "0s", "-1usd", "1.5trials", "5dollars", "$5", "", "min"])
def test_a_budget_without_a_unit_is_none(text: str) -> None:
    assert read_budget(text) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("$0.5", "0.5usd"),
        ("0,5 €", "0.5eur"),
        ("1,5h", "1.5h"),
        ("\u201c2min\u201d", "2min"),
        ("1h30m", "90min"),
        ("1 hour and 5 s", "3605s"),
        ("0:02:30", "150s"),
        ("60", "60s or search.budget=60trials"),
        ("1.5", "1.5s"),
    ],
)
def test_an_amount_in_other_signs_is_told_as_it_is_written_here(text: str, meant: str) -> None:
    assert read_budget(text) is None
    assert suggest_amount("search.budget=", text, read_budget) == f"; write search.budget={meant}"


@pytest.mark.parametrize("text", ["1,000trials", "1,2,3s", "five", "$", "2min"])
def test_where_nothing_is_sure_nothing_is_suggested(text: str) -> None:
    assert suggest_amount("search.budget=", text, read_budget) == ""
