"""What a word may become, read from conf/ as the help is: a shell waits, so without Hydra or TensorFlow."""

import re
from collections.abc import Iterable, Iterator

from pipeline.cli import help
from pipeline.settings.addresses import CONF

FLAGS = {
    "frontier": (
        "--at-least", "--within", "--knee", "--max", "--min", "--json", "--csv", "--commands", "--html",
        "--open", "--overlay", "--study",
    ),
    "studies": ("--json",),
    "serve-bench": ("--p99", "--seconds", "--rows", "--workers", "--request", "--json"),
    "doctor": ("--json",),
    "run": ("--multirun",),
    "sweep": ("--dry-run",),
}  # fmt: skip
GENERAL = ("--help", "--version", "--install-completion")
TYPED_NAMES = {"train.start_from": "train.from"}

_SETTING = re.compile(r"(\w+):\s*(\S*)[^#]*(?:#\s*(.*))?")
_CHOICES = re.compile(r"[\w-]+(?: \| [\w-]+)+")


def complete_line(line: str) -> list[str]:
    """Return what the last word of a line may become. `line`: as typed so far, with the program's name."""
    *before, last = line.split(" ")[1:] or [""]
    return sorted(
        {word for word in _list_words([word for word in before if word], last) if word.startswith(last)}
    )


def _list_words(before: list[str], last: str) -> Iterable[str]:
    if not before:
        return [*help.COMMANDS, *GENERAL]
    if before[0] == "--install-completion":
        return ["bash", "zsh", "fish"]
    if before[0] not in help.COMMANDS:
        return []
    if last.startswith("-"):
        return [*FLAGS.get(before[0], ()), "--cfg", "--help"]
    key, equals, _ = last.partition("=")
    if equals:
        return (f"{key}={value}" for value in _list_values(key))
    if "." in last:
        return (f"{name}=" for name in _list_settings(last.partition(".")[0]))
    return _list_first_parts()


def _list_first_parts() -> Iterator[str]:
    """Yield `GROUP=` where a group has a choice, `GROUP.` where it has settings, and the single keys."""
    for group in help.read_defaults():
        if len(help.list_options(group)) > 1:
            yield f"{group}="
        if group != "experiment" and _list_settings(group):
            yield f"{group}."
    yield from (f"{name}=" for name in _list_single())


def _list_values(key: str) -> Iterator[str]:
    if key in help.read_defaults():
        yield from (option.name for option in help.list_options(key))
        return
    value, about = {**_list_single(), **_list_settings(key.partition(".")[0])}.get(key, ("", ""))
    if value in {"true", "false"}:
        yield from ("true", "false")
    elif choices := _CHOICES.match(about):
        yield from choices[0].split(" | ")


def _list_settings(group: str) -> dict[str, tuple[str, str]]:
    """List the settings of all options of a group, with default and comment."""
    if group not in help.read_defaults() or group == "experiment":
        return {}
    settings = _read_settings(line for option in help.list_options(group) for line in option.settings)
    keys = {name: f"{group}.{name}" for name in settings}
    return {TYPED_NAMES.get(keys[name], keys[name]): setting for name, setting in settings.items()}


def _list_single() -> dict[str, tuple[str, str]]:
    return _read_settings((CONF / "config.yaml").read_text().partition("\n\n")[2].splitlines())


def _read_settings(lines: Iterable[str]) -> dict[str, tuple[str, str]]:
    matches = filter(None, map(_SETTING.match, lines))
    return {match[1]: (match[2], match[3] or "") for match in matches}
