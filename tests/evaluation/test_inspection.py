"""What lies behind the scores: groups by a column that was named, labels that a model doubts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data.prepared import RowPlaces, Split
from pipeline.errors import BadInput
from pipeline.evaluation.inspection import check_groups, inspect_model
from tests.support import tiny

ROWS = 60


def test_a_wrong_label_is_named_and_groups_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,site,label\n" + "".join(f"{n},s{n % 2},{'abc'[n % 3]}\n" for n in range(ROWS)))
    truth = np.arange(ROWS) % 3
    labels = truth.copy()
    labels[7] = (truth[7] + 1) % 3
    split = Split(np.arange(ROWS)[:, None], labels, places=RowPlaces(np.arange(ROWS) + 2, "line"))
    prepared = replace(tiny.prepared(), validation=split, test=split, classes=("a", "b", "c"))
    words = ["data=csv", f"data.path={path}", "data.label=label", "evaluate.groups=site"]

    def predict(samples: np.ndarray) -> np.ndarray:
        answers: np.ndarray = np.where(np.eye(3)[truth[samples[:, 0]]] > 0, 0.9, 0.05)
        return answers

    found = inspect_model(predict, prepared, compose(words).settings)
    assert found.suspects is not None
    (suspect,) = found.suspects.suspects
    assert (suspect.location, suspect.label, suspect.suggested) == ("line 9", "c", "b")
    assert found.subgroups is not None
    assert [(group.name, group.score.value) for group in found.subgroups.groups] == [
        ("s1", pytest.approx(29 / 30)),
        ("s0", 1.0),
    ]
    assert found.importances == ()  # no table
    with pytest.raises(BadInput, match="did you mean site"):
        check_groups(prepared, compose([*words, "evaluate.groups=sites"]).settings)
    few = replace(prepared, validation=Split(split.features[:9], labels[:9]))
    assert inspect_model(predict, few, compose(["data=csv", *words[1:3]]).settings).suspects is None
