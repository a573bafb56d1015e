"""The command lines that a search tries first, outside of its space."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.cli.compose import compose, find_mistake
from pipeline.errors import BadSetting
from pipeline.settings.command_line import CommandLine


def add_baseline(command_line: CommandLine, words: Sequence[str]) -> CommandLine:
    """Return `command_line` with one more trial in front of those to be tried first."""
    search = command_line.settings.search
    search = replace(search, enqueue=[" ".join(words), *search.enqueue])
    return replace(command_line, settings=replace(command_line.settings, search=search))


def leave_out_baselines(
    command_line: CommandLine, fixed: Sequence[str]
) -> tuple[CommandLine, tuple[str, ...]]:
    """Leave out baselines that nobody typed where they fit neither the network nor the data of this search.

    Returns a line about each, too.
    """
    search = command_line.settings.search
    if command_line.overrides.find("search.enqueue"):
        return command_line, ()
    unfit = {
        line: error for line in search.enqueue if (error := find_mistake([*fixed, *line.split()])) is not None
    }
    kept = replace(search, enqueue=[line for line in search.enqueue if line not in unfit])
    lines = tuple(
        f"search.enqueue={line} is left out of the search: {error}" for line, error in unfit.items()
    )
    return replace(command_line, settings=replace(command_line.settings, search=kept)), lines


def check_baseline(line: str, fixed: Sequence[str]) -> None:
    """Raise where a command line that is to be tried first does not fit what is fixed.

    Raises:
        BadSetting: the reason, and that search.enqueue named it.
    """
    try:
        compose([*fixed, *line.split()])
    except BadSetting as error:
        raise BadSetting(
            f"{error} (search.enqueue={line} is tried first; search.enqueue=[] stops that)"
        ) from None
