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


@pytest.mark.parametrize(
    "words", [["model=cnn"], ["model=text", "data=rt_polarity"], ["loss=mean_squared_error"]]
)
def test_a_baseline_of_another_network_is_left_out_unless_it_was_typed(words: list[str]) -> None:
    plan = make_plan(words)
    assert plan.command_line.settings.search.enqueue == []
    line = f"search.enqueue=experiment=article is left out of the search: {words[0]} must have the setting "
    assert plan.left_out[-1].startswith(line)
    with pytest.raises(BadSetting) as caught:
        make_plan([*words, "search.enqueue=[experiment=article]"])
    text = str(caught.value)
    assert text.startswith(f"{words[0]} must have the setting ")
    assert text.endswith("(search.enqueue=experiment=article is tried first; search.enqueue=[] stops that)")
