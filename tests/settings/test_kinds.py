"""A kind has three things of one name: settings class, YAML and, where code belongs to it, a module."""

from pkgutil import iter_modules

import pytest

import pipeline.data.sources
import pipeline.models.architectures
import pipeline.training.optimizers
from pipeline.cli import schema
from pipeline.data.sources import source_of
from pipeline.errors import BadSetting
from pipeline.models.architectures import architecture_of
from pipeline.settings.data import Data, TextData
from pipeline.settings.kinds import kinds_of, module_of, option_name
from pipeline.settings.model import Model
from pipeline.settings.optimizer import Optimizer, WarmupLinear
from pipeline.training.optimizers import rule_class

PACKAGES = {
    "data": pipeline.data.sources,
    "model": pipeline.models.architectures,
    "optimizer": pipeline.training.optimizers,
}


def options_of(group: str) -> set[str]:
    return {option_name(kind) for kind in schema.KINDS[group]}


@pytest.mark.parametrize("group", PACKAGES)
def test_each_settings_class_has_its_module_and_each_module_its_class(group: str) -> None:
    assert options_of(group) == {module.name for module in iter_modules(PACKAGES[group].__path__)}


@pytest.mark.parametrize("kind", [*kinds_of(Data), *kinds_of(Model), *kinds_of(Optimizer)], ids=option_name)
def test_each_module_has_all_that_its_kind_needs(kind: type) -> None:
    settings = object.__new__(kind)
    if isinstance(settings, Data):
        assert callable(source_of(settings).fingerprint)
        assert callable(source_of(settings).load)
    else:
        found = rule_class(settings) if isinstance(settings, Optimizer) else architecture_of(settings)
        missing: frozenset[str] = found.__abstractmethods__  # type: ignore[attr-defined]
        assert not missing, f"{found.__module__} lacks {', '.join(sorted(missing))}"


def test_options_are_classes_in_the_order_of_writing_and_their_common_bases_are_none() -> None:
    assert [option_name(kind) for kind in kinds_of(Optimizer)][:2] == ["sgd", "adam"]
    assert TextData not in kinds_of(Data)
    assert option_name(WarmupLinear) == "warmup_linear"


def test_a_settings_class_without_a_module_is_named() -> None:
    class Forgotten(Optimizer):
        pass

    with pytest.raises(BadSetting, match=r"^forgotten must have a module .*optimizers\.forgotten"):
        module_of("pipeline.training.optimizers", object.__new__(Forgotten))
