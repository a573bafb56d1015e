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

DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile)
"""What reading raises where a file is absent, cut off, or something else."""


def write_state(file: BinaryIO, about: Mapping[str, Any], arrays: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Write `about`, values that JSON knows, and groups of arrays by name; a group name has no digits."""
    numbered = {
        f"{group}{number}": array for group, row in arrays.items() for number, array in enumerate(row)
    }
    np.savez(file, allow_pickle=False, about=np.array(json.dumps(about)), **numbered)


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
        return json.loads(str(content["about"])), [_read_group(content, group) for group in groups]


def _read_group(content: "np.lib.npyio.NpzFile", group: str) -> tuple[np.ndarray, ...]:
    count = sum(name.rstrip("0123456789") == group for name in content.files)
    return tuple(content[f"{group}{number}"] for number in range(count))
