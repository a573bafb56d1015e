"""The name of `pipeline` for those who import it; an installed package has this name alone (see setup.py)."""

from typing import TYPE_CHECKING, Any

import pipeline
from pipeline import __all__ as __all__
from pipeline import __version__ as __version__

if TYPE_CHECKING:
    from pipeline import *  # noqa: F403


def __getattr__(name: str) -> Any:
    return getattr(pipeline, name)


def __dir__() -> list[str]:
    return dir(pipeline)
