"""Mistakes in files below conf/: each is one line that names the file, or the option that does not fit it."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest

from pipeline.cli import compose as compose_module
from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.settings.addresses import CONF

GLOBAL = "# @package _global_\n"
FILES = {
    "typo": (f"{GLOBAL}train:\n  epoch: 3\n", ["typo.yaml", "got train.epoch", "did you mean train.epochs?"]),
    "group": (f"{GLOBAL}trainn:\n  epochs: 3\n", ["group.yaml", "got trainn", "did you mean train?"]),
    "text": (f"{GLOBAL}train:\n  epochs: many\n", ["train.epochs in", "a whole number", "got many"]),
    "without": (f"{GLOBAL}model:\n  hidden: null\n", ["model.hidden in", "a whole number", "got None"]),
    "table": (f"{GLOBAL}train:\n  epochs: {{a: 1}}\n", ["train.epochs in", "a whole number"]),
    "number": (f"{GLOBAL}train: 3\n", ["number.yaml must be groups of settings"]),
    "list": (f"{GLOBAL}- 1\n", ["list.yaml must be groups of settings"]),
    "open": (f"{GLOBAL}train: [\n", ["open.yaml must be YAML", "in line 3"]),
    "tab": (f"{GLOBAL}train:\n\tepochs: 3\n", ["tab.yaml must be YAML", "in line 3"]),
    "twice": (
        f"{GLOBAL}train:\n  epochs: 3\n  epochs: 4\n",
        ["twice.yaml must be YAML", "duplicate key epochs"],
    ),
    "bare": ("train:\n  epochs: 3\n", ["bare.yaml must begin with the line `# @package _global_`"]),
    "empty": ("", ["empty.yaml must begin with the line"]),
    "option": (
        f"{GLOBAL}defaults:\n  - override /optimizer: sdg\n",
        ["experiment=option", "'optimizer/sdg'"],
    ),
    "nothing": (f"{GLOBAL}defaults:\n  - override /optim: sgd\n", ["experiment=nothing", "'optim'"]),
    "defaults": (f"{GLOBAL}defaults: optimizer\n", ["experiment=defaults", "must be a list"]),
    "range": (f"{GLOBAL}train:\n  epochs: 0\n", ["train.epochs must be >= 1"]),
    "reference": (
        f"{GLOBAL}train:\n  epochs: ${{train.x}}\n",
        ["train.epochs must not refer to what is not there"],
    ),
}


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's conf/ with the experiments of `FILES`, and one that is no text."""
    folder = copytree(CONF, tmp_path_factory.mktemp("own") / "conf")
    for name, (text, _) in FILES.items():
        (folder / "experiment" / f"{name}.yaml").write_text(text)
    (folder / "experiment" / "bytes.yaml").write_bytes(GLOBAL.encode() + b"train:\n  epochs: \xff\n")
    return folder


def read_mistake(words: str) -> str:
    with pytest.raises(BadSetting) as caught:
        compose(words.split())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def _own_conf(conf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compose from that folder; Hydra remembers its folder, and composing the groups."""
    monkeypatch.setattr(compose_module, "CONF", conf)
    compose_module._compose_groups.cache_clear()
    yield
    compose_module._compose_groups.cache_clear()


@pytest.mark.usefixtures("_own_conf")
@pytest.mark.parametrize("name", [*FILES, "bytes"])
def test_a_mistake_in_a_file_is_one_line_that_says_where(name: str) -> None:
    text = read_mistake(f"experiment={name}")
    for part in FILES[name][1] if name in FILES else ["conf/experiment/bytes.yaml must be text in UTF-8"]:
        assert part in text


@pytest.mark.parametrize(
    ("words", "option", "setting", "experiment", "remedy"),
    [
        (
            "experiment=article loss=mean_squared_error",
            "loss=mean_squared_error",
            "reduction",
            "article",
            "loss=",
        ),
        ("experiment=article model=cnn", "model=cnn", "layers", "article", "model=mlp"),
        ("experiment=speedrun optimizer=adam", "optimizer=adam", "momentum", "speedrun", "optimizer=sgd"),
    ],
)
def test_an_option_that_lacks_what_an_experiment_sets_is_named_with_one_that_has_it(
    words: str, option: str, setting: str, experiment: str, remedy: str
) -> None:
    text = read_mistake(words)
    assert text.startswith(f"{option} must have the setting {setting}, which experiment={experiment} sets")
    assert f"use {remedy}" in text
    assert f"or leave experiment={experiment} out" in text
