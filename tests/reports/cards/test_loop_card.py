"""The card of a loop of one's own says whose word each figure is, and what nobody can know."""

from dataclasses import replace

import pytest

from pipeline.measures import Epoch
from pipeline.reports.cards.loop_card import LoopCardFacts, NamedFile, find_rows, write_loop_card
from pipeline.reports.cards.markdown import OPEN

FACTS = LoopCardFacts(
    name="<b>a_b</b>",
    word="trial.command=sh -c 'echo `x`'",
    code="c0de",
    command="python -m pipeline run 'trial.command=a ``` b'",
    device="a CPU, 1 core",
    settings={"epochs": 2, "seed": 0, "width|x": "a\n|b"},
    epoch=Epoch(
        number=2, device_seconds=1.5, train_loss=float("nan"), validation_loss=-0.5, validation_accuracy=0.9
    ),
    numbers={"test_accuracy": 0.8, "test_rows": 100, "f1_<i>": 0.7},
    versions={"torch": "2.9"},
    model="my.Net",
    keeper="mlflow.pytorch",
    files=[NamedFile(key="data", path="a`b.csv", size=1234, sha256="ab12")],
    metrics={"cpu_seconds": 1.5, "train/estimated_joules": 30.0, "train/estimated_carbon_grams": 0.25},
    tags={"git.commit": "abc"},
)


def test_it_has_figures_cost_data_limits_and_the_command() -> None:
    card = write_loop_card(FACTS)
    assert [line[3:] for line in card.splitlines() if line.startswith("## ")] == [
        *("The model", "Settings", "Data", "Figures", "Cost", "Limits", "Train it again")
    ]
    for line in (
        "- Of class my.Net, kept by mlflow.pytorch.",
        "| test\\_accuracy | 0.8 | 0.7112 to 0.8666, of 100 rows |",  # Wilson 1927, as R's binom.wilson
        "| accuracy | 0.9 | - |",
        "| validation\\_loss | -0.5 | - |",
        "- 1.5 cpu-seconds of training steps.",
        "- Energy: some 30 J of training, an estimate by power and seconds.",
        "- Carbon dioxide: 0.25 g, of an estimate.",
        "- data names `a'b.csv`: 1,234 bytes, SHA-256 `ab12`.",
        f"- Licence of the data: {OPEN}",
        "````bash",
        "Its code has the SHA-256 `c0de`.",
        "| torch | 2.9 |",
        "Commit `abc`.",
    ):
        assert line in card.splitlines(), line
    assert "report `validation_rows` for intervals" in card
    assert "train_loss" not in card  # nobody reported one
    assert "No test accuracy" not in card
    assert "<b>" not in card
    assert "<i>" not in card


def test_what_is_not_there_is_said() -> None:
    bare = replace(FACTS, model="", keeper="", code="", numbers={}, metrics={}, files=())
    card = write_loop_card(bare)
    assert "- The loop reports no model, so none is kept." in card
    assert "No test accuracy was reported" in card
    assert "- Energy: not known." in card
    assert "SHA-256" not in card
    assert "which was not kept" in write_loop_card(replace(FACTS, keeper=""))


@pytest.mark.parametrize("rows", [0, -3, 2.5, float("inf"), float("nan")])
def test_a_number_that_counts_no_rows_gives_no_interval(rows: float) -> None:
    assert find_rows({"validation_rows": rows}, "accuracy") is None
    assert find_rows({"validation_rows": 40.0}, "accuracy") == 40
