"""A run that is open during a block and ends as that does, wherever a signal falls."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pipeline import signals
from pipeline.tracking import mlflow_store

T = TypeVar("T")


@contextmanager
def open_during(begin: Callable[[], T], end: Callable[[T, str], object]) -> Iterator[T]:
    """Yield what `begin` opens; `end` is given that and how the block ended: FINISHED, FAILED or KILLED."""
    status, opened = "FAILED", None
    with signals.hold_back():  # what is begun here has an end
        try:
            opened = begin()
            with signals.let_through():
                yield opened
            status = "FINISHED"
        except BaseException as error:
            if signals.is_stop(error):
                status = "KILLED"
            raise
        finally:
            if opened is not None:
                with mlflow_store.wait_no_more(sys.exception()):
                    end(opened, status)
