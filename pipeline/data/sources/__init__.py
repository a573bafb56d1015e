"""Where samples come from: one module a kind of data, named after its conf option (see README.md)."""

import sys
from pathlib import Path
from typing import Any, Protocol, cast

from pipeline.data.readers.loaded import LabelledSamples, LoadedData
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.settings.data import Data
from pipeline.settings.kinds import module_of

__all__ = ["LabelledSamples", "LoadedData", "fingerprint", "load"]


class Source(Protocol):
    """What the module of a kind of data must have."""

    def fingerprint(self, data: Any, data_dir: Path) -> str:
        """Return the SHA-256 (hex) of the raw content, without decoding it."""

    def load(self, data: Any, data_dir: Path, scratch: ScratchSpace) -> LoadedData:
        """Return all samples; those that do not fit into memory lie in `scratch`."""


def fingerprint(data: Data, data_dir: Path) -> str:
    """Return the SHA-256 (hex) of the raw content, without decoding it; fetch what is missing.

    Raises:
        BadData: a file is missing, damaged or has the wrong hash.
    """
    return source_of(data).fingerprint(data, data_dir)


def load(data: Data, data_dir: Path, scratch: Path | None = None) -> LoadedData:
    """Return the samples themselves, as the source has them.

    `scratch`: a folder for those that pass `data.in_memory_limit`; None: all are held in memory.

    Raises:
        BadData: a file is missing, damaged, or breaks a rule of its format.
    """
    room = (
        ScratchSpace(Path(), sys.maxsize) if scratch is None else ScratchSpace(scratch, data.in_memory_limit)
    )
    return source_of(data).load(data, data_dir, room)


def get_format(data: Data, lowest: int) -> int:
    """Return the format of this kind of data, `FORMAT` of its module; `lowest` where it has none."""
    return max(lowest, getattr(source_of(data), "FORMAT", lowest))


def source_of(data: Data) -> Source:
    """Return the module that reads this kind of data."""
    return cast(Source, module_of(__name__, data))
