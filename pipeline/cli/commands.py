"""The commands by name: each is the function `run` of a module, which is imported when it is asked for."""

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from pipeline.cli import help, schema
from pipeline.cli.completion.complete import FLAGS
from pipeline.cli.explain import composed
from pipeline.cli.loops import words as loop_words
from pipeline.errors import BadSetting
from pipeline.files import check_temporary_folder, check_working_folder

MODULES = {
    "run": "stages.run",
    "preprocess": "stages.preprocess",
    "train": "stages.train",
    "evaluate": "stages.evaluate",
    "predict": "predict.command",
    "profile": "stages.profile",
    "serve-bench": "serve_bench.command",
    "sweep": "sweep.command",
    "frontier": "frontier.command",
    "studies": "studies",
    "diagnose": "diagnose.command",
    "doctor": "doctor.command",
    "ui": "ui",
}
"""Where each command lives, below this folder."""


def run(command: str, words: Sequence[str]) -> None:
    """Run one command.

    Raises:
        FulcrumError: see `pipeline.errors`; the text is one line.
    """
    if command not in MODULES:
        near = get_close_matches(command, MODULES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise BadSetting(f"the command must be one of {', '.join(help.COMMANDS)}, got {command}{hint}")
    check_working_folder()
    if composed.is_asked(words):
        print(composed.format_composed(command, words))
        return
    _check_flags(command, words)
    loop_words.check_command(command, words)
    if command != "doctor":  # which says so among the rest
        check_temporary_folder()
    import_module(f"pipeline.cli.{MODULES[command]}").run(words)


def _check_flags(command: str, words: Sequence[str]) -> None:
    """Raise BadSetting where a word is nearly a flag of the command, and no setting."""
    flags = FLAGS.get(command, ())
    for word in words:
        name = word.partition("=")[0]
        if not name.startswith("--") or name in flags or name[2:] in schema.list_rules():
            continue
        if near := get_close_matches(name, flags, n=1, cutoff=0.75):
            raise BadSetting(f"{name} is no flag of {command}; did you mean {near[0]}?")
