"""The file of predictions: the same rows in each form, whole or not there."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.models.serving.prediction_file import write_predictions

COLUMNS = {"file": str, "label": str, "prediction": str, "probability_a;b": float}
ROWS = [("x/1.png", "", "a;b", 0.123456789), ('q"\n,', "é", "é", 1.0), ("3", "", "a;b", 1e-9)]


def batches() -> Iterator[dict[str, Any]]:
    for rows in (ROWS[:2], ROWS[2:]):
        columns = dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
        yield columns | {"probability_a;b": np.array(columns["probability_a;b"])}


def test_each_form_has_the_same_rows(tmp_path: Path) -> None:
    for suffix in (".csv", ".jsonl", ".PARQUET"):
        write_predictions(tmp_path / "new" / f"out{suffix}", COLUMNS, batches())
    with (tmp_path / "new" / "out.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == list(COLUMNS)
    assert [(*row[:3], float(row[3])) for row in rows] == [(*row[:3], float(f"{row[3]:.6g}")) for row in ROWS]
    lines = (tmp_path / "new" / "out.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["file"] for line in lines] == [row[0] for row in ROWS]
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "new" / "out.PARQUET")
    assert table.column_names == list(COLUMNS)
    assert table.column("prediction").to_pylist() == ["a;b", "é", "a;b"]


def test_a_mistake_midway_leaves_the_older_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("older")

    def stop() -> Iterator[dict[str, Any]]:
        yield next(batches())
        raise KeyError

    with pytest.raises(KeyError):
        write_predictions(path, COLUMNS, stop())
    assert path.read_text() == "older"
    assert [each.name for each in tmp_path.iterdir()] == ["out.csv"]


def test_a_place_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    for path in (tmp_path / "file" / "out.csv", tmp_path / "folder.csv"):
        with pytest.raises(BadInput, match=r"predict\.output"):
            write_predictions(path, COLUMNS, batches())
