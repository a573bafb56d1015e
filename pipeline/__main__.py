"""`python -m pipeline COMMAND [KEY=VALUE ...]`."""

import sys

from pipeline.cli import main
from pipeline.files import own_temporary_folder

if __name__ == "__main__":  # a worker process imports this module, too
    with own_temporary_folder():
        code = main(sys.argv[1:])
    sys.exit(code)
