"""Hooks of mkdocs: pages on settings and commands, from conf/; links that leave docs/ become names.

`mkdocs.yml` names this file. Nothing of what it writes is kept in the checkout, so it is never out of date.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.cli import help
from tools.settings_page import write_settings

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: "Files", config: Any) -> "Files":
    """Add the generated pages."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "reference/settings.md", content=write_settings()))
    files.append(File.generated(config, "reference/commands.md", content=write_commands()))
    return files


def on_page_markdown(markdown: str, page: Any, files: "Files", **_: Any) -> str:
    """Write a link to a file outside docs/ as the name of that file, since the site has docs/ alone."""
    folder = page.file.src_uri.rpartition("/")[0]

    def replace(match: re.Match[str]) -> str:
        target = _resolve(folder, match[2])
        if target is not None and files.get_file_from_path(target):
            return match[0]
        name = match[2].replace("../", "")
        return f"`{name}` in the checkout" if match[1] == name else f"{match[1]} (`{name}` in the checkout)"

    return LINK.sub(replace, markdown)


def write_commands() -> str:
    """Return the page of the commands: what they do, their options, exit codes, variables."""
    head = ["# Commands", "", "`python -m pipeline COMMAND [KEY=VALUE ...]`", ""]
    commands = _write_table(("command", "does"), help.COMMANDS.items())
    options = _write_table(("option", "of", "does"), OPTIONS)
    codes = _write_table(("code", "means"), EXIT_CODES)
    variables = _write_table(("variable", "says"), VARIABLES)
    return (
        "\n".join(
            [
                *head,
                *commands,
                *("", "Everything else is a [setting](settings.md), `KEY=VALUE`.", ""),
                *("## Options", "", *options, ""),
                *(
                    "## Exit codes",
                    "",
                    *codes,
                    "",
                    "`make` and `mlflow run` have codes of their own: 2 and 1.",
                    "",
                ),
                *("## Variables of the environment", "", *variables),
            ]
        )
        + "\n"
    )


OPTIONS = (
    ("--at-least 97.5%", "frontier", "the cheapest point with this accuracy (or 0.975; of a quantity an R2)"),
    ("--within 5ms", "frontier", "the best point for this cost: `5ms`, `0.5` device-seconds, `2min`"),
    ("--knee", "frontier", "the point behind which more accuracy costs much more"),
    ("--max latency_ms=5", "frontier", "only points of at most so much of a further objective"),
    ("--min accuracy_under_attack=60%", "frontier", "only points of at least so much of one"),
    ("21", "frontier", "the trial with this number"),
    ("--study NAME", "frontier", "another study than the newest"),
    ("--commands", "frontier", "the command of each point, and nothing else"),
    ("--csv", "frontier", "all trials as a table"),
    ("--json", "frontier, studies, doctor, serve-bench", "for programs"),
    ("--open", "frontier", "the page of the study, in a browser"),
    ("--html FILE", "frontier", "the page, into a file"),
    ("--overlay STUDY", "frontier", "the page, with the frontier of another study on it"),
    ("--dry-run", "sweep", "what would be searched, and when that would end"),
    ("--multirun", "run", "every combination of several values, a run each"),
    ("--p99 100ms", "serve-bench", "the bound for 99 of 100 answers"),
    ("--seconds 5", "serve-bench", "how long each rate is offered"),
    ("--rows 1", "serve-bench", "samples in a request"),
    ("--workers 1", "serve-bench", "processes of the server"),
    ("--request FILE", "serve-bench", "the body of a request, in JSON"),
    ("--cfg job", "all", "the composed settings as YAML, and nothing else"),
    ("--help GROUP", "all", "commands and groups; the settings of a group; `--help all`"),
    ("--version", "no command", "the release"),
    ("--install-completion", "no command", "a completion for the shell in use"),
)
EXIT_CODES = (
    ("0", "done"),
    ("1", "a training failed, no trial came to a point, or no point reaches what was asked for"),
    ("2", "a word, a file or a setting is wrong, told in one line; nothing was recorded"),
    ("128 + signal", "ended by a signal: 130 by Ctrl-C, 143 by SIGTERM; an open run is recorded as KILLED"),
)
VARIABLES = (
    ("FULCRUM_DATA", "the folder of raw data, `data_dir`"),
    ("FULCRUM_CACHE", "the folder of prepared data and checkpoints, `cache_dir`"),
    ("MLFLOW_TRACKING_URI", "where runs are recorded; `studies.db` lies beside a local one"),
    ("MLFLOW_REGISTRY_URI", "where models are registered, if elsewhere"),
    ("MLFLOW_EXPERIMENT_NAME", "the experiment, unless `tracking.experiment=` is typed"),
    ("CUDA_VISIBLE_DEVICES", "which GPUs there are"),
    ("NO_COLOR", "no colours; `TERM=dumb`: plain lines"),
)


def _write_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    marks = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return [*marks, *(f"| `{row[0]}` | {' | '.join(map(_escape, row[1:]))} |" for row in rows)]


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


def _resolve(folder: str, link: str) -> str | None:
    """Return the path below docs/ of a link on a page in `folder`; None where it lies outside."""
    parts = [part for part in folder.split("/") if part]
    for part in link.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
