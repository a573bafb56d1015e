"""`python -m pipeline COMMAND [KEY=VALUE ...]`; the command `fulcrum` of an installed package is the same."""

import sys

from pipeline.cli import main
from pipeline.files import own_temporary_folder


def run() -> int:
    """Run the command that the words of this process name, and return its exit code."""
    with own_temporary_folder():
        return main(sys.argv[1:])


if __name__ == "__main__":  # a worker process imports this module, too
    sys.exit(run())
