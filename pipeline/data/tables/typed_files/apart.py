"""Tables that libraries in C and Rust read: in a process of its own, with bounded memory and time.

Such a library takes as much memory as a file says, or ends the process it runs in. The one that asks goes on
and refuses the file in one line.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa

from pipeline.data.readers.compression import compute_bound
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Finding, Findings
from pipeline.data.tables.cells import CellTable, collect_batches
from pipeline.errors import BadData
from pipeline.processes.environment import make_import_path

FEWEST_SECONDS, BYTES_PER_SECOND = 120, 10_000
"""Of a CPU: so many for any file, and one more for so many bytes."""
MEMORY_PER_BYTE = 2
"""So much a byte that a file may unpack to takes in memory: its library has cells of its own, too."""
ABOUT, LINES = b"about", "lines"
Read = Callable[..., CellTable]
"""Is called with path, scratch, findings, and words that JSON can hold."""


def read_apart(
    read: Read, path: Path, scratch: ScratchSpace, findings: Findings, *words: object
) -> CellTable:
    """Return what a function of a module reads.

    Raises:
        BadData: it does, or the file ends the process, or takes more memory or time than it may.
    """
    bound = MEMORY_PER_BYTE * compute_bound(path)
    request = [read.__module__, read.__name__, str(path), bound, words]
    try:
        with _start(json.dumps(request)) as process:
            return _receive(process.stdout, scratch, findings)
    except (pa.ArrowException, OSError) as error:  # there is no stream, or no end of it
        if getattr(error, "errno", None):  # the system's: such as a disk that is full
            raise
        raise BadData(
            f"{path} must be a whole file that is read within {bound / 2**30:.3g} GiB of memory, got one "
            "that ended its reader, as damaged files do and those made to fill a machine; save it as "
            "CSV where it comes from"
        ) from None


@contextmanager
def _start(request: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the process for the block; it may still be at work at its end."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, request],
        env={**os.environ, "PYTHONPATH": make_import_path(), "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _receive(stream: Any, scratch: ScratchSpace, findings: Findings) -> CellTable:
    batches = pa.ipc.open_stream(stream)
    about = json.loads(batches.schema.metadata[ABOUT])
    if about["error"] is not None:
        raise BadData(about["error"])
    for finding in (Finding(**plain) for plain in about["findings"]):
        findings.add(finding.thing, finding.text, finding.example, finding.count)
    lines = [np.zeros(0, np.int64)]

    def take_lines_off() -> Iterator[Any]:
        for batch in batches:
            lines.append(batch.column(LINES).to_numpy())
            yield batch.drop_columns([LINES])

    schema = pa.schema([field for field in batches.schema if field.name != LINES])
    content = collect_batches(schema, take_lines_off(), scratch)
    return CellTable(names=tuple(about["names"]), content=content, lines=np.concatenate(lines))


def _limit(size: int, seconds: int) -> None:
    """Limit the memory that this process takes from now on, and its time, where the system can."""
    if os.name != "posix":
        return
    import resource

    used = getattr(psutil.Process().memory_info(), "data", None)  # on Linux alone, where the limit is kept
    limits = {resource.RLIMIT_CPU: seconds, resource.RLIMIT_CORE: 0}
    if used is not None:
        limits[resource.RLIMIT_DATA] = used + size
    for kind, limit in limits.items():
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _answer(module: str, name: str, path: Path, words: list[object], out: Any) -> None:
    """Read the table and write it as a stream of Arrow, with what else there is to say in its schema."""
    findings, error = Findings(), None
    table = CellTable(names=(), content=pa.table({}), lines=np.zeros(0, np.int64))
    try:
        read = getattr(import_module(module), name)
        table = read(path, ScratchSpace(Path(), sys.maxsize, path), findings, *words)
    except BadData as refused:
        error = str(refused)
    about = {
        "names": table.names,
        "findings": [asdict(finding) for finding in findings.to_tuple()],
        "error": error,
    }
    content = table.content.append_column(LINES, pa.array(table.lines))
    schema = content.schema.with_metadata({ABOUT: json.dumps(about)})
    with pa.ipc.new_stream(out, schema) as stream:
        stream.write_table(content.replace_schema_metadata(schema.metadata))


def _main(request: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with the one that asks
    module, name, path, bound, words = json.loads(request)
    _limit(bound, FEWEST_SECONDS + Path(path).stat().st_size // BYTES_PER_SECOND)
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what a library prints is no table
        _answer(module, name, Path(path), words, out)


if __name__ == "__main__":
    _main(sys.argv[1])
