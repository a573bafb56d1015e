"""ARFF, the files of Weka: a header with the type of each column, then rows; `?` is an empty cell."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.cells import CellTable, Row, collect_cells
from pipeline.data.tables.text_files import OpenText
from pipeline.errors import BadData

TEXT = r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\""""
ATTRIBUTE = re.compile(rf"@attribute\s+(?:{TEXT}|([^\s{{]+))\s*(.*)", re.IGNORECASE)
CELL = re.compile(rf"\s*(?:(?:{TEXT})\s*|([^,\t]*))(,|\t|$)")
ESCAPE = re.compile(r"\\(.)")
DATA, COMMENT, SPARSE = "@data", "%", "{"
NUMERIC_WORDS = re.compile(r"\{\s*-?\d+(?:\.\d+)?\s*(?:,\s*-?\d+(?:\.\d+)?\s*)*\}")
"""Words of a column that are numbers, such as {0,1,2}."""


def read_arff(
    path: Path, open_text: OpenText, scratch: ScratchSpace, label: str, findings: Findings
) -> CellTable:
    """Read the cells of an ARFF file; columns of words that are numbers are told, but for the label.

    Raises:
        BadData: it has no header or rows of another number of cells, or is in ARFF's form for sparse rows.
    """
    with open_text() as file:
        types = dict(_read_header(path, file))
    coded = [name for name, kind in types.items() if NUMERIC_WORDS.fullmatch(kind) and name != label]
    text = "whose words are numbers: read as any other; data.categorical=[...] keeps them words"
    findings.add("column", text, ", ".join(coded[:8]), len(coded))
    return collect_cells(list(types), _read_rows(path, open_text, len(types)), scratch)


def _read_header(path: Path, file: TextIO) -> Iterator[tuple[str, str]]:
    """Yield the name and the type of each column."""
    found: set[str] = set()
    for line in map(str.strip, file):
        if line.lower().startswith(DATA):
            break
        match = ATTRIBUTE.match(line)
        if match is None:
            continue
        name = _take_text(match)
        if name in found:
            raise BadData(f"{path} must have different column names, got {name} twice; rename one")
        found.add(name)
        yield name, match[4].strip()
    else:
        raise BadData(f"{path} must have a line @data above its rows, as ARFF has, got none; mend it")


def _take_text(match: "re.Match[str]") -> str:
    quoted = match[1] if match[1] is not None else match[2]
    return match[3].rstrip() if quoted is None else ESCAPE.sub(r"\1", quoted)


def _read_rows(path: Path, open_text: OpenText, width: int) -> Iterator[Row]:
    is_data = False
    with open_text() as file:
        for number, line in enumerate(map(str.strip, file), 1):
            if not line or line.startswith(COMMENT):
                continue
            if not is_data:
                is_data = line.lower().startswith(DATA)
                continue
            if line.startswith(SPARSE):
                raise BadData(
                    f"{path} must have a cell for each column, got a sparse row in line {number}; save it "
                    "with Weka's filter SparseToNonSparse, or as CSV"
                )
            cells = list(_split_row(line))
            if len(cells) != width:
                raise BadData(
                    f"{path} must have {width} cells in every row, got {len(cells)} in line {number}; mend it"
                )
            yield number, cells


def _split_row(line: str) -> Iterator[str | None]:
    """Yield the cells of a row; what stands behind a quote that is closed is no cell of its own."""
    place = 0
    while match := CELL.match(line, place):
        text = _take_text(match)
        yield None if match[3] == "?" else text
        if not match[4]:
            return
        place = match.end()
