"""From the words of a command line to typed `Settings`; no module below this room knows Hydra."""

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf, StringNode, open_dict
from omegaconf.errors import OmegaConfBaseException, ValidationError

from pipeline.cli import arguments, schema
from pipeline.cli.conf_repository import ConfRepository, skip_unread_choices
from pipeline.cli.explain import conf_files, typed_words
from pipeline.cli.explain.advice import check_advice
from pipeline.cli.loops import words as loop_words
from pipeline.errors import BadSetting
from pipeline.hardware.device import limit_threads
from pipeline.settings.addresses import CHECKOUT, CONF, get_own_conf
from pipeline.settings.command_line import CommandLine, Overrides, key_of
from pipeline.settings.data import Task
from pipeline.settings.model import Output
from pipeline.settings.rows_defaults import choose_words
from pipeline.settings.settings import Settings

DEFAULT_LOSS = "cross_entropy"


def compose(words: Sequence[str], searched: Sequence[str] = ()) -> CommandLine:
    """Return the command line of `words` (`key=value`, `--key value`, `overrides="a=1 b=2"`).

    `searched`: keys of a user's own training loop that get their values later.

    Raises:
        BadSetting: a key, a type, a value or a pair of values is wrong; the text is one line.
    """
    with check_advice(find_mistake):
        return _compose(words, searched)


def _compose(words: Sequence[str], searched: Sequence[str]) -> CommandLine:
    typed = arguments.normalise_words(words)
    of_loop = loop_words.split(typed)
    if of_loop is None:
        return _compose_ours(typed)
    command_line = _compose_ours(of_loop.ours)
    limit_threads(command_line.settings.device.threads)  # before the user's function is imported
    return replace(
        command_line,
        settings=loop_words.fill(command_line.settings, of_loop, searched),
        overrides=Overrides(loop_words.rename(typed)).drop_superseded(),
    )


def compose_ours(words: Sequence[str]) -> CommandLine:
    """Return the command line of those words that are ours: a user's own keys are not read yet.

    Raises:
        BadSetting: as `compose`.
    """
    of_loop = loop_words.split(arguments.normalise_words(words))
    return compose(words) if of_loop is None else _compose_ours(of_loop.ours)


def _compose_ours(pairs: list[str]) -> CommandLine:
    typed_words.check_words(pairs, CONF)
    try:
        config = _compose_config(pairs)
        if implied := _imply_words(config, Overrides(pairs).keys):
            config = _compose_config([*implied, *pairs])
        choices = OmegaConf.to_container(config.hydra.runtime.choices)
        with open_dict(config):
            del config["hydra"]
        settings = OmegaConf.to_object(config)
    except (HydraException, OmegaConfBaseException, *conf_files.UNREADABLE) as error:
        raise typed_words.explain(error, pairs, CONF) from None
    assert isinstance(settings, Settings)
    assert isinstance(choices, dict)
    chosen = {
        str(group): str(option) for group, option in choices.items() if "/" not in str(group) and option
    }
    return CommandLine(settings, chosen, Overrides(pairs).drop_superseded())


def _imply_words(config: DictConfig, typed: Sequence[str]) -> list[str]:
    """Return the words that a task implies where nobody chose otherwise: loss and output of a quantity."""
    if OmegaConf.select(config, "data.task") not in (Task.regression, Task.regression.value):
        return []
    words = []
    if "loss" not in typed and config.hydra.runtime.choices["loss"] == DEFAULT_LOSS:
        words.append("loss=mean_squared_error")
    output = OmegaConf.select(config, "model.output")
    if "model.output" not in typed and output in (Output.softmax, Output.softmax.value):
        words.append("model.output=linear")
    return words


def find_mistake(words: Sequence[str]) -> BadSetting | None:
    """Return what is wrong with the words, None where nothing is."""
    try:
        compose(words)
    except BadSetting as error:
        return error
    return None


def fit_to_rows(command_line: CommandLine, rows: int) -> CommandLine:
    """Return the command line with epochs and batch that suit its training rows, where nobody chose them."""
    words = choose_words(command_line, rows)
    return compose([*words, *command_line.overrides]) if words else command_line


def _compose_config(pairs: list[str]) -> DictConfig:
    """Return what Hydra composes: the options of all groups first, then single values on top.

    Reading and merging the files of the groups takes most of the time and is the same for the trials of a
    search, so the result is cached.
    """
    # A group without an option (`experiment=null`) is as when nobody names it; Hydra takes no such word.
    groups = tuple(pair for pair in pairs if _is_group(pair) and arguments.parse(pair).value() is not None)
    config: DictConfig = pickle.loads(_compose_groups(groups, _find_own_conf()))
    OmegaConf.set_struct(config.tracking.tags, False)  # whose keys are the user's
    for pair in pairs:
        if not _is_group(pair):
            override = arguments.parse(pair)
            value = _keep_text(config, pair, override.key_or_group, override.value())
            if value == {}:
                _empty(OmegaConf.select(config, override.key_or_group))
            OmegaConf.update(config, override.key_or_group, value, merge=True)
    return config


def _empty(node: Any) -> None:
    """Take all names out: what is typed is merged into what is there, so that `{}` would change nothing."""
    if isinstance(node, DictConfig) and OmegaConf.get_type(node) is dict:
        with open_dict(node):
            for name in [*node]:
                del node[name]


def _keep_text(config: DictConfig, pair: str, key: str, value: Any) -> Any:
    """Return the value, as it was typed where the key holds text: a column may be called 2024_01 or 1.50."""
    node: Any = config
    parent: Any = None
    for name in key.split("."):
        parent, node = node, node._get_node(name) if isinstance(node, DictConfig) else None
    typed = pair.partition("=")[2].strip()
    if _holds_texts(node):
        _check_flat(key, value)
    if isinstance(node, DictConfig) and isinstance(value, dict) and _holds_texts(node):
        return _keep_texts(key, value, typed)
    if isinstance(node, StringNode) or (node is None and _holds_texts(parent)):
        return value if value is None or isinstance(value, str | list | dict) else typed
    is_list = isinstance(node, ListConfig) and _holds_texts(node)
    words = [word.strip() for word in typed.strip("[]").split(",")]
    if not is_list or not isinstance(value, list) or len(words) != len(value):
        return value
    return [item if isinstance(item, str) else word for item, word in zip(value, words, strict=True)]


def _holds_texts(node: Any) -> bool:
    return isinstance(node, DictConfig | ListConfig) and node._metadata.element_type is str


def _check_flat(key: str, value: Any) -> None:
    """Raise ValidationError, as OmegaConf does not, for a list or a group in the place of a text."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if any(isinstance(item, list | dict) for item in items):
        error = ValidationError(f"{key} has more than a text in one place")
        error.full_key = key
        raise error


def _keep_texts(key: str, values: dict[Any, Any], typed: str) -> dict[str, Any]:
    """Return the values of `{name: value, ...}` as they were typed, where the text can be told apart."""
    pairs = [tuple(map(str.strip, word.partition(":")[::2])) for word in typed.strip("{}").split(",")]
    if None in values.values():
        raise BadSetting(f"{key} must have a value for each name, got {typed}; leave the others out")
    if len(pairs) != len(values):
        return {str(name): value for name, value in values.items()}
    return {
        name if isinstance(name, str) else name_typed: value if isinstance(value, str) else value_typed
        for (name, value), (name_typed, value_typed) in zip(values.items(), pairs, strict=True)
    }


def _is_group(pair: str) -> bool:
    return typed_words.is_group(key_of(pair), CONF)


def _find_own_conf() -> Path | None:
    """Return the user's own folder of options, where there is one beside that of this program."""
    return get_own_conf() if CHECKOUT is None and get_own_conf().is_dir() else None


@lru_cache(maxsize=256)
def _compose_groups(pairs: tuple[str, ...], own_conf: Path | None) -> bytes:
    """Return the options of groups, composed and pickled, which is copied eight times as fast as deeply."""
    schema.register()
    # Hydra takes the letters of a path as they are, so no `as_uri()`.
    searched = [f"hydra.searchpath=[{arguments.quote(f'file://{own_conf}')}]"] if own_conf else []
    with _using(_make_hydra(str(CONF))):
        config: DictConfig = hydra.compose("config", overrides=[*searched, *pairs], return_hydra_config=True)
    choices = config.hydra.runtime.choices  # the only value of Hydra's own part that is read
    with open_dict(config):
        config["hydra"] = {"runtime": {"choices": choices}}
    return pickle.dumps(config, pickle.HIGHEST_PROTOCOL)


@cache
def _make_hydra(conf: str) -> Hydra:
    """Make a Hydra that reads a folder, once a process, since that takes longer than to compose."""
    with _using(None):
        hydra.initialize_config_dir(conf, version_base="1.3", job_name="fulcrum")
        made = GlobalHydra.instance().hydra
        assert made is not None
        made.config_loader.repository = ConfRepository(made.config_loader.repository)
        skip_unread_choices()
        return made


@contextmanager
def _using(instance: Hydra | None) -> Iterator[None]:
    """Exchange the one Hydra of a process for a while: the program around this package may have its own."""
    holder = GlobalHydra.instance()
    before, holder.hydra = holder.hydra, instance
    try:
        yield
    finally:
        holder.hydra = before
