"""A column of a table as the quantity that is learned."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data.prepared import Prepared
from pipeline.data.preprocess import preprocess
from pipeline.errors import BadData

ROWS = 60


def prepare(folder: Path, cells: list[str], *words: str, separator: str = ",", name: str = "y") -> Prepared:
    """Prepare a table whose column x is no copy of the label."""
    path = folder / "t.csv"
    draw = np.random.default_rng(0).normal(size=len(cells)).round(3)
    lines = [f"x{separator}{name}", *(f"{x}{separator}{cell}" for x, cell in zip(draw, cells, strict=True))]
    path.write_text("\n".join(lines) + "\n")
    told = [f"data.path={path}", f"data.label={name}", "data.task=regression", f"cache_dir={folder}/cache"]
    return preprocess(compose(["data=csv", *told, *words]).settings)


def all_labels(data: Prepared) -> np.ndarray:
    return np.sort(np.concatenate([each.labels for each in (data.train, data.validation, data.test)]))


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        ([str(18 + row) for row in range(ROWS)], np.arange(ROWS) + 18.0),
        ([str(-row / 8) for row in range(ROWS)], -np.arange(ROWS) / 8),
        ([f"{1_000_000 + 1000 * row}" for row in range(ROWS)], 1e6 + 1e3 * np.arange(ROWS)),
        ([f'"$ {row + 1},000.50"' for row in range(ROWS)], 1000.5 + 1000 * np.arange(ROWS)),
        ([str(row % 3) for row in range(ROWS)], np.arange(ROWS) % 3),
    ],
    ids=["ages", "negative", "millions", "money", "few values"],
)
def test_numbers_keep_their_unit_and_are_scaled_by_training(
    tmp_path: Path, cells: list[str], values: np.ndarray
) -> None:
    data = prepare(tmp_path, cells)
    np.testing.assert_allclose(all_labels(data), np.sort(values))
    assert (data.classes, data.outputs) == ((), 1)
    assert data.target is not None
    scaled = data.target.scale(data.train.labels)
    assert (scaled.mean(), scaled.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1))
    assert sum(data.report.histogram["train"].values()) == len(data.train)
    again = prepare(tmp_path, cells)
    assert (again.reused, again.target) == (True, data.target)


def test_rows_without_a_label_are_counted(tmp_path: Path) -> None:
    cells = [str(row) for row in range(ROWS)]
    cells[3], cells[8], cells[20] = "", "NA", "?"
    data = prepare(tmp_path, cells)
    assert len(all_labels(data)) == ROWS - 3
    assert data.report.dropped["missing or infinite label"] == 3


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        (["7.5"] * ROWS, "quantities must differ, got 7.5 in all of .* training rows; choose another label"),
        ([""] * ROWS, "the column y must hold numbers, got empty cells only; set data.label"),
        (
            ["low", "high", "mid"] * 20,
            "column y of .* must hold numbers with data.task=regression, got words",
        ),
        ([f"2024-01-{1 + row % 28:02}" for row in range(ROWS)], "got dates such as '2024-01-01'"),
        ([*map(str, range(ROWS - 1)), "twelve"], "column y of .*'twelve'.* line 61"),
    ],
    ids=["constant", "empty", "words", "dates", "a mistake"],
)
def test_what_is_no_quantity_is_refused(tmp_path: Path, cells: list[str], line: str) -> None:
    with pytest.raises(BadData, match=line) as caught:
        prepare(tmp_path, cells)
    assert "\n" not in str(caught.value)


def test_a_copy_of_the_label_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{row * 7 % 61},{2.54 * (row * 7 % 61) + 1:.2f}" for row in range(ROWS)]
    path.write_text("inches,y\n" + "\n".join(rows) + "\n")
    words = ["data=csv", f"data.path={path}", "data.label=y", "data.task=regression"]
    data = preprocess(compose([*words, f"cache_dir={tmp_path}/cache"]).settings)
    told = [str(finding) for finding in data.report.findings if "follows" in finding.text]
    assert told == [
        "1 column from which the label of every row follows; if it is not known beforehand: data.drop=[...] "
        "(inches)"
    ]


def test_a_fraction_is_a_share_of_all_rows(tmp_path: Path) -> None:
    cells = [str(row) for row in range(ROWS)]
    whole, half = prepare(tmp_path, cells), prepare(tmp_path, cells, "data.fraction=0.5")
    assert len(half.train) == -(-len(whole.train) // 2)
    assert set(half.train.labels) <= set(whole.train.labels)
