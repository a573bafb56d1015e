"""What `--help` prints: read from conf/ itself, so that it cannot go stale; no Hydra, no TensorFlow."""

from collections.abc import Iterable, Iterator
from pathlib import Path

CONF = Path(__file__).resolve().parents[2] / "conf"

COMMANDS = {
    "run": "all stages: preprocess, train, evaluate, profile; one recorded run",
    "preprocess": "clean, scale and split the data into the cache, and record a report of it",
    "train": "train on the prepared data and record the model",
    "evaluate": "score a trained model: trained=RUN_ID | runs:/... | models:/NAME@ALIAS | PATH",
    "profile": "time a trained model and measure its size: trained=...",
    "sweep": "search for the frontier: model.hidden=16,64,256 or interval(16,256) on top of search=...",
    "frontier": "what a study has found: --study NAME --at-least 0.975 --within SECONDS --knee --json",
    "diagnose": "name the bottleneck, apply remedies, keep what pays: a cheaper command line",
    "ui": "the MLflow UI on this machine",
}

EXAMPLES = """\
  python -m pipeline run data=mnist model.hidden=128 train.epochs=5
  python -m pipeline run optimizer=sgd optimizer.momentum=0.9 schedule=cosine precision=mixed_bfloat16
  python -m pipeline evaluate trained=RUN_ID record=model
  python -m pipeline diagnose data=mnist train.batch_size=8 diagnose.save=cheaper"""


def text(command: str | None) -> str:
    """Help for one command, or for all."""
    head = f"python -m pipeline {command or 'COMMAND'} [KEY=VALUE ...]"
    about = [f"  {COMMANDS[command]}"] if command else ["Commands:", *_table(COMMANDS.items())]
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
            *_groups(),
            "Settings outside groups:",
            *_aligned((CONF / "config.yaml").read_text().partition("\n\n")[2].splitlines()),
            "",
            "The same through MLflow: mlflow run . -P KEY=VALUE -P overrides='KEY=VALUE KEY=VALUE'",
        ]
    )


def _groups() -> Iterator[str]:
    for group, default in defaults().items():
        paths = sorted((CONF / group).glob("*.yaml"), key=lambda path: (path.stem != default, path.stem))
        known: list[str] = []
        for path in paths:
            comment, settings = _described(path)
            yield f"  {group}={path.stem}{'*' if path.stem == default else ''}".ljust(34) + comment
            new = [line for line in settings if line not in known and group != "experiment"]
            yield from _aligned(f"{group}.{line}" for line in new)
            known += new
        yield ""


def defaults() -> dict[str, str]:
    """The option that conf/config.yaml chooses for each group, in its order."""
    lines = (CONF / "config.yaml").read_text().partition("\n\n")[0].splitlines()
    choices = [
        line.partition("#")[0].strip(" -") for line in lines if line.startswith("  - ") and ": " in line
    ]
    return dict(choice.split(": ") for choice in choices)


def _described(path: Path) -> tuple[str, list[str]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("# @")]
    comment = lines[0].removeprefix("# ")
    return comment, [line for line in lines[1:] if line and not line.startswith("defaults:")]


def _aligned(lines: Iterable[str]) -> Iterator[str]:
    """Settings as YAML has them, values apart from comments."""
    for line in lines:
        setting, _, comment = line.partition(" #")
        yield f"    {setting.rstrip():<40} {comment.strip()}".rstrip()


def _table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, about in rows:
        yield f"  {name:<12}{about}"
