"""Choices that what is fixed excludes are left out of a search."""

import pytest

from pipeline.cli.sweep.dimensions import fit_batches
from pipeline.cli.sweep.plan import make_plan
from pipeline.errors import BadSetting


def test_choices_that_an_experiment_excludes_are_left_out_and_named() -> None:
    """Nesterov's momentum needs momentum, and Adam has none."""
    plan = make_plan(["experiment=speedrun"])
    lines = plan.space.format_lines()
    assert "optimizer=sgd" in lines
    assert "optimizer=sgd: optimizer.momentum=0.9" in lines
    assert not any("adam" in line for line in lines)
    first, second = plan.left_out
    assert first.startswith("optimizer=adam is left out of the search: optimizer=adam must have the setting")
    assert second.startswith(
        "optimizer.momentum=0 is left out of the search: optimizer.nesterov must be false"
    )
    assert make_plan(["search=quick"]).left_out == ()


def test_a_dimension_of_which_nothing_fits_is_a_mistake() -> None:
    with pytest.raises(BadSetting, match="model has no setting layers"):
        make_plan(["search=quick", "model=cnn", "model.layers=1,2"])


def test_batches_that_the_rows_do_not_fill_are_left_out_unless_they_are_typed() -> None:
    words = ["data=csv", "data.path=t.csv", "data.label=y"]
    space = make_plan(words).space
    assert fit_batches(space, (), 512) == ()
    assert fit_batches(space, (), 112) == ("train.batch_size=4,32",)
    assert fit_batches(space, (), 20) == ("train.batch_size=4",)
    with pytest.raises(BadSetting, match=r"^train\.batch_size must be <= 112 \(.* got 128,512; leave it out"):
        fit_batches(space, ("train.batch_size",), 112)
