"""Choices that what is fixed excludes are left out of a search."""

import pytest

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
