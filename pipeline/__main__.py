"""`python -m pipeline COMMAND [KEY=VALUE ...]`."""

import sys

from pipeline.cli import main

if __name__ == "__main__":  # a worker process imports this module, too
    sys.exit(main(sys.argv[1:]))
