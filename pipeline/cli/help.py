"""What `--help` prints: read from conf/, so that it is never out of date; without Hydra or TensorFlow."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.settings.addresses import CHECKOUT, CONF, find_options
from pipeline.settings.command_line import PROGRAM

COMMANDS = {
    "run": "run all stages (preprocess, train, evaluate, profile) and record them as one run",
    "preprocess": "clean, scale and split the data into the cache, and record a report of it",
    "train": "train on the prepared data and record the model",
    "evaluate": "score a trained model: trained=RUN_ID | runs:/... | models:/NAME@ALIAS | PATH",
    "profile": "time a trained model and measure its size: trained=...",
    "sweep": "search for the frontier: model.hidden=16,64,256 or interval(16,256), added to search=...",
    "frontier": "a frontier: --study NAME --at-least 0.975 --within SECONDS --knee --max latency_ms=5",
    "diagnose": "find a cheaper command line: name the bottleneck, apply remedies, keep those that pay",
    "doctor": "say in ten lines what works on this machine, and how to get what does not; --json",
    "ui": "start the MLflow UI on this machine",
}

EXAMPLES = """\
  python -m pipeline run data=mnist model.hidden=128 train.epochs=5
  python -m pipeline run optimizer=sgd optimizer.momentum=0.9 schedule=cosine precision=mixed_bfloat16
  python -m pipeline evaluate trained=RUN_ID record=model
  python -m pipeline diagnose data=mnist train.batch_size=8 diagnose.save=cheaper"""

THROUGH_MLFLOW = (
    "The same commands through MLflow: mlflow run . -P KEY=VALUE -P overrides='KEY=VALUE KEY=VALUE'"
)


def format_help(command: str | None) -> str:
    """Return the help for one command, or for all."""
    head = f"{PROGRAM} {command or 'COMMAND'} [KEY=VALUE ...]"
    about = [f"  {COMMANDS[command]}"] if command else ["Commands:", *_format_table(COMMANDS.items())]
    return "\n".join(
        [
            f"Usage: {head}",
            "",
            *about,
            "",
            "Examples:",
            EXAMPLES,
            "",
            "Groups, their options (* = default) and settings:",
            *_format_groups(),
            "Settings outside groups:",
            *_align_comments((CONF / "config.yaml").read_text().partition("\n\n")[2].splitlines()),
            "",
            *([THROUGH_MLFLOW] if CHECKOUT else []),
        ]
    )


def _format_groups() -> Iterator[str]:
    for group, default in read_defaults().items():
        paths = sorted(find_options(group).values(), key=lambda path: (path.stem != default, path.stem))
        shown: list[str] = []
        for path in paths:
            comment, settings = _read_option(path)
            yield f"  {group}={path.stem}{'*' if path.stem == default else ''}".ljust(34) + comment
            new = [line for line in settings if line not in shown and group != "experiment"]
            yield from _align_comments(f"{group}.{line}" for line in new)
            shown += new
        yield ""


def read_defaults() -> dict[str, str]:
    """Return the option that conf/config.yaml chooses for each group, in its order."""
    lines = (CONF / "config.yaml").read_text().partition("\n\n")[0].splitlines()
    choices = [
        line.partition("#")[0].strip(" -") for line in lines if line.startswith("  - ") and ": " in line
    ]
    return dict(choice.split(": ") for choice in choices)


def _read_option(path: Path) -> tuple[str, list[str]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("# @")]
    comment = lines[0].removeprefix("# ")
    return comment, [line for line in lines[1:] if line and not line.startswith("defaults:")]


def _align_comments(lines: Iterable[str]) -> Iterator[str]:
    """Yield the settings of a YAML file with their comments in a column."""
    for line in lines:
        setting, _, comment = line.partition(" #")
        yield f"    {setting.rstrip():<40} {comment.strip()}".rstrip()


def _format_table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, about in rows:
        yield f"  {name:<12}{about}"
