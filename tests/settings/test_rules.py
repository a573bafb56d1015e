"""One line with key, rule, value and remedy."""

import pytest

from pipeline.errors import BadSetting
from pipeline.settings.rules import require


def test_a_rule_that_holds_says_nothing() -> None:
    require(True, "train.epochs", ">= 1", 3)


def test_a_broken_rule_gives_key_rule_value_and_remedy() -> None:
    with pytest.raises(BadSetting) as caught:
        require(False, "train.epochs", ">= 1", 0)
    assert str(caught.value) == "train.epochs must be >= 1, got 0; set it in conf/ or as train.epochs=..."
