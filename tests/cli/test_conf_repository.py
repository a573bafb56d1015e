"""Files of conf/ are parsed once, unless they change."""

import os
from importlib import import_module
from pathlib import Path
from typing import TextIO

import hydra
import pytest
from hydra._internal import defaults_list
from hydra.core.default_element import GroupDefault
from omegaconf import OmegaConf

compose_module = import_module("pipeline.cli.compose")


def write_groups(folder: Path, others: dict[str, str]) -> None:
    """Write a size and a colour, and other files by their paths."""
    groups = {"size/small": "height: 1\n", "size/large": "height: 9\n", "colour/red": "name: red\n"}
    for name, text in ({f"{path}.yaml": text for path, text in groups.items()} | others).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is parsed of a folder with two groups, from now on."""
    write_groups(tmp_path, {"config.yaml": "defaults: [size: small, colour: red]\n"})
    load, names = OmegaConf.load, list[str]()

    def load_and_tell(file: TextIO) -> object:
        names.append(Path(file.name).stem)
        return load(file)

    monkeypatch.setattr(OmegaConf, "load", load_and_tell)
    return names


def compose(folder: Path, *words: str) -> object:
    with compose_module._using(compose_module._make_hydra(str(folder))):
        config = hydra.compose("config", overrides=list(words))
    found = OmegaConf.to_container(config)
    config.size.height = 1000  # of what comes next nothing is lost by that
    return found


def test_a_further_composition_parses_only_what_is_new_to_it(parsed: list[str], tmp_path: Path) -> None:
    assert compose(tmp_path) == {"size": {"height": 1}, "colour": {"name": "red"}}
    parsed.clear()
    assert compose(tmp_path, "size=large") == {"size": {"height": 9}, "colour": {"name": "red"}}
    assert parsed == ["large"]
    assert compose(tmp_path) == {"size": {"height": 1}, "colour": {"name": "red"}}
    assert parsed == ["large"]


def test_a_file_that_has_changed_come_or_gone_is_seen(parsed: list[str], tmp_path: Path) -> None:
    small = tmp_path / "size" / "small.yaml"
    compose(tmp_path)
    small.write_text("height: 2\n")
    os.utime(small, (1, 1))  # by its date, were its length the same
    assert compose(tmp_path) == {"size": {"height": 2}, "colour": {"name": "red"}}
    (tmp_path / "size" / "tiny.yaml").write_text("height: 0\n")
    assert compose(tmp_path, "size=tiny") == {"size": {"height": 0}, "colour": {"name": "red"}}
    small.unlink()
    with pytest.raises(hydra.errors.MissingConfigException):
        compose(tmp_path)
    assert parsed


def test_choices_are_listed_only_where_a_list_of_defaults_refers_to_them(tmp_path: Path) -> None:
    files = {
        "config.yaml": "defaults: [size: small, colour: red, sign: '${size}_${colour}']\n",
        "sign/small_red.yaml": "text: mind\n",
        "sign/large_red.yaml": "text: stop\n",
    }
    write_groups(tmp_path, files)
    told = {"size": {"height": 1}, "colour": {"name": "red"}, "sign": {"text": "mind"}}
    assert compose(tmp_path) == told
    assert compose(tmp_path, "size=large") == {**told, "size": {"height": 9}, "sign": {"text": "stop"}}
    plain = [GroupDefault(group="size", value="small")]
    # Hydra's own would ask what was typed, which is nothing here.
    assert defaults_list._create_interpolation_map(None, plain, False) is None
