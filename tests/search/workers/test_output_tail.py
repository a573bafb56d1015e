"""What was written before somebody asks is there, however the threads run."""

import os
from multiprocessing import Pipe

import pytest

from pipeline.search.workers.output_tail import KEPT_BYTES, OutputTail


@pytest.mark.parametrize("attempt", range(20))
def test_all_that_was_written_before_is_read(attempt: int) -> None:
    reader, writer = Pipe(duplex=False)
    output = OutputTail(reader)
    os.write(writer.fileno(), b"w" * 60_000)
    os.write(writer.fileno(), b"the end %d" % attempt)
    assert output.read().endswith(f"the end {attempt}")
    output.clear()
    os.write(writer.fileno(), b"next")
    assert output.read() == "next"
    writer.close()
    assert output.read(wait_seconds=10) == "next"
    assert output.read() == "next", "the pipe is closed"


def test_the_end_of_a_lot_is_kept() -> None:
    reader, writer = Pipe(duplex=False)
    output = OutputTail(reader)
    for _ in range(5):
        os.write(writer.fileno(), b"w" * KEPT_BYTES)
    os.write(writer.fileno(), b"end")
    writer.close()
    assert output.read(wait_seconds=10) == "w" * (KEPT_BYTES - 3) + "end"
