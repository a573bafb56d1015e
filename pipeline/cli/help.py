"""What `--help` prints: read from conf/, so that it is never out of date; without Hydra or TensorFlow."""

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.settings.addresses import CHECKOUT, CONF, find_options
from pipeline.settings.command_line import PROGRAM

COMMANDS = {
    "run": "prepare data, train, evaluate and profile; recorded as one run",
    "preprocess": "clean, scale and split data into the cache; report what was found",
    "train": "train on the prepared data and record the model",
    "evaluate": "score a model: trained=RUN_ID | runs:/... | models:/NAME | PATH",
    "predict": "answer for new data: trained=... data.path=NEW predict.output=FILE",
    "profile": "time a trained model and measure its size: trained=...",
    "serve-bench": "how many requests a second it stands: trained=... --p99 50ms",
    "sweep": "search for the frontier: model.hidden=16,64,256 optimizer=sgd,adam",
    "frontier": "show it: --at-least 97.5%, --within 5ms, --knee, --csv, TRIAL",
    "studies": "list the studies, the newest first",
    "diagnose": "find what costs most in a training, and a cheaper command line",
    "doctor": "what works on this machine, and how to get what does not; --json",
    "ui": "open runs, studies and their pages in a browser on this machine",
}

ALL = "all"
COMMENTS = 32
"""The column in which what a setting means begins."""
OTHER_HELP = "Settings of one group: --help GROUP (--help optimizer); all of them: --help all"
WIDTH = 80
"""Columns that every terminal has."""

EXAMPLES = """\
  python -m pipeline run data=mnist model.hidden=128 train.epochs=5
  python -m pipeline run optimizer=sgd optimizer.momentum=0.9 schedule=cosine
  python -m pipeline evaluate trained=RUN_ID record=model
  python -m pipeline predict trained=RUN_ID data.path=NEW.csv \\
      predict.output=answers.parquet
  python -m pipeline diagnose train.batch_size=8 diagnose.save=cheaper"""


def format_help(topic: str | None = None) -> str:
    """Return the help: one screen; `topic`: a command, a group, a setting, or `all` for everything.

    A name of a command and of a group, such as `train`, gives both.
    """
    if topic == ALL:
        return "\n".join([*_format_head(None), "", *_format_everything()])
    group = (topic or "").partition(".")[0]
    if group not in read_defaults():
        return "\n".join([*_format_head(topic), "", *_format_overview()])
    head = [*_format_head(topic), ""] if topic in COMMANDS else []
    about = [f"Settings of {group} and its options (* = default):", *_format_group(group)]
    return "\n".join([*head, *about, OTHER_HELP])


def is_topic(word: str) -> bool:
    """Return whether there is help on the word: a command, a group, a setting of one, or `all`."""
    return word in COMMANDS or word == ALL or word.partition(".")[0] in read_defaults()


def _format_head(command: str | None) -> Iterator[str]:
    yield f"Usage: {PROGRAM} {command or 'COMMAND'} [KEY=VALUE ...]   (--cfg job: show settings)"
    yield ""
    yield from [f"  {COMMANDS[command]}"] if command else ["Commands:", *_format_table(COMMANDS.items())]
    yield from ["", "Examples:", EXAMPLES]


def _format_overview() -> Iterator[str]:
    """Yield a line for each group with a choice, and the names of the others."""
    yield "Groups and their options (* = default):"
    plain = []
    for group, default in read_defaults().items():
        options = [option.name for option in list_options(group)]
        if len(options) == 1:
            plain.append(group)
        else:
            names = " ".join(f"{option}*" if option == default else option for option in options)
            yield from _wrap(f"{group + '=':<13}{names}", "  ", " " * 15)
    yield from _wrap("without a choice: " + " ".join(plain), "  ", " " * 15)
    yield OTHER_HELP


def _format_everything() -> Iterator[str]:
    yield "Groups, their options (* = default) and settings:"
    for group in read_defaults():
        yield from _format_group(group)
    yield "Settings outside groups:"
    yield from _align_comments((CONF / "config.yaml").read_text().partition("\n\n")[2].splitlines())
    if CHECKOUT:
        yield ""
        yield "The same commands through MLflow:"
        yield "  mlflow run . -P KEY=VALUE -P overrides='KEY=VALUE KEY=VALUE'"


def _format_group(group: str) -> Iterator[str]:
    default = read_defaults()[group]
    shown: list[str] = []
    for option in list_options(group):
        name = f"  {group}={option.name}{'*' if option.name == default else ''}"
        yield from _wrap(option.about, f"{name:<{COMMENTS}} ", " " * (COMMENTS + 1))
        new = [line for line in option.settings if line not in shown and group != "experiment"]
        yield from _align_comments(line if line.startswith(" ") else f"{group}.{line}" for line in new)
        shown += new
    yield ""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a group: its name, what it is, and the lines of its settings as they stand in conf/."""

    name: str
    about: str
    settings: tuple[str, ...]


def list_options(group: str) -> tuple[Option, ...]:
    """List the options of a group, the default first."""
    default = read_defaults()[group]
    paths = sorted(find_options(group).values(), key=lambda path: (path.stem != default, path.stem))
    return tuple(Option(path.stem, *_read_option(path)) for path in paths)


@cache
def read_defaults() -> dict[str, str]:
    """Return the option that conf/config.yaml chooses for each group, in its order."""
    lines = (CONF / "config.yaml").read_text().partition("\n\n")[0].splitlines()
    choices = [
        line.partition("#")[0].strip(" -") for line in lines if line.startswith("  - ") and ": " in line
    ]
    return dict(choice.split(": ") for choice in choices)


def _read_option(path: Path) -> tuple[str, tuple[str, ...]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("# @")]
    comment = lines[0].removeprefix("# ")
    return comment, tuple(line for line in lines[1:] if line and not line.startswith("defaults:"))


def _align_comments(lines: Iterable[str]) -> Iterator[str]:
    """Yield the settings of a YAML file with their comments in a column; long settings have lines alone."""
    for line in lines:
        setting, _, comment = line.partition(" #")
        first, rest = f"    {setting.rstrip()}", " " * (COMMENTS + 1)
        if len(first) > COMMENTS and comment:
            yield from _wrap(first.strip(), "    ", "        ")
            yield from _wrap(comment.strip(), rest, rest)
        else:
            yield from (
                _wrap(comment.strip(), f"{first:<{COMMENTS}} ", rest)
                if comment
                else _wrap(first.strip(), "    ", "        ")
            )


def _wrap(text: str, first: str, rest: str) -> list[str]:
    """Wrap a text to the width of every terminal; a word that is longer stays whole."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def _format_table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, about in rows:
        yield f"  {name:<12}{about}"
