"""Where samples come from: one module a kind of data, chosen by the class of the settings."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.data.sources import arrays, digits, idx, images, mnist, sounds, tables, texts, tfds
from pipeline.data.sources.loaded import Loaded, Samples
from pipeline.data.sources.scratch import Scratch
from pipeline.errors import BadSetting
from pipeline.settings import data_kinds
from pipeline.settings.data import Arrays, Data, Digits, Idx, Mnist

__all__ = ["Loaded", "Samples", "fingerprint", "load"]


class Source(NamedTuple):
    """How a kind of data is read. `fingerprint(data, data_dir)`; `load(data, data_dir, scratch)`."""

    fingerprint: Callable[[Any, Path], str]
    load: Callable[[Any, Path, Scratch], Loaded]


SOURCES: dict[type, Source] = {
    Digits: Source(lambda *_: digits.fingerprint(), lambda *_: digits.load()),
    Mnist: Source(lambda _, place: mnist.fingerprint(place), lambda _, place, __: mnist.load(place)),
    Idx: Source(lambda data, _: idx.fingerprint(data), lambda data, *_: idx.load(data)),
    Arrays: Source(lambda data, _: arrays.fingerprint(data), lambda data, *_: arrays.load(data)),
    data_kinds.ImageFolder: Source(
        lambda data, _: images.fingerprint(data), lambda data, _, scratch: images.load(data, scratch)
    ),
    data_kinds.Fsdd: Source(
        lambda _, place: sounds.fsdd_fingerprint(place), lambda data, place, _: sounds.fsdd_load(data, place)
    ),
    data_kinds.AudioFolder: Source(
        lambda data, _: sounds.fingerprint(data), lambda data, _, scratch: sounds.load(data, scratch)
    ),
    data_kinds.RtPolarity: Source(
        lambda _, place: texts.rt_polarity_fingerprint(place),
        lambda _, place, __: texts.rt_polarity_load(place),
    ),
    data_kinds.TextFolder: Source(
        lambda data, _: texts.fingerprint(data), lambda data, _, scratch: texts.load(data, scratch)
    ),
    data_kinds.Csv: Source(
        lambda data, _: tables.fingerprint(data), lambda data, _, scratch: tables.load(data, scratch)
    ),
    data_kinds.Tfds: Source(tfds.fingerprint, tfds.load),
}


def fingerprint(data: Data, data_dir: Path) -> str:
    """SHA-256 (hex) of the raw content, without decoding it; fetches what is missing.

    Raises:
        BadData: a file is missing, damaged or has the wrong hash.
    """
    return _source(data).fingerprint(data, data_dir)


def load(data: Data, data_dir: Path, scratch: Path | None = None) -> Loaded:
    """The samples themselves, as the source has them.

    `scratch`: a folder for those that pass `data.in_memory_limit`; None: all are held in memory.

    Raises:
        BadData: a file is missing, damaged, or breaks a rule of its format.
    """
    room = Scratch(Path(), sys.maxsize) if scratch is None else Scratch(scratch, data.in_memory_limit)
    return _source(data).load(data, data_dir, room)


def _source(data: Data) -> Source:
    try:
        return SOURCES[type(data)]
    except KeyError:
        raise BadSetting(f"data must be a known kind, got {type(data).__name__}; see --help") from None
