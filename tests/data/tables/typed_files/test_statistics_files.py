"""Files of SPSS and Stata whose values have labels, all or some."""

from pathlib import Path

import pandas
import pytest

from pipeline.data.sources import load
from tests.support import places

ROWS = 40
SCALE, SEX = {0: "not at all", 10: "fully"}, {1: "male", 2: "female"}


@pytest.mark.parametrize("name", ["t.sav", "t.dta", "t.por"])
def test_a_scale_whose_ends_alone_have_labels_is_one_of_numbers(tmp_path: Path, name: str) -> None:
    pyreadstat = pytest.importorskip("pyreadstat")
    answers = [float(row * 3 % 11) for row in range(ROWS)]
    frame = pandas.DataFrame(
        {"SCALE": answers, "SEX": [1.0, 2.0, 2.0, 1.0] * 10, "Y": ["a", "b", "a", "a", "b"] * 8}
    )
    write, options = (
        getattr(pyreadstat, f"write_{name[2:]}"),
        {"variable_value_labels": {"SCALE": SCALE, "SEX": SEX}},
    )
    write(
        frame.astype({"SCALE": int, "SEX": int}), str(tmp_path / name), **({} if name == "t.por" else options)
    )
    loaded = load(places.cells(tmp_path / name, label="Y", columns=None), tmp_path)
    table = loaded.train.features
    assert table.numbers[:, 0].tolist() == answers  # type: ignore[union-attr]
    if name != "t.por":
        assert table.words[0][:2].tolist() == ["male", "female"]  # type: ignore[union-attr]
        assert "1 column of which few values have labels: read without them (SCALE)" in map(
            str, loaded.findings
        )
