"""What packed buffers of an Arrow file unpack to, by the number that stands before each of them.

The library takes as much memory as that number says before it unpacks, so it is looked at beforehand. Places
of fields are those of the format's schemas (Message.fbs, File.fbs of Apache Arrow).
"""

import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from flatbuffers import encode, packer  # type: ignore[import-untyped]
from flatbuffers.number_types import Uint8Flags  # type: ignore[import-untyped]
from flatbuffers.table import Table  # type: ignore[import-untyped]

MAGIC = b"ARROW1"
DICTIONARY, RECORDS = 2, 3
"""Kinds of messages that have buffers."""
KIND, HEADER, DATA, BUFFERS, PACKING, DICTIONARY_BLOCKS, RECORD_BLOCKS = 6, 8, 6, 8, 10, 8, 10
"""Places of fields in the tables of their messages."""
BLOCK = struct.Struct("<qi4xq")
BUFFER = struct.Struct("<qq")
LENGTH = struct.Struct("<q")


def measure_packed(source: Any) -> Iterator[int]:
    """Yield for each message of an Arrow file or stream the bytes of its buffers that are packed, unpacked.

    Raises:
        ArrowException, OSError: it is damaged.
    """
    for message in _read_messages(source):
        yield _measure_message(message)


def _read_messages(source: Any) -> Iterator[Any]:
    source.seek(0)
    if source.read(len(MAGIC)) != MAGIC:
        source.seek(0)
        yield from pa.ipc.MessageReader.open_stream(source)
        return
    for start in _list_blocks(source):
        source.seek(start)
        yield pa.ipc.read_message(source)


def _list_blocks(source: Any) -> list[int]:
    """Return where the messages of a file begin; the library has checked its end."""
    size = source.size()
    source.seek(size - len(MAGIC) - 4)
    (length,) = struct.unpack("<i", source.read(4))
    source.seek(size - len(MAGIC) - 4 - length)
    footer = _open_root(source.read(length))
    starts = []
    for blocks in (DICTIONARY_BLOCKS, RECORD_BLOCKS):
        if field := footer.Offset(blocks):
            first, count = footer.Vector(field), footer.VectorLen(field)
            starts += [
                BLOCK.unpack_from(footer.Bytes, first + BLOCK.size * number)[0] for number in range(count)
            ]
    return starts


def _open_root(content: bytes) -> Table:
    return Table(content, encode.Get(packer.uoffset, content, 0))


def _measure_message(message: Any) -> int:
    about = _open_root(message.metadata.to_pybytes())
    kind = about.Get(Uint8Flags, about.Pos + about.Offset(KIND)) if about.Offset(KIND) else 0
    if kind not in (DICTIONARY, RECORDS):
        return 0
    batch = Table(about.Bytes, about.Indirect(about.Pos + about.Offset(HEADER)))
    if kind == DICTIONARY:
        batch = Table(batch.Bytes, batch.Indirect(batch.Pos + batch.Offset(DATA)))
    if not batch.Offset(PACKING) or not batch.Offset(BUFFERS):
        return 0
    first, count = batch.Vector(batch.Offset(BUFFERS)), batch.VectorLen(batch.Offset(BUFFERS))
    body, total = memoryview(message.body), 0
    for number in range(count):
        start, size = BUFFER.unpack_from(batch.Bytes, first + BUFFER.size * number)
        if size >= LENGTH.size and 0 <= start <= len(body) - LENGTH.size:
            total += max(size, LENGTH.unpack_from(body, start)[0])  # -1: it is not packed
    return total
