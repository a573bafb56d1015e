"""Dates and times as people write them."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pipeline.data.tables import dates
from pipeline.data.tables.codes import find_zone
from pipeline.data.tables.dates import (
    find_patterns,
    judge_head,
    measure_share,
    measure_share_of_any,
    parse_dates,
)


def cells(*texts: str) -> pa.Array:
    return pa.array(texts, pa.large_string())


@pytest.mark.parametrize(
    ("text", "pattern", "wanted"),
    [
        ("2000-01-31", "year-month-day", "2000-01-31T00:00:00"),
        ("2020-02-29 10:30", "year-month-day", "2020-02-29T10:30:00"),
        ("2020-02-29T10:00:00.25Z", "year-month-day", "2020-02-29T10:00:00.250"),
        ("2020-02-29T10:00:00+01:00", "year-month-day", "2020-02-29T09:00:00"),
        ("31.12.2020", "day/month/year", "2020-12-31T00:00:00"),
        ("12/31/99", "month/day/year", "1999-12-31T00:00:00"),
        ("5 Jan 2020", "day name year", "2020-01-05T00:00:00"),
        ("Mon, 05 Jan 2020 10:00:00 GMT", "day name year", "2020-01-05T10:00:00"),
        ("December 31st, 2021", "name day year", "2021-12-31T00:00:00"),
        ("2020-05", "year-month", "2020-05-01T00:00:00"),
        ("20200131", "yearmonthday", "2020-01-31T00:00:00"),
        ("1:05 PM", "clock", "1970-01-01T13:05:00"),
        ("52:31", "duration", "1970-01-03T04:31:00"),
        ("2 days 01:00:30", "duration", "1970-01-03T01:00:30"),
        ("-01:00:30", "duration", "1969-12-31T22:59:30"),
        ("-1 day, 23:00:00", "duration", "1969-12-31T23:00:00"),
        ("-1 days +23:00:00", "duration", "1969-12-31T23:00:00"),
        ("-2 days -01:00:00", "duration", "1969-12-29T23:00:00"),
        ("6 PM", "clock of 12 hours", "1970-01-01T18:00:00"),
        ("12.30 a.m.", "clock of 12 hours", "1970-01-01T00:30:00"),
        ("14:05 Uhr", "clock in words", "1970-01-01T14:05:00"),
        ("8.05 Uhr", "clock in words", "1970-01-01T08:05:00"),
        ("14:05 hrs", "clock with h", "1970-01-01T14:05:00"),
        ("14h05", "duration h minutes", "1970-01-01T14:05:00"),
        ("36 h 15", "duration h minutes", "1970-01-02T12:15:00"),
        ("01:05.5", "minutes:seconds", "1970-01-01T00:01:05.500"),
        ("1h 5m", "duration in units", "1970-01-01T01:05:00"),
        ("2 hours and 30 minutes", "duration in units", "1970-01-01T02:30:00"),
        ("1d2h3min4.5s", "duration in units", "1970-01-02T02:03:04.500"),
        ("PT1H5M", "duration of ISO 8601", "1970-01-01T01:05:00"),
        ("-P1DT0.5S", "duration of ISO 8601", "1969-12-30T23:59:59.500"),
        ("Jan-20", "name-year", "2020-01-01T00:00:00"),
        ("01JAN2020", "day name year", "2020-01-01T00:00:00"),
        ("01/Jan/2020:12:00:05 +0000", "day name year", "2020-01-01T12:00:05"),
        ("Wed Aug 27 13:08:45 +0000 2008", "name day time year", "2008-08-27T13:08:45"),
        ("2020年1月5日", "year年month月day日", "2020-01-05T00:00:00"),
        ("2020 Q3", "year quarter", "2020-07-01T00:00:00"),
        ("31 12 2020", "day/month/year", "2020-12-31T00:00:00"),
        ("5. März 2020", "day name year", "2020-03-05T00:00:00"),
        ("3 juin 2019", "day name year", "2019-06-03T00:00:00"),
        ("3 juil. 2019", "day name year", "2019-07-03T00:00:00"),
        ("1 de agosto de 2019", "day name year", "2019-08-01T00:00:00"),
        ("11 dicembre 2019", "day name year", "2019-12-11T00:00:00"),
        ("2 мая 2021 г.", "day name year", "2021-05-02T00:00:00"),
        ("3 października 2021", "day name year", "2021-10-03T00:00:00"),
        ("3. července 2021", "day name year", "2021-07-03T00:00:00"),
        ("4 Ağustos 2021", "day name year", "2021-08-04T00:00:00"),
        ("5 Ιανουαρίου 2021", "day name year", "2021-01-05T00:00:00"),
        ("6 marraskuuta 2021", "day name year", "2021-11-06T00:00:00"),
        ("2021. január 5.", "year name day", "2021-01-05T00:00:00"),
        ("2021-Jan-05", "year name day", "2021-01-05T00:00:00"),
        ("[01/Jan/2021:10:00:00 +0100]", "day name year", "2021-01-01T09:00:00"),
        ("20210105T103000Z", "yearmonthday", "2021-01-05T10:30:00"),
        ("Q3 2021", "quarter year", "2021-07-01T00:00:00"),
        ("2020-W53-7", "year-week", "2021-01-03T00:00:00"),
        ("2026-W01", "year-week", "2025-12-29T00:00:00"),
        ("2020-02-29 10:00:00 CET", "year-month-day", "2020-02-29T09:00:00"),
        ("2020-02-29 10:00+01", "year-month-day", "2020-02-29T09:00:00"),
        ("2020-02-29 10:00 UTC+2", "year-month-day", "2020-02-29T08:00:00"),
        ("2020-02-29T10:00-05:30[America/X]", "year-month-day", "2020-02-29T15:30:00"),
        ("2/29/2020 10:00 AM EST", "month/day/year", "2020-02-29T15:00:00"),
        ("29.2.2020 10:00 AEST", "day/month/year", "2020-02-29T00:00:00"),
        ("Sat Feb 29 10:00:00 PST 2020", "name day time year", "2020-02-29T18:00:00"),
    ],
)
def test_dates_are_read_as_people_write_them(text: str, pattern: str, wanted: str) -> None:
    assert find_patterns(cells(text)) == [pattern]
    seconds, _ = parse_dates(cells(text), pattern)
    assert seconds[0] == datetime.fromisoformat(wanted).replace(tzinfo=UTC).timestamp()


def test_a_word_for_a_zone_that_has_no_one_meaning_is_found() -> None:
    assert (
        find_zone(cells("2020-02-29 10:00 Europe/Berlin", "2020-02-28 10:00 Asia/Tokyo")) == "Europe/Berlin"
    )
    assert find_zone(cells("Sat Feb 29 10:00:00 IST 2020")) == "IST"
    assert find_zone(cells("2020-02-29 NY", "2020-02-28 LA")) == ""
    assert find_zone(cells("2020-02-29 10:00 IST", "of late")) == ""


def test_a_date_that_may_be_read_in_two_ways_has_two_patterns() -> None:
    assert find_patterns(cells("03/04/2020", "01/02/2020")) == ["day/month/year", "month/day/year"]
    assert find_patterns(cells("03/04/2020", "01/22/2020")) == ["month/day/year"]


def test_units_of_time_differ_where_they_are_no_metres_or_grams() -> None:
    assert find_patterns(cells("45m", "2h")) == ["duration in units"]
    assert find_patterns(cells("45m", "2m")) == []
    assert find_patterns(cells("14h05", "9h")) == ["duration h minutes"]
    assert find_patterns(cells("14h", "9h")) == []


def test_an_m_beside_weeks_and_days_may_be_months_or_minutes() -> None:
    assert find_patterns(cells("6m", "2w", "5d")) == []
    assert find_patterns(cells("6m", "2d", "3h")) == ["duration in units"]
    assert find_patterns(cells("6 min", "2d")) == ["duration in units"]


@pytest.mark.parametrize(
    "text",
    ["2020-02-30", "2021-W53", "2019-02-29", "31.04.2020", "2020-13-01", "25:61", "a", "1.5", "10.1.2.3"],
)
def test_days_that_do_not_exist_are_no_dates(text: str) -> None:
    assert find_patterns(cells(text)) == []


def test_empty_cells_are_no_mistakes() -> None:
    seconds, mistaken = parse_dates(cells("2020-01-01", "", "NA", "x"), "year-month-day", ("na",))
    assert mistaken.tolist() == [False, False, False, True]
    assert np.isnan(seconds).tolist() == [False, True, True, True]
    assert measure_share(cells("2020-01-01", "2020-01-02", "x")) == (pytest.approx(2 / 3), "year-month-day")


def test_the_first_cells_are_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = cells("red 1", "2020-01-01", "5 h 3", "blue")
    head = judge_head(texts)
    monkeypatch.setattr(dates, "parse_dates", lambda *_: pytest.fail("again"))
    assert find_patterns(texts, head) == []
    assert measure_share(texts, head) == (0.0, "")
    assert measure_share_of_any(texts, head) == 0.25


def test_a_format_of_ones_own() -> None:
    seconds, mistaken = parse_dates(cells("05|2020|03", "x", ""), "%d|%Y|%m")
    assert seconds[0] == datetime(2020, 3, 5, tzinfo=UTC).timestamp()
    assert mistaken.tolist() == [False, True, False]


@settings(max_examples=50)
@given(some.datetimes(min_value=datetime(1600, 1, 1), max_value=datetime(2400, 1, 1)))
def test_what_python_writes_is_read_back(moment: datetime) -> None:
    seconds, _ = parse_dates(cells(moment.isoformat(sep=" ")), "year-month-day")
    assert seconds[0] == pytest.approx(moment.replace(tzinfo=UTC).timestamp(), abs=1e-5)
