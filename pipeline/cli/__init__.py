"""The command line: words in, exit code out. Hydra lives in this folder only."""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from pipeline import __version__, signals
from pipeline.cli import help
from pipeline.cli.lost_server import explain_lost_server
from pipeline.errors import BadInput, FulcrumError, StoreUnusable, find_cause
from pipeline.output import guard_output
from pipeline.secrets import mask

HELP = {"-h", "--help", "help"}
CFG = ("--cfg", "-c")
"""Shows the composed settings of a command, of `run` where none stands before it."""
SEVERAL = {"--multirun", "-m"}
"""A word that makes `run` several runs, of which the last one may be whole where others are missing."""
BEGUN_AGAIN = ("run", "preprocess", "train", "evaluate", "predict", "profile", "serve-bench")
"""Commands of which nothing is kept that the same command would go on from."""
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.ENOTDIR)
"""A disk is full or read-only, a folder belongs to somebody else, or a file lies where a folder should."""


def main(words: Sequence[str]) -> int:
    """Run one command. 0: done; 2: bad input; 1: failed; 130, 143, ...: Ctrl-C, SIGTERM, see `signals`."""
    with guard_output() as output:
        code = _run_command(words)
        output.flush()
        if output.is_lost:
            print(f"error: what was to be shown could not be written: {output.error}", file=sys.stderr)
    return (code or 1) if output.is_lost else code


def _run_command(words: Sequence[str]) -> int:
    if list(words) == ["--version"]:
        print(f"fulcrum {__version__}")
        return 0
    if words and words[0] == "--complete":  # asked by a shell
        from pipeline.cli.completion.complete import complete_line

        print("\n".join(complete_line(" ".join(words[1:]))))
        return 0
    if not words or HELP & set(words):
        topics = [word for word in words if help.is_topic(word)]
        print(help.format_help(next(iter(topics), None)))
        return 0 if words else 2
    if words[0] in CFG:
        words = ["run", *words]
    from pipeline.tracking.runs import run_ends

    run_ends.forget_end()
    try:
        signals.listen()
        try:
            _hide_recorded_secrets(words)
            _run(words[0], words[1:])
            signals.raise_deferred()
        finally:
            sys.stdout.flush()
            signals.listen_no_more()
    except BaseException as error:  # a signal may come out of a library as any error
        if stopped := signals.read_requested():
            print(_mask_words(_describe_stop(stopped, words), words), file=sys.stderr)
            return 128 + stopped
        error = explain_error(error) or error
        if isinstance(error, FulcrumError):
            print(f"error: {_mask_words(str(error), words)}", file=sys.stderr)
            return error.exit_code
        if not isinstance(error, Exception):
            raise
        print(_mask_words(traceback.format_exc(), words), end="", file=sys.stderr)
        return 1
    return 0


def _hide_recorded_secrets(words: Sequence[str]) -> None:
    """Mask in the run of `mlflow run` the secrets of its `-P`, whatever becomes of the command."""
    text = " ".join(words)
    if os.environ.get("MLFLOW_RUN_ID") and mask(text) != text:
        from pipeline.tracking import mlflow_store
        from pipeline.tracking.runs import adopted_run

        adopted_run.hide_secrets(mlflow_store.open_store())


def _mask_words(text: str, words: Sequence[str]) -> str:
    """Mask the secrets of the words, too: an advice may have cut an address into pieces."""
    return mask(text, *words)


def _describe_stop(stopped: signal.Signals, words: Sequence[str]) -> str:
    """Describe what stopped a command, what is recorded, and how to begin again what is not whole.

    `sweep` and `diagnose` say themselves how to go on.
    """
    from pipeline.tracking.runs import run_ends

    ended, is_several = run_ends.read_end(), bool(SEVERAL & set(words))
    sentences = [f"stopped by {'Ctrl-C' if stopped is signal.SIGINT else stopped.name}"]
    if ended is not None:
        sentences.append(ended.text)
    if words[0] in BEGUN_AGAIN and (is_several or ended is None or not ended.is_whole):
        from pipeline.settings.command_line import format_command

        sentences.append(f"begin it again with: {format_command(words[0], words[1:])}")
    return "; ".join(sentences)


def explain_error(error: BaseException) -> FulcrumError | None:
    """Return what a library or the disk says in words of ours; None where that is something else.

    Input that does not answer has words of its own already, which name what to set.
    """
    if isinstance(error, BadInput):
        return None
    return find_cause(error, StoreUnusable) or _explain_disk(error) or explain_lost_server(error)


def _explain_disk(error: BaseException) -> FulcrumError | None:
    """Return the error for a disk that takes no more; None where something else is the reason."""
    if not isinstance(error, OSError) or error.errno not in DISK_ERRORS:
        return None
    return FulcrumError(
        f"{error.filename or 'a file'}: {error.strerror}; make room or the disk writable, then give the same "
        "command again: what was recorded is kept"
    )


def _run(command: str, words: Sequence[str]) -> None:
    if command == "--install-completion":
        from pipeline.cli.completion.install import install_completion

        print(install_completion(words))
        return
    from pipeline.cli import commands  # Hydra is needed from here on, not for --help

    commands.run(command, words)
