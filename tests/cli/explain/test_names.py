"""Names that others use lead to the setting that is meant, and each of them exists."""

from pathlib import Path

from pipeline.cli.explain.advice import plain
from pipeline.cli.explain.foreign_names import KEY_ALIASES, WHERE_OFF, WHERE_ON, WITHOUT
from pipeline.cli.explain.foreign_values import NEAREST, VALUE_ALIASES
from pipeline.cli.explain.names import suggest_key
from pipeline.cli.help import CONF
from pipeline.cli.schema import list_rules


def test_every_alias_leads_to_a_setting() -> None:
    known = {*list_rules(), "train.from"}
    assert {*KEY_ALIASES.values(), *WHERE_ON, *WHERE_OFF} <= known
    assert [name for name in (*KEY_ALIASES, *WITHOUT) if name != plain(name)] == []
    assert not set(KEY_ALIASES) & set(WITHOUT)


def test_every_option_that_is_meant_is_there() -> None:
    for group, aliases in VALUE_ALIASES.items():
        options = {path.stem for path in Path(CONF, group).glob("*.yaml")} if "." not in group else set()
        options |= set(list_rules()[group].removesuffix(" or null").removeprefix("one of ").split(", "))
        assert {
            *(meant.partition(" ")[0] for meant in aliases.values()),
            *NEAREST.get(group, ())[:1],
        } <= options
        assert not options & {*aliases, *NEAREST.get(group, ("", ""))[1].split()}


def test_a_word_that_is_typed_spares_the_group() -> None:
    assert suggest_key("momentum", "0.9", ["optimizer=sgd"]) == "; did you mean optimizer.momentum=0.9?"
