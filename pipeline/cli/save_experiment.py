"""A command line saved as a named experiment: conf/experiment/NAME.yaml."""

from pathlib import Path

from omegaconf import OmegaConf

from pipeline.cli.compose import CONF, compose
from pipeline.cli.help import defaults
from pipeline.errors import BadSetting
from pipeline.settings.command_line import CommandLine
from pipeline.settings.settings import flatten

AROUND = {"diagnose", "tracking", "ui", "claim"}
"""Groups that say nothing about a trial."""
PLACES = {"data_dir", "cache_dir", "trained", "record"}


def check(name: str, conf: Path = CONF) -> None:
    """Raise before an hour of work is lost.

    Raises:
        BadSetting: there is such an experiment already.
    """
    if (conf / "experiment" / f"{name}.yaml").exists():
        raise BadSetting(
            f"diagnose.save must be a new name, got {name}, which is there; choose another or remove "
            f"conf/experiment/{name}.yaml"
        )


def save(name: str, told: CommandLine, comment: str, conf: Path = CONF) -> Path:
    """Write what differs from the defaults, and all of a group with another option. The path written."""
    usual = defaults()
    options = {
        group: option
        for group, option in told.choices.items()
        if group not in AROUND and group != "experiment" and usual.get(group) != option
    }
    plain = dict(flatten(compose([]).settings))
    values: dict[str, object] = {}
    for key, value in flatten(told.settings):
        head, _, rest = key.partition(".")
        if head in AROUND | PLACES or (head not in options and plain.get(key) == value):
            continue
        if rest:
            group = values.setdefault(head, {})
            assert isinstance(group, dict)
            group[rest] = value
        else:
            values[head] = value
    choices: list[object] = [{f"override /{group}": option} for group, option in options.items()]
    head = f"# @package _global_\n# {comment}\n"
    body = OmegaConf.to_yaml(OmegaConf.create({"defaults": [*choices, "_self_"], **values}))
    path = conf / "experiment" / f"{name}.yaml"
    path.write_text(head + body)
    return path
