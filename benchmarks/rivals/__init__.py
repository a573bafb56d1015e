"""Who is timed: one module a family, each run in a process of its own.

A module has `CONTESTANTS`, from a name to a function (problem, steps) -> `Runner`, which raises `Unfit`
where it cannot take the cell.
"""

from collections.abc import Callable
from typing import Protocol

from benchmarks.cells import Cell, Problem

FAMILIES = ("ours", "jax_scan", "torch_loops", "numpy_loop", "keras_fit", "sklearn_fit", "article_loop")


class Unfit(Exception):
    """The contestant does not take part; the text says why."""


class Runner(Protocol):
    """The first `steps` steps of an epoch."""

    def reset(self) -> None:
        """Back to the initial weights and a fresh optimizer; outside the clock."""

    def go(self) -> float:
        """Train; the mean loss of the steps. Returns when the work is done."""


Maker = Callable[[Problem, int], Runner]


def refuse_article(cell: Cell) -> None:
    """For rivals that are compared on the grid alone."""
    if cell.article:
        raise Unfit("the article's network is timed against its own loop only")
