"""The format of a training state on disk: plain values as JSON beside numbered arrays, in one .npz file.

A checkpoint and the state that a run leaves for a later one are both such files.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np

from pipeline.files import explain_unwritable_cache, write_whole

FOREIGN = "foreign"
"""Names the types of arrays that are not numpy's own."""
DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile)
"""What reading raises where a file is absent, cut off, or something else."""


def write_state(file: BinaryIO, about: Mapping[str, Any], arrays: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Write `about`, values that JSON knows, and groups of arrays by name; a group name has no digits.

    The format knows numpy's own types alone, so bfloat16 is written as integers of its bits, and named.
    """
    numbered = {
        f"{group}{number}": array for group, row in arrays.items() for number, array in enumerate(row)
    }
    foreign = {name: array.dtype.name for name, array in numbered.items() if array.dtype.kind == "V"}
    numbered |= {name: numbered[name].view(f"u{numbered[name].itemsize}") for name in foreign}
    texts = {"about": np.array(json.dumps(about)), FOREIGN: np.array(json.dumps(foreign))}
    np.savez(file, allow_pickle=False, **texts, **numbered)


def save_state(path: Path, about: Mapping[str, Any], arrays: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Write a training state into a folder of the cache, whole or not at all.

    Raises:
        BadInput: the folder cannot be written or has no room left.
    """
    try:
        write_whole(path, partial(write_state, about=about, arrays=arrays))
    except OSError as error:
        raise explain_unwritable_cache(path.parent, error) from None


def read_state(
    file: Path | BinaryIO, groups: Sequence[str]
) -> tuple[dict[str, Any], list[tuple[np.ndarray, ...]]]:
    """Return what `write_state` was given: the plain values, then the arrays of each group.

    Raises:
        DAMAGED: the file is absent, cut off, or something else.
    """
    with np.load(file, allow_pickle=False) as content:
        foreign = json.loads(str(content[FOREIGN])) if FOREIGN in content else {}  # not in earlier files
        arrays = [_read_group(content, group, foreign) for group in groups]
        return json.loads(str(content["about"])), arrays


def _read_group(
    content: "np.lib.npyio.NpzFile", group: str, foreign: Mapping[str, str]
) -> tuple[np.ndarray, ...]:
    count = sum(name.rstrip("0123456789") == group for name in content.files)
    names = [f"{group}{number}" for number in range(count)]
    if not foreign:
        return tuple(content[name] for name in names)
    import ml_dtypes  # comes with what writes such types

    return tuple(
        content[name].view(getattr(ml_dtypes, foreign[name])) if name in foreign else content[name]
        for name in names
    )
