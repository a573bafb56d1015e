"""A command line saved as a named experiment: conf/experiment/NAME.yaml."""

from pathlib import Path

from omegaconf import OmegaConf

from pipeline.cli.compose import compose
from pipeline.cli.help import read_defaults
from pipeline.errors import BadSetting
from pipeline.files import write_content
from pipeline.settings.addresses import CONF, find_options, get_own_conf
from pipeline.settings.command_line import MODEL_REFERENCES, NOT_OF_A_TRIAL, CommandLine
from pipeline.settings.settings import flatten

NOT_SAVED = {*NOT_OF_A_TRIAL, *MODEL_REFERENCES, "claim", "data_dir", "cache_dir"} - {"search"}
"""What an experiment does not fix; it may fix how to search, as conf/experiment/article.yaml does."""


def check_name(name: str) -> None:
    """Check that the name of an experiment is free, before an hour of work is lost.

    Raises:
        BadSetting: such an experiment exists.
    """
    if path := find_options("experiment").get(name):
        raise BadSetting(
            f"diagnose.save must be a new name, got {name}, which exists; choose another or remove "
            f"{path.relative_to(CONF.parent) if path.is_relative_to(CONF) else path}"
        )


def save(name: str, command_line: CommandLine, comment: str, conf: Path | None = None) -> Path:
    """Write an experiment into `conf`, by default the user's own, and return its path.

    It holds each value that differs from the defaults, and all values of a group with another option.
    """
    default_options = read_defaults()
    options = {
        group: option
        for group, option in command_line.choices.items()
        if group not in NOT_SAVED and group != "experiment" and default_options.get(group) != option
    }
    default_values = dict(flatten(compose([]).settings))
    values: dict[str, object] = {}
    for key, value in flatten(command_line.settings):
        group, _, field = key.partition(".")
        if group in NOT_SAVED or (group not in options and default_values.get(key) == value):
            continue
        if field:
            group_values = values.setdefault(group, {})
            assert isinstance(group_values, dict)
            group_values[field] = value
        else:
            values[group] = value
    choices: list[object] = [{f"override /{group}": option} for group, option in options.items()]
    head = f"# @package _global_\n# {comment}\n"
    body = OmegaConf.to_yaml(OmegaConf.create({"defaults": [*choices, "_self_"], **values}))
    path = (conf or get_own_conf()) / "experiment" / f"{name}.yaml"
    write_content(path, head + body)
    return path
