"""From words to settings."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from pipeline.cli import arguments
from pipeline.cli.compose import compose
from pipeline.errors import BadSetting, FulcrumError
from pipeline.settings import addresses
from pipeline.settings.addresses import CONF
from pipeline.settings.data import Digits
from pipeline.settings.optimizer import Adam, Cosine, Sgd
from pipeline.settings.settings import flatten
from pipeline.settings.training import Engine

compose_module = import_module("pipeline.cli.compose")


def test_defaults_compose() -> None:
    command_line = compose([])
    assert isinstance(command_line.settings.data, Digits)
    assert isinstance(command_line.settings.optimizer, Adam)
    assert command_line.choices["optimizer"] == "adam"
    assert command_line.settings.engine is Engine.auto


def test_an_option_brings_its_own_values() -> None:
    command_line = compose(
        ["optimizer=sgd", "optimizer.momentum=0.9", "schedule=cosine", "schedule.final=0.1"]
    )
    assert command_line.settings.optimizer == Sgd(learning_rate=0.05, momentum=0.9, nesterov=False)
    assert command_line.settings.schedule == Cosine(final=0.1)


def test_experiment_article_is_the_article() -> None:
    flat = dict(flatten(compose(["experiment=article"]).settings))
    assert (flat["model.hidden"], flat["model.activation"], flat["model.output"]) == (500, "relu", "sigmoid")
    assert (flat["optimizer.learning_rate"], flat["train.batch_size"], flat["train.epochs"]) == (0.01, 1, 10)
    assert (flat["claim.accuracy"], flat["claim.loss"]) == (0.9897, 0.2923)


def test_words_typed_beat_an_experiment() -> None:
    assert compose(["train.epochs=4", "experiment=smoke"]).settings.train.epochs == 4


def test_the_command_line_repeats_the_settings() -> None:
    command_line = compose(["data=idx", "data.path=/tmp/my (own) data's", "optimizer=sgd"])
    again = compose(command_line.overrides)
    assert again.settings == command_line.settings
    assert command_line.command_line("run").startswith("python -m pipeline run data=idx ")


# ---- cached groups: quicker, and the same as what Hydra composes ----------------------------------------


def plainly(words: list[str]) -> tuple[object, dict[str, str]]:
    """Settings and chosen options as Hydra alone composes them."""
    compose([])  # Hydra knows conf/ from here on
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra_compose("config", overrides=arguments.normalise_words(words), return_hydra_config=True)
    choices = OmegaConf.to_container(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    assert isinstance(choices, dict)
    chosen = {str(key): str(value) for key, value in choices.items() if "/" not in str(key) and value}
    return OmegaConf.to_object(config), chosen


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["experiment=article", "train.epochs=2", "price=t4", "model.hidden=17"],
        ["train.epochs=2", "experiment=smoke", "optimizer=sgd", "optimizer.momentum=0.5", "optimizer=sgd"],
        ["optimizer.learning_rate=1", "optimizer=sgd", "schedule=cosine", "profile.batch_sizes=[1,7]"],
        ["search=article", "search.when={optimizer=sgd:['train.epochs=1,2']}", "search.study='a, b'"],
        ["search=quick", "search.space=['model.hidden=1,2']", "search.storage=null", "pruning=none"],
        ["data=idx", "data.path=/tmp/my (own) data's", "cache_dir=${data_dir}/cache", "engine=keras"],
        [
            "preprocess.standardise=none",
            "precision=float64",
            "model.layers=2",
            "train.seed=3",
            "train.seed=4",
        ],
        ["loss=binary_cross_entropy", "model.output=sigmoid", "augment=shift", "device=cpu", "data=mnist"],
        # and what neither of them takes
        ["optimizer.beta1=0.5", "optimizer=sgd"],
        ["search.when={optimizer=sgd:3}"],
        ["profile.batch_sizes={a:1}"],
        ["train.epochs=[1]"],
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_it_composes_what_hydra_composes(words: list[str]) -> None:
    try:
        settings_, choices = plainly(words)
    except (HydraException, OmegaConfBaseException, FulcrumError):
        with pytest.raises(BadSetting):
            compose(words)
        return
    command_line = compose(words)
    assert command_line.settings == settings_
    assert command_line.choices == choices


def test_an_empty_group_of_names_takes_those_of_the_option_away() -> None:
    assert compose([]).settings.search.when  # Hydra would merge nothing into them
    assert compose(["search.when={}"]).settings.search.when == {}
    tags = compose(["tracking.tags={a:b}", "tracking.tags={}", "tracking.tags.c=d"]).settings.tracking.tags
    assert tags == {"c": "d"}


def test_what_was_composed_before_leaves_no_trace() -> None:
    before = compose(["optimizer=sgd"])
    compose(
        [
            "optimizer=sgd",
            "optimizer.momentum=0.9",
            "profile.batch_sizes=[3]",
            "search.space=['model.hidden=1,2']",
        ]
    )
    again = compose(["optimizer=sgd"])
    assert again == before
    again.settings.search.space.append("written into")
    assert compose(["optimizer=sgd"]) == before


def test_the_environment_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("/tmp/one", "/tmp/two"):
        monkeypatch.setenv("FULCRUM_DATA", folder)
        assert compose([]).settings.data_dir == folder


@pytest.mark.parametrize("word", ["experiment=null", "experiment=NULL", "--experiment=null"])
def test_no_experiment_is_the_default(word: str) -> None:
    assert compose([word, "train.epochs=2"]).settings == compose(["train.epochs=2"]).settings
    assert "experiment" not in compose([word]).choices


@pytest.mark.parametrize("word", ["experiment=", "experiment=[]", "experiment={}", "data=null", "price=null"])
def test_a_group_that_is_nothing_is_refused(word: str) -> None:
    with pytest.raises(BadSetting, match="must be one of"):
        compose([word])


@pytest.mark.parametrize(
    "word",
    ["search.enqueue=[[1,2]]", "data.drop=[{a:1}]", "tracking.tags={a:[1]}", "tracking.tags={a:{b:1}}"],
)
def test_more_than_a_text_in_one_place_is_refused(word: str) -> None:
    key, _, value = word.partition("=")
    with pytest.raises(BadSetting, match=rf"{key} must be .*, got {re.escape(value)}; (did you mean|write)"):
        compose(["data=csv", "data.path=x.csv", "data.label=y", word])


def test_a_program_with_a_hydra_of_its_own_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mine: 1\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        compose_module._compose_groups.cache_clear()
        assert compose(["model.hidden=8"]).settings.model.hidden == 8  # type: ignore[attr-defined]
        assert hydra_compose("config") == {"mine": 1}


def test_an_installed_package_takes_experiments_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a folder, mine" / "conf" / "experiment"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("# @package _global_\n# mine\nmodel:\n  hidden: 9\n")
    monkeypatch.setattr(compose_module, "CHECKOUT", None)
    monkeypatch.setattr(addresses, "CHECKOUT", None)
    monkeypatch.chdir(folder.parents[1])
    assert compose(["experiment=mine"]).settings.model.hidden == 9  # type: ignore[attr-defined]
    assert compose(["experiment=smoke"]).settings.model.hidden == 16  # type: ignore[attr-defined]
