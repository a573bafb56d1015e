"""What a running program of the user's tells: the lines that it prints or writes."""

import codecs
import json
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.05


def read_pipe(descriptor: int, is_over: Callable[[], bool]) -> Iterator[bytes]:
    """Yield the lines that a program prints, as they come, until it has ended. `is_over`: it has."""
    rest = b""
    while True:
        ready, _, _ = select.select([descriptor], [], [], POLL_SECONDS)
        if not ready:
            if not is_over():
                continue
            break  # something that it has started still holds the pipe
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            break
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    if rest:
        yield rest


def read_file(path: Path, is_over: Callable[[], bool]) -> Iterator[bytes]:
    """Yield the lines that a program writes into a file, as they come, until it has ended."""
    rest, offset = b"", 0
    while True:
        has_ended = is_over()
        with suppress(FileNotFoundError), path.open("rb") as file:
            file.seek(offset)
            piece = file.read()
            offset += len(piece)
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
        if has_ended:
            break
        time.sleep(POLL_SECONDS)
    if rest:
        yield rest


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Return what a line of JSON says; None where it is another line."""
    line = line.removeprefix(codecs.BOM_UTF8)
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None
