"""What a search tries first is left out or refused where it does not fit."""

import pytest

from pipeline.cli.sweep.plan import make_plan
from pipeline.errors import BadSetting


def test_a_baseline_of_classes_is_left_out_of_a_search_for_a_quantity() -> None:
    words = ["data=arrays", "data.path=a.npz", "data.task=regression"]
    plan = make_plan(words)
    assert plan.command_line.settings.search.enqueue == []
    assert plan.left_out[-1].startswith(
        "search.enqueue=experiment=article is left out of the search: loss must"
    )
    assert plan.describe_study("a CPU")["objective"] == "r2"
    with pytest.raises(BadSetting, match=r"loss must be mean_squared_error, .* is tried first"):
        make_plan([*words, "search.enqueue=[experiment=article]"])


def test_a_baseline_that_does_not_fit_says_where_it_comes_from() -> None:
    with pytest.raises(BadSetting) as caught:
        make_plan(["search=article", "loss=mean_squared_error"])
    text = str(caught.value)
    assert text.startswith(
        "loss=mean_squared_error must have the setting reduction, which experiment=article"
    )
    assert text.endswith("(search.enqueue=experiment=article is tried first; search.enqueue=[] stops that)")
