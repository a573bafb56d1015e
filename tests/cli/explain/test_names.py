"""Names that others use lead to the setting that is meant, and each of them exists."""

from pathlib import Path

import pytest

from pipeline.cli.explain.names import KEY_ALIASES, VALUE_ALIASES, suggest_range
from pipeline.cli.help import CONF
from pipeline.cli.schema import list_rules


def test_every_alias_leads_to_a_setting_or_to_none_that_is_said() -> None:
    known = list_rules()
    assert [alias for alias, key in KEY_ALIASES.items() if key not in known] == []


def test_every_option_that_is_meant_is_there() -> None:
    for group, aliases in VALUE_ALIASES.items():
        options = {path.stem for path in Path(CONF, group).glob("*.yaml")}
        assert {meant.partition(" ")[0] for meant in aliases.values()} <= options
        assert not options & set(aliases)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("1..5", "interval(1,5)"),
        ("1e-4..1e-1", "interval(1e-4,1e-1)"),
        ("'log(0.1, 10)'", "tag(log,interval(0.1,10))"),
        ("loguniform(1,2)", "tag(log,interval(1,2))"),
        ("uniform(0,0.5)", "interval(0,0.5)"),
        ("16-64", "interval(16,64)"),
        ("16\u202664", "interval(16,64)"),
    ],
)
def test_a_range_is_shown_as_it_is_written(text: str, word: str) -> None:
    assert suggest_range("a.b", text) == f"; write a.b={word} with sweep"


@pytest.mark.parametrize("text", ["ten", "1.5", "-1", "null", "[1,2]", "2024-01-02"])
def test_what_is_no_range_is_left(text: str) -> None:
    assert suggest_range("a.b", text) == ""
