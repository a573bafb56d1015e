"""Arrays by name in files of HDF5 (h5py, Keras, PyTables) and MATLAB, as those of an .npz."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.readers.compression import compute_bound, explain_bomb
from pipeline.errors import BadData, read_first_line

HDF5, MATLAB, MATLAB_HDF5 = "HDF5", "MATLAB", "MATLAB 7.3"
FORMS = {b"\x89HDF\r\n\x1a\n": HDF5, b"MATLAB 5.0": MATLAB, b"MATLAB 7.3": MATLAB_HDF5}
"""By the first bytes."""
BYTES = {
    "double": 8,
    "sparse": 8,
    "single": 4,
    "int64": 8,
    "uint64": 8,
    "int32": 4,
    "uint32": 4,
    "int16": 2,
    "uint16": 2,
}
"""Of a number of MATLAB; of others one."""
MATLAB_HEAD, MATLAB_PACKED = 128, 15
"""Bytes before the first variable of a MATLAB file, and the number of the kind of a packed one."""
DEFLATE, LZF = 1, 32000
PACKERS = {DEFLATE, LZF}
"""Filters of HDF5, by their numbers, that make many bytes out of few."""
MOST_DEFLATED = 1032
"""Into so many bytes can one of deflate unpack."""
PORTION = 1 << 20
PACKED_PORTION = 1 << 14
HIDDEN = "#"
"""Of what MATLAB keeps for itself in HDF5 (#refs#) the first letter."""


def find_form(path: Path) -> str:
    """Return which of these forms a file has; "" for none of them."""
    with path.open("rb") as file:
        head = file.read(16)
    return next((form for magic, form in FORMS.items() if head.startswith(magic)), "")


def list_arrays(path: Path, form: str) -> list[str]:
    """Return the names of the arrays in a file; one within a group is called `group/name`.

    Raises:
        BadData: it is damaged.
    """
    with _explain_damage(path, form):
        if form == MATLAB:
            return list(_measure_matlab(path))
        with _open_hdf5(path) as file:
            names: list[str] = []
            file.visititems(lambda name, item: names.append(name) if hasattr(item, "dtype") else None)
            return [name for name in names if not name.startswith(HIDDEN)]
    raise AssertionError


def read_array(path: Path, form: str, name: str) -> object:
    """Read an array that is listed; in a file of MATLAB 7.3 its axes are those that MATLAB shows.

    Raises:
        BadData: it is damaged, or unpacks to too much.
    """
    with _explain_damage(path, form):
        if form == MATLAB:
            return _read_matlab(path, name)
        with _open_hdf5(path) as file:
            item = file[name]
            if item.nbytes > compute_bound(path) or has_overfull_chunk(item, compute_bound(path)):
                raise explain_bomb(path)
            _refuse_objects(path, name, item)
            array = np.asarray(item.asstr()[()] if item.dtype.kind == "O" else item[()])
            array = _name_texts(array)
            return array.T if form == MATLAB_HDF5 else array
    raise AssertionError


@contextmanager
def _explain_damage(path: Path, form: str) -> Iterator[None]:
    try:
        yield
    except BadData:
        raise
    except Exception as error:  # both libraries raise whatever a damaged file makes of them
        raise BadData(
            f"{path} must be a whole file of {form}, got: {read_first_line(error)[:120]}; write it again, or "
            "its arrays with numpy.savez"
        ) from None


def has_overfull_chunk(item: Any, bound: int) -> bool:
    """Return whether a packed part of an HDF5 array holds more than its numbers, and may be beyond `bound`.

    The library unpacks whatever is there, as long as there is memory, and throws the rest away.
    """
    if item.chunks is None:
        return False
    plan = item.id.get_create_plist()
    packers = [
        kind for number in range(plan.get_nfilters()) if (kind := plan.get_filter(number)[0]) in PACKERS
    ]
    if len(packers) > 1:  # nobody packs twice
        return True
    large: list[tuple[int, ...]] = []

    def note(chunk: Any) -> None:
        if not chunk.filter_mask and chunk.size * MOST_DEFLATED > bound:
            large.append(chunk.chunk_offset)

    if DEFLATE in packers:
        item.id.chunk_iter(note)
    size = prod(item.chunks) * item.dtype.itemsize
    return any(
        len(zlib.decompressobj().decompress(item.id.read_direct_chunk(offset)[1], size + 1)) > size
        for offset in large
    )


def _refuse_objects(path: Path, name: str, item: Any) -> None:
    """Raise BadData for what lies in another file, or in this one as references or codes of letters."""
    import h5py

    if item.external or item.is_virtual:
        raise BadData(f"{name} in {path} must lie in the file itself, got one in another; copy it into one")
    kind = item.attrs.get("MATLAB_class", b"")
    if kind in (b"char", b"cell", b"struct", b"table") or (
        item.dtype.kind == "O" and h5py.check_string_dtype(item.dtype) is None
    ):
        what = kind.decode() or "references"
        raise BadData(
            f"{name} in {path} must be numbers or texts, got {what}; number it, or save it in MATLAB with -v7"
        )


def _open_hdf5(path: Path) -> Any:
    import h5py

    return h5py.File(path, "r")


def _measure_matlab(path: Path) -> dict[str, int]:
    """Return the arrays in a file of MATLAB, and how many bytes each has unpacked."""
    from scipy.io import whosmat  # type: ignore[import-untyped]

    return {name: prod(shape) * BYTES.get(kind, 1) for name, shape, kind in whosmat(str(path))}


def _count_unpacked(path: Path) -> int:
    """Count what the packed variables of a MATLAB file unpack to, up to its bound and little more.

    A cell array tells only how many cells it has, and not what is in them.
    """
    total, bound = 0, compute_bound(path)
    with path.open("rb") as file:
        file.seek(MATLAB_HEAD - 2)
        order = "<" if file.read(2) == b"IM" else ">"
        while len(tag := file.read(8)) == 8:
            kind, left = struct.unpack(f"{order}II", tag)
            if kind != MATLAB_PACKED:
                file.seek(left, 1)
                continue
            unpacker = zlib.decompressobj()
            while left > 0 and (packed := file.read(min(left, PACKED_PORTION))):
                left -= len(packed)
                while packed and total <= bound:
                    total += len(unpacker.decompress(packed, PORTION))
                    packed = unpacker.unconsumed_tail
    return total


def _read_matlab(path: Path, name: str) -> object:
    from scipy.io import loadmat
    from scipy.sparse import issparse  # type: ignore[import-untyped]

    if max(_measure_matlab(path)[name], _count_unpacked(path)) > compute_bound(path):
        raise explain_bomb(path)
    array = loadmat(str(path), variable_names=[name])[name]
    return array.toarray() if issparse(array) else _name_texts(array)


def _name_texts(array: np.ndarray) -> np.ndarray:
    """Return texts of any length, and a cell array of MATLAB that holds a text in each cell, as texts [n]."""
    if array.dtype.kind != "O":
        return array
    texts = [cell.item() if isinstance(cell, np.ndarray) and cell.size == 1 else cell for cell in array.flat]
    return np.array(texts) if all(isinstance(text, str) for text in texts) else array
