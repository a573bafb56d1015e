"""`python -m pipeline COMMAND [KEY=VALUE ...]`."""

import sys

from pipeline.cli import main

sys.exit(main(sys.argv[1:]))
