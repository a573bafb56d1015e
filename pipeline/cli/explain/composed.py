"""`--cfg job`, as Hydra's own programs have it: the composed settings as YAML, and nothing is done."""

from collections.abc import Sequence
from dataclasses import replace

from omegaconf import OmegaConf

from pipeline.cli import arguments
from pipeline.cli.compose import compose
from pipeline.cli.loops import words as loop_words
from pipeline.cli.sweep import space as sweep_space
from pipeline.errors import BadSetting
from pipeline.secrets import mask
from pipeline.settings.command_line import CommandLine, Overrides, key_of

FLAGS = ("--cfg", "-c")
JOB = "job"
SWITCHES = {"--dry-run", "--multirun", "-m", "--json", "--prepare", "--resolve"}
"""Words of commands that are no settings, and have no value behind them."""
OF_TRAINED = ("evaluate", "profile", "diagnose")
"""Commands whose settings are those of the model's own run, with what is typed on top."""


def is_asked(words: Sequence[str]) -> bool:
    """Return whether the words ask for the composed settings alone."""
    return any(word in FLAGS or word.startswith("--cfg=") for word in words)


def format_composed(command: str, words: Sequence[str]) -> str:
    """Return the settings of a command as YAML, which a file of `conf/` may hold; secrets are masked.

    Raises:
        BadSetting: as `compose`; or something else than `job` is asked for.
    """
    settings = _compose(command, _take_flag(words)).settings
    return mask(OmegaConf.to_yaml(OmegaConf.structured(settings))).rstrip("\n")


def _take_flag(words: Sequence[str]) -> list[str]:
    """Return the words without `--cfg job` and switches."""
    rest, others = list(words), list[str]()
    while rest:
        word = rest.pop(0)
        if word in FLAGS or word.startswith("--cfg="):
            value = word.partition("=")[2] or (rest.pop(0) if rest else "nothing")
            if value != JOB:
                raise BadSetting(
                    f"{FLAGS[0]} must be {JOB}, got {value}: Hydra's own settings do nothing here; "
                    f"write {FLAGS[0]} {JOB}"
                )
        elif word not in SWITCHES:
            others.append(word)
    return others


def _compose(command: str, words: Sequence[str]) -> CommandLine:
    if command == "frontier":
        from pipeline.cli.frontier.command import parse

        return compose(parse(words)[1])
    if command in ("sweep", "run"):
        return _compose_with_varied(words)
    command_line = compose(words)
    if command in OF_TRAINED and command_line.settings.trained is not None:
        from pipeline.tracking import model_references

        reference = model_references.find_model(command_line.settings.trained)
        return compose([*reference.overrides, *words])
    return command_line


def _compose_with_varied(words: Sequence[str]) -> CommandLine:
    """Compose what all trials share; what is varied takes the place of the same keys in `search.space`."""
    pairs = loop_words.rename(arguments.normalise_words(words))
    fixed, varied = sweep_space.split_words(pairs)
    command_line = compose(fixed, Overrides(varied).keys)
    search = command_line.settings.search
    unvaried = [line for line in search.space if key_of(line) not in Overrides(varied).keys]
    search = replace(search, space=[*unvaried, *varied])
    return replace(command_line, settings=replace(command_line.settings, search=search))
