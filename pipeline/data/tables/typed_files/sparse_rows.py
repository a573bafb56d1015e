"""LIBSVM (svmlight): in each row the label, and the place and value of each feature that is not zero."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.cells import CellTable, Row, collect_cells
from pipeline.data.tables.text_files import OpenText
from pipeline.errors import BadData

NUMBER = rb"[-+]?[.\d]+(?:[eE][-+]?\d+)?"
FIRST_ROW = re.compile(
    rb"(?:#.*\n)*%s(?:,%s)*(?:[ \t]+(?:qid|\d+):%s)+[ \t]*(?:#.*)?\r?\n" % (NUMBER, NUMBER, NUMBER)
)
LABEL, QUERY, ZERO = "label", "qid", "0"
MOST_CELLS = 100_000_000
"""As many cells, most of them zero, fill some gigabytes."""


def read_sparse(path: Path, open_text: OpenText, scratch: ScratchSpace, findings: Findings) -> CellTable:
    """Read such rows as a table: `label`, and `feature_N` for each place N that has a value somewhere.

    Raises:
        BadData: a row is written otherwise, or there are too many cells.
    """
    places: set[int] = set()
    rows = queries = 0
    for _, _, features, is_query in _split_rows(path, open_text):
        places |= features.keys()
        rows, queries = rows + 1, queries + is_query
    if rows * len(places) > MOST_CELLS:
        raise BadData(
            f"{path} must have at most {MOST_CELLS:,} cells with its zeros, got {rows:,} rows of "
            f"{len(places):,} features; reduce them, such as with scikit-learn's TruncatedSVD, and save .npz"
        )
    findings.add("row", "of a query (qid), which is left out", count=queries)
    order = sorted(places)
    names = [LABEL, *(f"feature_{place}" for place in order)]
    cells: Iterator[Row] = (
        (line, [label, *(features.get(place, ZERO) for place in order)])
        for line, label, features, _ in _split_rows(path, open_text)
    )
    return replace(collect_cells(names, cells, scratch), filler=ZERO)


def _split_rows(path: Path, open_text: OpenText) -> Iterator[tuple[int, str, dict[int, str], bool]]:
    """Yield the line, the label and the features by place of each row, and whether a query is named."""
    with open_text() as file:
        for number, line in enumerate(file, 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            pairs = [word.partition(":") for word in words[1:]]
            try:
                features = {int(place): value for place, _, value in pairs if place != QUERY}
            except ValueError:
                features = {}
            if len(features) < sum(place != QUERY for place, _, _ in pairs) or "" in features.values():
                raise BadData(
                    f"{path} must have a label and different PLACE:VALUE in every row, as LIBSVM has, got "
                    f"others in line {number}; mend it"
                )
            yield number, words[0], features, any(place == QUERY for place, _, _ in pairs)
