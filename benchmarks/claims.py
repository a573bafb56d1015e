"""`make claims`: hold each figure that README and docs/benchmarks.md claim against its record.

`claims.toml` has the sentences and tables with a name in the place of each figure. A sentence must stand in
its page word for word, each figure must be that of its record as far as it is written out, and no other
figure may stand there. With `--measure` what is cheap is measured anew; it must lie within the recorded
spread.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.claim_records import RESULTS, Figure, Figures, read_record

ROOT = Path(__file__).resolve().parents[1]
CLAIMS = Path(__file__).with_suffix(".toml")
PLACE = re.compile(r"\{([^{}]+)\}")
NUMBER = r"(-|\d+(?:\.\d+)?)"
ENDS = ("low", "high")
NO_CLAIM = re.compile(
    r"```.*?```|`[^`]*`|\]\([^)]*\)|\b\d{4}-\d\d-\d\d\b|^#.*?$|^\|[-| ]+\|$", re.DOTALL | re.MULTILINE
)
"""Code, addresses, dates and headings: figures there claim nothing."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A text of a page; `text` has the name of a figure in braces where its page has the figure."""

    page: str
    text: str

    @property
    def names(self) -> list[str]:
        """Return the names of the figures, in order."""
        return PLACE.findall(self.text)

    @property
    def pattern(self) -> re.Pattern[str]:
        """Return what matches the text in its page, whatever its figures, and wherever lines are broken."""
        return _make_pattern(self.text)


@cache
def _make_pattern(text: str) -> re.Pattern[str]:
    parts = PLACE.split(text.strip())
    words = [
        re.sub(r"(?:\\?\s)+", r"\\s+", re.escape(part)) if index % 2 == 0 else NUMBER
        for index, part in enumerate(parts)
    ]
    return re.compile("".join(words))


@dataclass(frozen=True, slots=True)
class Book:
    """What `claims.toml` has: the claims, the recorded figures, and by page other texts with figures.

    `plain`: they claim nothing; `unrecorded`: no record of them was kept, as their page says.
    """

    claims: tuple[Claim, ...]
    figures: Mapping[str, Figure]
    plain: Mapping[str, Sequence[str]]
    unrecorded: Mapping[str, Sequence[str]]

    @property
    def pages(self) -> list[str]:
        """Return the pages that make claims."""
        return list(dict.fromkeys(claim.page for claim in self.claims))


def read_book(path: Path = CLAIMS, results: Path = RESULTS) -> Book:
    """Read the claims, and the records that they name."""
    content = tomllib.loads(path.read_text())
    figures: Figures = {}
    for short, name in content["records"].items():
        figures |= {f"{short}: {key}": figure for key, figure in read_record(results / name).items()}
    for name, (file, pattern) in content["patterns"].items():
        figures[name] = _read_pattern(results / file, pattern)
    claims = tuple(Claim(each["page"], each["text"]) for each in content["claims"])
    return Book(claims, figures, content["plain"], content["unrecorded"])


def _read_pattern(path: Path, pattern: str) -> Figure:
    """Read a figure of a record that is text alone: its value, and its spread where the pattern has one.

    Raises:
        ValueError: the record has no such text.
    """
    found = re.search(pattern, path.read_text())
    if found is None:
        raise ValueError(f"a pattern must be found in its record, got {pattern} in {path}")
    return Figure(*map(float, found.groups()))


def find_faults(book: Book, root: Path = ROOT) -> list[str]:
    """Return what is wrong in the pages, a line each."""
    return [
        f"{page}: {fault}"
        for page in book.pages
        for fault in find_page_faults(book, page, (root / page).read_text())
    ]


def find_page_faults(book: Book, page: str, text: str) -> Iterator[str]:
    """Yield what is wrong in the text of a page."""
    rest = text
    for claim in (each for each in book.claims if each.page == page):
        found = claim.pattern.search(text)
        if found is None:
            yield f"it must say, but for figures and line breaks: {claim.text.strip()}"
            continue
        rest = rest.replace(found[0], "")
        yield from _compare(claim, found.groups(), book.figures)
    for words in (*book.plain.get(page, ()), *book.unrecorded.get(page, ())):
        pattern = Claim(page, words).pattern
        if not pattern.search(text):
            yield f"it must say, but for line breaks: {words}"
        rest = pattern.sub("", rest)
    yield from _find_unbound(rest)


def _compare(claim: Claim, shown: Sequence[str], figures: Mapping[str, Figure]) -> Iterator[str]:
    """Yield each figure that differs from its record by more than the digits that are written out."""
    for name, text in zip(claim.names, shown, strict=True):
        value = get_value(figures, name)
        if text == "-":
            if value is not None:
                yield f"{name} must be {value:.4g}, got - (not reached)"
        elif value is None:
            yield f"{name} must be - (not reached), got {text}"
        else:
            digits = len(text.partition(".")[2])
            if abs(value - float(text)) > 0.5001 * 10.0**-digits:
                yield f"{name} must be {value:.{digits}f} as recorded, got {text}"


def get_value(figures: Mapping[str, Figure], name: str) -> float | None:
    """Return a figure by its name, or the end of its spread where the name ends with `low` or `high`.

    Raises:
        ValueError: no record has it.
    """
    if name in figures:
        return figures[name].value
    stem, _, end = name.rpartition(" ")
    if end in ENDS and stem in figures:
        return figures[stem].low if end == "low" else figures[stem].high
    raise ValueError(f"a figure must be one that a record has, got {{{name}}}")


def _find_unbound(text: str) -> Iterator[str]:
    """Yield each line with a figure that no claim binds to a record."""
    for line in NO_CLAIM.sub(" ", text).splitlines():
        if re.search(r"\d", line):
            yield f"no record is named for the figures of: {line.strip()}"


def measure(book: Book) -> Iterator[tuple[str, bool]]:
    """Measure what takes seconds anew; yield a line for each figure and whether it is within the spread."""
    from benchmarks.seeds import over_seeds

    fresh = over_seeds("digits", ("data=digits", "train.epochs=30", "device=cpu"), 5)
    recorded = book.figures["inputs: digits accuracy"]
    found = Figure.of(fresh.accuracies, 100)
    assert recorded.low is not None
    assert recorded.high is not None
    assert found.value is not None
    is_within = recorded.low <= found.value <= recorded.high
    spread = f"recorded {recorded.value:.2f} ({recorded.low:.2f} - {recorded.high:.2f})"
    yield f"digits, test accuracy in per cent: {found.value:.2f}, {spread}", is_within


def main(words: Sequence[str]) -> int:
    """Check the claims; 1 where anything is wrong."""
    parser = argparse.ArgumentParser("make claims", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure anew what is cheap")
    told = parser.parse_args(words)
    book = read_book()
    faults = find_faults(book)
    for fault in faults:
        print(f"error: {fault}")
    if told.measure:
        for line, is_within in measure(book):
            print(line if is_within else f"error: {line}")
            faults += [] if is_within else [line]
    bound = sum(len(claim.names) for claim in book.claims)
    if not faults:
        bare = sum(map(len, book.unrecorded.values()))
        print(f"{bound} figures on {len(book.pages)} pages are those of their records")
        print(f"{bare} texts have figures without a record, and say so")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
