"""`python -m pipeline COMMAND [KEY=VALUE ...]`; the command `fulcrum` of an installed package is the same."""

import gc
import sys

from pipeline import signals


def run() -> int:
    """Run the command that the words of this process name, and return its exit code."""
    signals.end_at_interrupt()
    from pipeline.processes import garbage

    garbage.collect_late()
    from pipeline.cli.loops import apart

    words = sys.argv[1:]
    return apart.run_apart(words, _run) if apart.is_of_function(words) else _run()


def _run() -> int:
    from pipeline.cli import main
    from pipeline.files import own_temporary_folder

    words = sys.argv[1:]
    del sys.argv[1:]  # what a training loop of the user's own parses for itself would take ours for its own
    with own_temporary_folder():
        code = main(words)
    gc.freeze()  # else Python looks through all that TensorFlow made before it ends: two seconds
    return code


if __name__ == "__main__":  # a worker process imports this module, too
    sys.exit(run())
