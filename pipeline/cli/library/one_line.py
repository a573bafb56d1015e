"""Errors of the functions: what a person can correct has one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.cli import explain_error
from pipeline.errors import FulcrumError
from pipeline.secrets import mask


@contextmanager
def raising_one_line() -> Iterator[None]:
    """Raise what a user can correct, and what the disk or a database refuses, as one class with one line."""
    try:
        yield
    except Exception as error:
        one_line = error if isinstance(error, FulcrumError) else explain_error(error)
        if one_line is None:
            raise
        one_line.args = (mask(str(one_line)), *one_line.args[1:])
        raise one_line from None
