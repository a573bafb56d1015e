"""Schemas and conf/ agree: a group and an option without the other is named."""

import pytest

from pipeline.cli import schema
from pipeline.settings.addresses import CONF
from pipeline.settings.kinds import option_name


@pytest.mark.parametrize("group", schema.KINDS)
def test_each_settings_class_has_its_yaml_and_each_yaml_its_class(group: str) -> None:
    assert {option_name(kind) for kind in schema.KINDS[group]} == {
        path.stem for path in (CONF / group).glob("*.yaml")
    }


def test_groups_are_those_of_conf() -> None:
    folders = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert folders - {"experiment"} == {*schema.KINDS, *schema.SINGLE}
