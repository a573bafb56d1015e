"""`python -m fulcrum_ml` and the command `fulcrum` of an editable installation."""

import sys

from pipeline.__main__ import run

if __name__ == "__main__":
    sys.exit(run())
