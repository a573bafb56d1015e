"""The command line of a run in MLflow: tags that repeat it, and files for words too long for a tag."""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from subprocess import DEVNULL, PIPE

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from pipeline.errors import BadModel
from pipeline.formatting import format_code
from pipeline.secrets import mask_all
from pipeline.settings.addresses import CHECKOUT
from pipeline.settings.command_line import CommandLine, Overrides
from pipeline.tracking.mlflow_runs import NOTE, TAG_LIMIT, log_files

OVERRIDES, COMMAND = "overrides", "command"
OVERRIDES_FILE, COMMAND_FILE = "overrides.json", "command.txt"
CUT = f"... (the whole: {COMMAND_FILE} among the artifacts)"
COMMAND_LETTERS = 4000
"""A longer command is cut in its tag and on the run's page, which has other things to say, too."""


def make_command_tags(command_line: CommandLine, stage: str, as_note: bool = True) -> dict[str, str]:
    """Return the tags that say how to repeat a run: command, overrides, commit.

    What does not fit into them, `log_long_command` logs. `as_note`: with the command as the text of the run's
    page too.
    """
    command = command_line.command_line(stage)
    if len(command) > COMMAND_LETTERS:
        command = f"{command[:COMMAND_LETTERS]}{CUT}"
    note = {NOTE: format_code(command)} if as_note else {}
    return {COMMAND: command, **make_overrides_tag(command_line.overrides), **note, **make_git_tags()}


def read_command(run: Run) -> str:
    """Return the command line of a run, or where it lies where the tag holds its beginning alone."""
    command = str(run.data.tags.get(COMMAND, ""))
    is_cut = COMMAND_FILE in command
    return f"see {COMMAND_FILE} among the artifacts of run {run.info.run_id}" if is_cut else command


def make_overrides_tag(words: Sequence[str]) -> dict[str, str]:
    """Return the tag with the words as JSON, or with the name of the file that they are in."""
    text = _to_json(words)
    return {OVERRIDES: text if len(text) <= TAG_LIMIT else OVERRIDES_FILE}


def log_long_command(client: MlflowClient, run_id: str, command_line: CommandLine, stage: str) -> None:
    """Log the words and the command as files where tags cannot hold them; else do nothing."""
    command = command_line.command_line(stage)
    if len(command) > COMMAND_LETTERS:
        log_files(client, run_id, {COMMAND_FILE: command.encode()})
    log_long_overrides(client, run_id, command_line.overrides)


def is_cut(tags: Mapping[str, str]) -> bool:
    """Return whether the tags of `make_command_tags` leave something to `log_long_command`."""
    return tags[OVERRIDES] == OVERRIDES_FILE or tags[COMMAND].endswith(CUT)


def log_long_overrides(client: MlflowClient, run_id: str, words: Sequence[str]) -> None:
    """Log the words as a file where the tag cannot hold them; else do nothing."""
    text = _to_json(words)
    if len(text) > TAG_LIMIT:
        log_files(client, run_id, {OVERRIDES_FILE: text.encode()})


def read_overrides(client: MlflowClient, run: Run) -> Overrides:
    """Read the words of a run's command line; none where it has none.

    Raises:
        BadModel: they were cut off (by version 0.1.0), or their file is gone.
    """
    text = run.data.tags.get(OVERRIDES, "[]")
    try:
        if text == OVERRIDES_FILE:
            with tempfile.TemporaryDirectory() as folder:
                text = Path(client.download_artifacts(run.info.run_id, OVERRIDES_FILE, folder)).read_text()
        return Overrides(json.loads(text))
    except (ValueError, OSError, MlflowException):
        raise BadModel(
            f"a run must have its whole command line, got {run.info.run_id}, of which only a part was kept; "
            "save its model as a file and name that, with the words for the data"
        ) from None


@cache
def make_git_tags() -> dict[str, str]:
    """Return the commit of the checkout and whether it was changed since; nothing outside a git checkout."""
    commit, changes = read_git("rev-parse", "HEAD"), read_git("status", "--porcelain")
    return {"git.commit": commit, "git.dirty": str(bool(changes)).lower()} if commit else {}


def _to_json(words: Sequence[str]) -> str:
    return json.dumps(mask_all(words))


def read_git(*words: str) -> str:
    """Return what git says of the checkout; nothing where there is no git, or no checkout."""
    if CHECKOUT is None:
        return ""
    try:
        done = subprocess.run(
            ["git", *words], cwd=CHECKOUT, stdout=PIPE, stderr=DEVNULL, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
