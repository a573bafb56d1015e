"""What README and docs claim is what was recorded: the check finds each figure that is changed."""

import json
import re
from pathlib import Path

import pytest

from benchmarks import claim_records, claims
from benchmarks.claim_records import Figure
from benchmarks.claims import Book, Claim
from tests.conftest import CHECKOUT

BOOK = claims.read_book()
NUMBER = re.compile(claims.NUMBER)


def test_each_figure_of_the_pages_is_that_of_its_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert claims.find_faults(BOOK) == []
    assert {
        "README.md",
        "docs/benchmarks.md",
        "docs/cluster/scale.md",
        "docs/how-to/kinds-of-data.md",
    } == set(BOOK.pages)
    assert claims.main([]) == 0
    assert f"{sum(len(claim.names) for claim in BOOK.claims)} figures on 4 pages" in capsys.readouterr().out


def change(claim: Claim, text: str, index: int) -> str:
    """Return the text with one figure of a claim changed in its last digit."""
    found = claim.pattern.search(text)
    assert found is not None
    start, end = found.span(index + 1)
    shown = text[start:end]
    other = "7" if shown == "-" else shown[:-1] + str((int(shown[-1]) + 5) % 10)
    return text[:start] + other + text[end:]


@pytest.mark.parametrize("page", BOOK.pages)
def test_any_figure_that_is_changed_in_a_copy_is_found_and_named(page: str) -> None:
    text = (CHECKOUT / page).read_text()
    for claim in (each for each in BOOK.claims if each.page == page):
        for index in {0, len(claim.names) - 1}:
            faults = list(claims.find_page_faults(BOOK, page, change(claim, text, index)))
            assert len(faults) == 1
            assert faults[0].startswith(f"{claim.names[index]} must be ")


def test_a_copy_with_another_figure_ends_the_command_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for page in BOOK.pages:
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / page).write_text(re.sub(r"needs \d\d\.\d", "needs 99.9", (CHECKOUT / page).read_text()))
    monkeypatch.setattr(claims.find_faults, "__defaults__", (tmp_path,))
    assert claims.main([]) == 1
    told = capsys.readouterr().out
    recorded = r"error: README.md: replay: tpe_epochs to 95% must be \d\d\.\d as recorded, got 99\.9\n"
    assert re.fullmatch(recorded, told)


def make_book(text: str, plain: tuple[str, ...] = (), unrecorded: tuple[str, ...] = ()) -> Book:
    figures = {"a": Figure(7.214, 4.39, 11.07), "never": Figure(None, 3.0, None)}
    return Book((Claim("p", text),), figures, {"p": plain}, {"p": unrecorded})


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("It takes 7.21 s.", None),
        ("It takes\n7.2 s.", None),
        ("It takes 7 s.", None),
        ("It takes 7.22 s.", "a must be 7.21 as recorded, got 7.22"),
        ("It takes - s.", "a must be 7.214, got - (not reached)"),
        ("It took 7.21 s.", "it must say, but for figures and line breaks: It takes {a} s."),
        ("It takes 7.21 s. Twice 5 is ten.", "no record is named for the figures of: Twice 5 is ten."),
        ("It takes 7.21 s. Code as `x=5` and [links](a5.md) claim nothing.", None),
    ],
)
def test_what_a_page_may_say(text: str, fault: str | None) -> None:
    faults = list(claims.find_page_faults(make_book("It takes {a} s."), "p", text))
    assert faults[:1] == ([] if fault is None else [fault])


def test_ends_of_a_spread_and_what_was_never_reached_have_names() -> None:
    book = make_book("{a low} to {a high}; {never}")
    assert list(claims.find_page_faults(book, "p", "4.39 to 11.1; -")) == []
    assert list(claims.find_page_faults(book, "p", "4.39 to 11.1; 5")) == [
        "never must be - (not reached), got 5"
    ]
    with pytest.raises(ValueError, match="a figure must be one that a record has"):
        list(claims.find_page_faults(make_book("{b}"), "p", "1"))


def test_texts_without_a_record_must_stand_as_they_are() -> None:
    book = make_book("{a}", plain=("3 rooms",), unrecorded=("5 s, no record was kept",))
    assert list(claims.find_page_faults(book, "p", "7.21 3 rooms 5 s,\nno record was kept")) == []
    assert list(claims.find_page_faults(book, "p", "7.21 3 rooms 6 s, no record was kept")) == [
        "it must say, but for line breaks: 5 s, no record was kept",
        "no record is named for the figures of: 6 s, no record was kept",
    ]


def test_medians_are_those_of_the_raw_values_and_never_reached_is_endless(tmp_path: Path) -> None:
    assert Figure.of([3.0, None, 1.0]) == Figure(3.0, 1.0, None)
    assert Figure.of([None, None, 1.0]) == Figure(None, 1.0, None)
    assert Figure.of([0.5, 0.25], 100) == Figure(37.5, 25.0, 50.0)
    record = tmp_path / "r.json"
    record.write_text(json.dumps({"overhead": [{"before": 100, "seconds": [0.1, 0.3, 0.2]}]}))
    assert claim_records.read_record(record)["after 100"] == Figure(0.2, 0.1, 0.3)
    record.write_text("{}")
    with pytest.raises(ValueError, match="a record must have one of strategies"):
        claim_records.read_record(record)
