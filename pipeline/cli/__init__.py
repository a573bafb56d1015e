"""The command line: words in, exit code out. Hydra lives in this folder only."""

import signal
import sys
from collections.abc import Sequence
from types import FrameType

from pipeline.cli import help
from pipeline.errors import FulcrumError, Stopped


def main(words: Sequence[str]) -> int:
    """Run one command. 0: done; 2: bad input; 1: failed; 130 and 143: stopped by Ctrl-C or SIGTERM."""
    if not words or {"-h", "--help", "help"} & set(words):
        command = next((word for word in words if word in help.COMMANDS), None)
        print(help.text(command))
        return 0 if words else 2
    signal.signal(signal.SIGTERM, _stop)
    try:
        _run(words[0], words[1:])
    except FulcrumError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped by Ctrl-C; the run is recorded as KILLED", file=sys.stderr)
        return 130
    except Stopped:
        print("stopped by SIGTERM; the run is recorded as KILLED", file=sys.stderr)
        return 143
    return 0


def _run(command: str, words: Sequence[str]) -> None:
    from pipeline.cli import commands  # Hydra is needed from here on, not for --help

    commands.run(command, words)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise Stopped
