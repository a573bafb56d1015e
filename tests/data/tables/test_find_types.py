"""What columns are taken for: right, or refused in one line; nothing is left out without a word."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.report import ColumnReport, Finding
from pipeline.data.samples import Table
from pipeline.data.sources import load
from pipeline.data.tables.find_types import MAX_CATEGORIES
from pipeline.errors import BadData
from tests.support import places

ROWS = 60
OF_POLAND = "with decimal , and with thousands ' ' and in zł"
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


def load_column(folder: Path, cells: list[str], name: str = "v", **changes: object) -> "Loaded":
    """Load a table with this column and a plain one, u, separated by `;`; the class goes by neither."""
    quoted = [f'"{cell}"' if ";" in cell else cell for cell in cells]
    lines = [f"{cell};{(row * 7) % 11 + 0.5};{'ab'[row % 2]}" for row, cell in enumerate(quoted)]
    path = folder / "t.csv"
    path.write_text("\n".join([f"{name};u;y", *lines]), encoding="utf-8")
    loaded = load(places.cells(path, label="y", columns=None, **changes), folder)
    assert isinstance(loaded.train.features, Table)
    return Loaded(loaded.train.features, {column.name: column for column in loaded.columns}, loaded.findings)


class Loaded:
    def __init__(self, table: Table, columns: dict[str, ColumnReport], findings: tuple[Finding, ...]) -> None:
        self.table, self.columns, self.findings = table, columns, list(map(str, findings))

    def numbers(self, name: str = "v") -> np.ndarray:
        return self.table.numbers[:, self.table.numeric.index(name)]

    def words(self, name: str = "v") -> list[str]:
        return list(self.table.words[self.table.categorical.index(name)][:])


def repeat(*cells: str) -> list[str]:
    return [cells[row % len(cells)] for row in range(ROWS)]


def count(form: Callable[[int], str]) -> list[str]:
    return [form(row) for row in range(ROWS)]


@pytest.mark.parametrize(
    "word",
    [
        "-",
        ".",
        "?",
        "NA",
        "N/A",
        "#N/A",
        "null",
        "None",
        "nan",
        "n.a.",
        "--",
        "inf",
        " ",
        "н/д",
        "k. A.",
        "#¡DIV/0!",
        "无",
    ],
)
def test_words_for_nothing_are_empty_cells_among_numbers(tmp_path: Path, word: str) -> None:
    loaded = load_column(tmp_path, count(lambda row: word if row % 3 == 0 else f"{row / 7:.3f}"))
    assert np.isnan(loaded.numbers()).tolist() == [row % 3 == 0 for row in range(ROWS)]
    assert loaded.columns["v"].missing == 20
    assert not word.strip() or f"1 column where {word} counts as an empty cell (v)" in loaded.findings


def test_a_category_called_na_or_none_is_a_value(tmp_path: Path) -> None:
    loaded = load_column(tmp_path, repeat("NA", "EU", "None", "", "AS"))
    assert loaded.words()[:5] == ["NA", "EU", "None", "", "AS"]
    told = load_column(tmp_path, repeat("NA", "EU", "None", "", "AS"), missing=["none"])
    assert told.words()[:5] == ["NA", "EU", "", "", "AS"]


def test_another_word_among_numbers_is_refused_with_the_key_that_takes_it(tmp_path: Path) -> None:
    cells = count(lambda row: "closed" if row % 4 == 1 else f"{row / 7:.3f}")
    with pytest.raises(BadData) as caught:
        load_column(tmp_path, cells)
    places.assert_one_line(caught, "column v of", "got 'closed' in line 3", "data.missing=[closed]")
    assert np.isnan(load_column(tmp_path, cells, missing=["closed"]).numbers()).sum() == 15
    assert load_column(tmp_path, cells, categorical=["v"]).words()[1] == "closed"


@pytest.mark.parametrize(
    ("cells", "first", "note"),
    [
        (count(lambda row: f"{row},{row % 10}"), 0.0, "with decimal ,"),
        (count(lambda row: f"1.{row + 100},5"), 1100.5, "with decimal , and with thousands '.'"),
        (count(lambda row: f"${row}.50"), 0.5, "in $"),
        (count(lambda row: f"{row},50 руб."), 0.5, "with decimal , and in руб."),
        (
            count(lambda row: f"1 {row + 100},00 zł"),
            1100.0,
            "with decimal , and with thousands ' ' and in zł",
        ),
        (count(lambda row: f"￥{row + 100}"), 100.0, "in ￥"),
        (count(lambda row: str(row).translate(ARABIC) + "٫٥"), 0.5, ""),
        (count(lambda row: str(row).translate(FULL_WIDTH) + "．５"), 0.5, ""),
        (count(lambda row: f"{row * 3 % 7} %"), 0.0, "in %"),
        (count(lambda row: f"{row * 3 % 7} kg"), 0.0, "in kg"),
        (count(lambda row: f"{10 + row % 3}:30"), 37800.0, "clock"),
    ],
)
def test_how_numbers_are_written_is_found_and_told(
    tmp_path: Path, cells: list[str], first: float, note: str
) -> None:
    loaded = load_column(tmp_path, cells)
    assert loaded.numbers()[0] == first
    assert loaded.columns["v"].note == note


def test_fractions_or_thousands_are_told_apart_by_other_columns_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    lines = [f"{row % 9},{row + 100};{row},5;{'ab'[row % 2]}" for row in range(ROWS)]
    path.write_text("\n".join(["v;w;y", *lines]))
    found = load(places.cells(path, label="y", columns=None), tmp_path).train.features
    assert isinstance(found, Table)
    assert found.numbers[1].tolist() == [1.101, 1.5]
    path.write_text(
        "\n".join(["v;y", *(f"{row % 9 + 1},{row + 100};{'ab'[row % 2]}" for row in range(ROWS))])
    )
    with pytest.raises(BadData) as caught:
        load(places.cells(path, label="y", columns=None), tmp_path)
    places.assert_one_line(caught, "column v of", "may hold fractions or thousands", "data.thousands=','")
    found = load(places.cells(path, label="y", columns=None, thousands=","), tmp_path).train.features
    assert isinstance(found, Table)
    assert found.numbers[0].tolist() == [1100]


def test_numbers_in_two_units_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData) as caught:
        load_column(tmp_path, count(lambda row: f"{row} {'kg' if row % 2 else 'g'}"))
    places.assert_one_line(caught, "column v of", "got the units g, kg", "data.drop=[v]")


@pytest.mark.parametrize(
    ("name", "cells", "reason"),
    [
        ("v", repeat("7"), "the same in every row"),
        ("v", repeat("x"), "the same in every row"),
        ("v", repeat("", "3.5", ""), "one value where it is not empty: data.categorical=[...]"),
        ("v", count(lambda row: f"~{row}.5"), "nearly every row has another, made of numbers"),
        ("v", repeat(""), "no value in it"),
        ("v", count(str), "row numbers"),
        ("", count(lambda row: str(row + 1)), "row numbers"),
        ("customer_id", count(lambda row: str(row * 37 % 1009)), "a number of its own in every row"),
        ("v", count(lambda row: f"C{row:05}"), "nearly every row has another word"),
        ("v", count(lambda row: f"{row:05}"), "nearly every row has another word"),
        ("v", count(lambda row: f"{row + 1} 1/2"), "nearly every row has another, made of numbers: write"),
        ("v", count(lambda row: f"{row}.5±0.2"), "nearly every row has another, made of numbers: write"),
        ("v", count(lambda row: f"192.168.{row}.{row * 3}"), "IP addresses: nearly every row has another"),
        ("v", count(lambda row: f"10.0.0.{row}/24"), "IP addresses: nearly every row has another"),
        ("v", count(lambda row: f"+49 151 23{row:05}"), "telephone numbers: nearly every row has another"),
        ("v", count(lambda row: f"+4915123{row:05}"), "telephone numbers: nearly every row has another"),
        ("v", count(lambda row: f"0151/23{row:05}"), "telephone numbers: nearly every row has another"),
        ("v", count(lambda row: f"(212) 555-{row:04}"), "telephone numbers: nearly every row has another"),
        (
            "v",
            count(lambda row: f"212.555.{row:04} x{row}"),
            "telephone numbers: nearly every row has another",
        ),
        ("v", count(lambda row: f"01 23 45 67 {row:02}"), "telephone numbers: nearly every row has another"),
        ("Telefon", count(lambda row: f"30123{row:05}"), "telephone numbers: nearly every row has another"),
        ("v", count(lambda row: f"{row}.4.{row % 7}"), "version numbers: nearly every row has another"),
        ("v", count(lambda row: f"978-3-16-1484{row:02}-0"), "book numbers (ISBN): nearly every row"),
        ("v", count(lambda row: f"97831614{row:05}"), "book numbers (ISBN): nearly every row has another"),
        ("v", count(lambda row: f"DE89 3704 0044 0532 {row:04} 00"), "account numbers (IBAN): nearly every"),
        ("v", count(lambda row: f"00:1b:44:11:3a:{row:02x}"), "addresses of hardware: nearly every row"),
    ],
)
def test_columns_that_tell_nothing_are_left_out_with_a_word(
    tmp_path: Path, name: str, cells: list[str], reason: str
) -> None:
    loaded = load_column(tmp_path, cells, name)
    assert loaded.table.shape == (ROWS, 1)
    assert any(line.startswith(f"1 column left out: {reason}") for line in loaded.findings)
    assert loaded.columns[name or "unnamed_0"].taken_for == "nothing"


def test_addresses_that_repeat_are_categories_and_said_to_be(tmp_path: Path) -> None:
    loaded = load_column(tmp_path, count(lambda row: f"10.0.{row % 5}.{row % 4}"))
    assert loaded.words()[4] == "10.0.4.0"
    assert "1 column of IP addresses, taken for categories (v)" in loaded.findings
    assert loaded.columns["v"].note == "IP addresses"


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (count(lambda row: f"+{row + 100}.5"), 100.5),
        (count(lambda row: f"1 {row + 100} 000"), 1_100_000.0),
        (count(lambda row: f"1.{row + 100}.000"), 1_100_000.0),
        (count(lambda row: str(2_125_550_000 + row * row)), 2_125_550_000.0),
    ],
)
def test_amounts_are_no_names_of_things(tmp_path: Path, cells: list[str], first: float) -> None:
    assert load_column(tmp_path, cells).numbers()[0] == first


@pytest.mark.parametrize(
    "cells",
    [
        count(lambda row: f"it was number {row} of them"),
        count(lambda row: f"这家餐厅的菜味道很好{chr(0x4E00 + row)}下次再来"),
        count(lambda row: "" if row % 9 == 1 else f"ruby wine, {row} years old, of the south"),
    ],
)
def test_free_text_stays_text_beside_other_columns(tmp_path: Path, cells: list[str]) -> None:
    loaded = load_column(tmp_path, cells)
    assert loaded.words() == cells
    assert loaded.columns["v"].taken_for == "text"
    assert "1 column taken for free text, whose words are counted (v)" in loaded.findings
    assert load_column(tmp_path, cells, drop=["v"]).table.categorical == ()
    assert load_column(tmp_path, cells, categorical=["v"]).columns["v"].taken_for == "category"


def test_addresses_of_pages_are_names_and_no_text(tmp_path: Path) -> None:
    loaded = load_column(tmp_path, count(lambda row: f"https://example.org/a/rather/long/page/{row}.html"))
    assert loaded.columns["v"].note.startswith("left out: nearly every row has another word")


def test_a_column_that_is_asked_for_is_used(tmp_path: Path) -> None:
    cells = count(lambda row: f"C{row:05}")
    assert load_column(tmp_path, cells, categorical=["v"]).words()[3] == "C00003"
    path = tmp_path / "t.csv"
    found = load(places.cells(path, label="y", columns=["v"]), tmp_path).train.features
    assert isinstance(found, Table)
    assert found.categorical == ("v",)
    path.write_text("x,y\n" + "".join(f"{row},{row % 2}\n" for row in range(ROWS)))
    loaded = load(places.cells(path, label="y", columns=None), tmp_path)
    assert loaded.columns[0].note == "row numbers, used as there is no other column"


def test_a_table_of_nothing_but_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("name,y\n" + "".join(f"C{row:05},{row % 2}\n" for row in range(ROWS)))
    with pytest.raises(BadData) as caught:
        load(places.cells(path, label="y", columns=None), tmp_path)
    places.assert_one_line(
        caught, "must have a column that tells something", "name (nearly every row", "data.columns"
    )
    path.write_text("name,y\n")
    with pytest.raises(BadData, match="must have rows below its header"):
        load(places.cells(path, label="y", columns=None), tmp_path)


def test_dates_are_dates_and_epochs_by_their_name(tmp_path: Path) -> None:
    loaded = load_column(tmp_path, count(lambda row: f"2020-01-{row % 28 + 1:02}"))
    assert loaded.columns["v"].taken_for == "date"
    assert loaded.numbers()[0] == 1577836800
    cells = count(lambda row: str(1577836800 + 7 * row))
    assert load_column(tmp_path, cells, "created_at").columns["created_at"].note == "seconds"
    assert load_column(tmp_path, cells).columns["v"].taken_for == "number"


def test_day_and_month_are_not_guessed(tmp_path: Path) -> None:
    cells = count(lambda row: f"{row % 12 + 1:02}/{row % 9 + 1:02}/2020")
    with pytest.raises(BadData) as caught:
        load_column(tmp_path, cells)
    places.assert_one_line(caught, "column v of", "data.dates=day/month/year or month/day/year")
    first_of_february = 1580515200
    assert load_column(tmp_path, cells, dates="month/day/year").numbers()[12] == pytest.approx(
        1577836800 + 3 * 86400
    )
    assert load_column(tmp_path, cells, dates="%d/%m/%Y").numbers()[1] == first_of_february + 86400


def test_codes_with_leading_zeros_are_no_numbers(tmp_path: Path) -> None:
    assert load_column(tmp_path, repeat("01234", "99501", "00501")).words()[:3] == ["01234", "99501", "00501"]


def test_rare_categories_are_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    lines = [f"w{row % 150},{row % 7 + 0.5},{'ab'[row % 2]}" for row in range(450)]
    path.write_text("\n".join(["v,u,y", *lines]))
    loaded = load(places.cells(path, label="y", columns=None), tmp_path)
    assert loaded.columns[0].note == f"{150 - MAX_CATEGORIES} rare ones joined"


def test_a_number_that_may_mean_no_value_is_told_and_can_be_left_out(tmp_path: Path) -> None:
    cells = count(lambda row: "-999.0" if row % 10 == 0 else f"{20 + row % 7}.5")
    told = load_column(tmp_path, cells)
    assert any("data.missing=[-999.0]" in text and "far from all" in text for text in told.findings)
    assert told.numbers().min() == -999
    kept = load_column(tmp_path, cells, missing=["-999"])
    assert np.isnan(kept.numbers()).sum() == ROWS / 10
    assert not any("far from all" in text for text in kept.findings)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (
            count(lambda row: "99999" if row % 9 == 5 else str(20000 + 1237 * row)),
            "99999 far from all other numbers",
        ),
        (
            count(lambda row: ("98", "99")[row % 2] if row % 9 < 2 else str(row % 12 + 1)),
            "data.missing=[98,99]",
        ),
        (count(lambda row: "9.96921e+36" if row == 5 else str(1.5 * row)), "data.missing=[9.96921e+36]"),
        (count(lambda row: "-1" if row % 9 == 5 else str(20 + row)), "data.missing=[-1]"),
        (
            count(lambda row: "31.12.9999" if row % 9 == 5 else f"{row % 28 + 1}.3.2020"),
            "data.missing=[31.12.9999]",
        ),
        (
            count(lambda row: "1900-01-01 00:00" if row == 5 else f"2020-03-{row % 28 + 1:02} 10:00"),
            'data.missing=["1900-01-01 00:00"]',
        ),
        (repeat("0", "5", "6"), ""),
        (count(lambda row: f"{1950 + row}-01-01"), ""),
    ],
)
def test_numbers_and_days_that_may_mean_no_value_are_told(
    tmp_path: Path, cells: list[str], told: str
) -> None:
    findings = load_column(tmp_path, cells).findings
    assert any("far from all" in text and told in text for text in findings) == bool(told)


def test_marks_of_spreadsheets_are_taken_off_and_formulas_refused(tmp_path: Path) -> None:
    loaded = load_column(tmp_path, count(lambda row: f'="{1.5 * row}"'), quote="none")
    assert loaded.numbers()[3] == 4.5
    assert (
        '1 column with marks of spreadsheets for texts, as in ="0.0", which are taken off (v)'
        in loaded.findings
    )
    assert load_column(tmp_path, repeat("'0012", "'0013")).words()[:2] == ["0012", "0013"]
    assert load_column(tmp_path, repeat("'red", "'blue")).words()[:2] == ["'red", "'blue"]
    with pytest.raises(BadData) as caught:
        load_column(tmp_path, count(lambda row: f"=A{row}+B{row}"))
    places.assert_one_line(caught, "must hold values, got formulas as in =A0+B0", "data.drop=[v]")


def test_words_that_are_alike_are_told(tmp_path: Path) -> None:
    cells = repeat("True", "false", "TRUE")
    assert any("alone, as True and TRUE" in text for text in load_column(tmp_path, cells).findings)


@pytest.mark.parametrize(
    ("name", "form", "told"),
    [
        ("v", lambda row: ("A&amp;B", "A&B")[row % 2], "code of HTML, as &amp; for &: mend"),
        ("order_date", lambda row: f"{43831 + row * 7}", "a spreadsheet counts them (43831 is 2020-01-01)"),
        ("v", lambda row: f"{row % 28 + 1}.3.{2561 + row % 4}", "years 2561 to 2564, as of the Buddhist"),
        ("v", lambda row: f"1441-03-{row % 28 + 1:02}", "as of the Islamic or Persian calendar"),
    ],
)
def test_what_another_program_or_calendar_wrote_is_told(
    tmp_path: Path, name: str, form: Callable[[int], str], told: str
) -> None:
    assert told in " / ".join(load_column(tmp_path, count(form), name).findings)


def test_what_only_looks_like_that_is_not_told(tmp_path: Path) -> None:
    assert (
        load_column(tmp_path, repeat("A&B;", "&c;")).findings
        == load_column(tmp_path, repeat("a", "b")).findings
    )
    assert "spreadsheet" not in " ".join(
        load_column(tmp_path, count(lambda row: f"{43831 + row * 7}")).findings
    )
    assert "calendar" not in " ".join(
        load_column(tmp_path, count(lambda row: f"{1450 + row * 7}-01-01")).findings
    )


def test_dates_of_a_zone_that_is_not_known_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData) as caught:
        load_column(tmp_path, count(lambda row: f"2020-03-{row % 28 + 1:02} 10:{row:02} IST"))
    places.assert_one_line(caught, "got IST in 2020-03-01 10:00 IST", "as +01:00", "data.drop=[v]")


def test_letters_that_were_decoded_wrongly_before_are_told(tmp_path: Path) -> None:
    cells = [word.encode().decode("cp1252") for word in repeat("Köln", "Grün")]
    assert any("(KÃ¶ln for Köln)" in text for text in load_column(tmp_path, cells).findings)
    assert not any("decoded" in text for text in load_column(tmp_path, repeat("Köln", "Grün")).findings)


def test_dates_of_several_forms_and_numbers_in_words_are_told(tmp_path: Path) -> None:
    mixed = count(lambda row: f"2020-03-{row % 28 + 1:02d}" if row % 2 else f"{row % 28 + 1:02d}.03.2020")
    with pytest.raises(BadData, match=r"written in one way, got several.*data\.drop=\[v\]"):
        load_column(tmp_path, mixed)
    zeros = count(lambda row: "0000-00-00" if row % 9 == 0 else f"2020-03-{row % 28 + 1:02d}")
    assert load_column(tmp_path, zeros).columns["v"].taken_for == "date"
    pressures = load_column(tmp_path, count(lambda row: f"{110 + row % 25}/{70 + row % 5}"))
    assert any("though made of numbers" in text for text in pressures.findings)


def test_a_class_called_nan_is_told(tmp_path: Path) -> None:
    lines = [f"{row};{(row * 7) % 11};{('a', 'b', 'NaN')[row % 3]}" for row in range(ROWS)]
    (tmp_path / "t.csv").write_text("\n".join(["v;u;y", *lines]), encoding="utf-8")
    loaded = load(places.cells(tmp_path / "t.csv", label="y", columns=None), tmp_path)
    assert loaded.classes == ("NaN", "a", "b")
    assert "1 class that may mean a label is missing" in " ".join(map(str, loaded.findings))


BEYOND = 2**53


@pytest.mark.parametrize(
    ("name", "form", "kind", "told"),
    [
        ("user", lambda row: str(9_007_199_254_740_993 + row % 2), "category", "of numbers of 16 digits and"),
        (
            "user",
            lambda row: str(1_234_567_890_123_456_789 + row),
            "nothing",
            "and more, which name things: near",
        ),
        (
            "v",
            lambda row: str(BEYOND + row % 3) if row % 2 else str(row % 4),
            "category",
            "taken for categories (v)",
        ),
        (
            "wei",
            lambda row: str((row % 25 + 1) * 10 ** (row % 20) + 1),
            "number",
            "beyond 2^53, rounded to 16 digits",
        ),
        (
            "time",
            lambda row: str(1_700_000_000_123_456_789 + row * 10**9),
            "date",
            "1 column taken for dates",
        ),
        ("big", lambda row: str((row % 9) * 2**60), "number", "2 columns taken for numbers"),
    ],
)
def test_whole_numbers_beyond_those_of_floating_point_are_never_merged_in_silence(
    tmp_path: Path, name: str, form: Callable[[int], str], kind: str, told: str
) -> None:
    loaded = load_column(tmp_path, count(form), name)
    assert loaded.columns[name].taken_for == kind
    assert told in " / ".join(loaded.findings)
    if kind == "category":
        assert len(set(loaded.words(name))) == len({form(row) for row in range(ROWS)})
    if kind == "date":
        assert np.diff(loaded.numbers(name)).round(6).tolist() == [1.0] * (ROWS - 1)


@pytest.mark.parametrize(
    ("name", "cells", "reason"),
    [
        ("Unnamed: 0", count(lambda row: str(row * 7 % ROWS)), "a number of its own in every row"),
        ("__index_level_0__", count(lambda row: str(row + 500)), "a number of its own in every row"),
        ("...1", count(str), "row numbers"),
        ("Unnamed: 0", count(lambda row: str(row % 20)), "row numbers"),
        ("index", count(lambda row: str(row % 30 + 1)), "row numbers"),
        ("row_number", count(lambda row: str(row + 500)), "a number of its own in every row"),
    ],
)
def test_what_programs_call_the_numbers_of_rows_is_left_out(
    tmp_path: Path, name: str, cells: list[str], reason: str
) -> None:
    assert load_column(tmp_path, cells, name).columns[name].note == f"left out: {reason}"


@pytest.mark.parametrize(("name", "is_named"), [("app_version", True), ("Release", True), ("price", False)])
def test_versions_are_names_where_1_10_is_not_1_1(tmp_path: Path, name: str, is_named: bool) -> None:
    column = load_column(tmp_path, repeat("1.1", "1.9", "1.10", "2.0"), name).columns[name]
    assert (column.taken_for, column.distinct) == ("category" if is_named else "number", 4)


def test_numbers_of_a_column_without_a_name_that_repeat_stay(tmp_path: Path) -> None:
    loaded = load_column(tmp_path, count(lambda row: str(row * row % 7)), "Unnamed: 0")
    assert loaded.columns["Unnamed: 0"].taken_for == "number"


def test_days_of_the_week_in_a_column_without_a_name_are_no_row_numbers(tmp_path: Path) -> None:
    assert load_column(tmp_path, count(lambda row: str(row % 7)), "Unnamed: 0").numbers("Unnamed: 0")[6] == 6


TOLD = "with several answers in a cell, as in {0}: each combination is a category; give each answer a column"


@pytest.mark.parametrize(
    ("cells", "example"),
    [
        (repeat("Pizza, Soup", "Pizza", "Soup", "Soup, Fish", "Fish, Pizza"), "Pizza, Soup"),
        (repeat("red;blue", "red", "blue;red", "blue"), "red;blue"),
        (repeat('["x", "y"]', '["y", "z"]', '["x"]', '["z", "x"]'), '["x", "y"]'),
        (repeat("Lee, Ann", "Lee, Bob", "Roe, Ann", "Roe, Bob", "Poe, Ann", "Poe, Bob"), ""),
        (repeat("Austin, TX", "Dallas, TX", "Reno, NV", "Boise, ID"), ""),
        (repeat("1,5-2", "2,5-1", "1,5-1", "2,5-2"), ""),
        (repeat("yes", "no"), ""),
    ],
)
def test_several_answers_in_a_cell_are_told(tmp_path: Path, cells: list[str], example: str) -> None:
    path = tmp_path / "t.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["v", "u", "y"], *([cell, row % 9, "ab"[row % 2]] for row, cell in enumerate(cells))]
        )
    told = [finding.text for finding in load(places.cells(path, label="y", columns=None), tmp_path).findings]
    assert (TOLD.format(example) in told) == bool(example)
    assert any("several answers" in text for text in told) == bool(example)


def test_many_combinations_of_answers_are_left_out_for_that(tmp_path: Path) -> None:
    cells = count(lambda row: ", ".join(name for bit, name in enumerate(NAMES) if (row % 50 + 1) >> bit & 1))
    assert load_column(tmp_path, cells).columns["v"].note == (
        "left out: nearly every row has other answers, several in a cell: give each answer a column"
    )


NAMES = ("Pizza", "Soup", "Fish", "Rice", "Pasta", "Salad")


def test_a_point_between_three_digits_and_a_semicolon_between_cells_may_be_thousands(tmp_path: Path) -> None:
    rows = [f"{1 + row % 9}.{row + 100};{row % 7};{'ab'[row % 2]}" for row in range(ROWS)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["v;u;y", *rows]))
    with pytest.raises(BadData, match=r"may hold fractions or thousands, as in .*data\.thousands='\.'"):
        load(places.cells(path, label="y", columns=None), tmp_path)
    for changes, first in (({"decimal": "."}, 1.1), ({"thousands": "."}, 1100)):
        loaded = load(places.cells(path, label="y", columns=None, **changes), tmp_path)
        assert loaded.train.features.numbers[0, 0] == first  # type: ignore[union-attr]
    path.write_text("\n".join(["v;u;y", "0.25;1;a", *rows]))
    assert load(places.cells(path, label="y", columns=None), tmp_path).train.features.numbers[1, 0] == 1.1  # type: ignore[union-attr]
