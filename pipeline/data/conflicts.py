"""Equal samples with different labels: at most one label of each can be right, which is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.data.report import Findings


@dataclass(frozen=True, slots=True)
class HashedRows:
    """Rows of a split: numbers of classes [n], a hash of each row, and a function that names a row."""

    labels: np.ndarray
    hashes: Sequence[bytes]
    name_row: Callable[[int], str]


def note_conflicts(splits: Sequence[HashedRows], is_table: bool, findings: Findings) -> None:
    """Add a finding of the samples that are found under several labels. `is_table`: rows of a table."""
    first_rows: dict[bytes, tuple[int, HashedRows, int]] = {}
    examples: dict[bytes, str] = {}
    for split in splits:
        for number, (row, label) in enumerate(zip(split.hashes, split.labels.tolist(), strict=True)):
            first, first_split, first_number = first_rows.setdefault(row, (label, split, number))
            if first != label and row not in examples:
                examples[row] = f"{first_split.name_row(first_number)} and {split.name_row(number)}"
    if is_table:
        text = "found under several labels, which no network can tell apart"
    else:
        text = "found under several labels, of which one at most is right: mend the others"
    findings.add("sample", text, next(iter(examples.values()), ""), len(examples))
