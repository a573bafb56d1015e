"""The name of `pipeline` for those who import it; an installed package has this name alone (see setup.py)."""

from pipeline import __version__ as __version__
