"""What a function runs in its own module: whether it goes on from a state, and a hash of it."""

import functools
import types
from typing import Any

import pytest

from pipeline.settings.importing import reachable_code
from tests.support import my_loops, odd_loops

RESUMING = ("resuming", "Trainer", "called", "part", "wrapped", "named", "by_item", "by_get", "helped")


@pytest.mark.parametrize("name", RESUMING)
def test_whether_a_loop_goes_on_is_read_from_all_that_it_runs(name: str) -> None:
    assert reachable_code.resumes(getattr(odd_loops, name))


@pytest.mark.parametrize("function", [odd_loops.stateless, odd_loops.modelled, my_loops.short, print])
def test_a_loop_that_reads_no_state_begins_anew(function: Any) -> None:
    assert not reachable_code.resumes(function)


CELL = """
RATE = 0.1

def helper(settings):
    return settings.width * RATE

def train(settings, more=1):
    for epoch in range(3):
        yield helper(settings)
"""


def hash_cell(text: str, name: str = "train") -> str:
    """Hash the function of a cell, typed in a module that has no file."""
    module = types.ModuleType("cell")
    exec(compile(text, f"cell-{len(text)}", "exec"), module.__dict__)
    return reachable_code.hash_functions(getattr(module, name))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("range(3)", "range(4)"),
        ("RATE = 0.1", "RATE = 0.2"),
        ("width * R", "width + R"),
        ("more=1", "more=2"),
    ],
)
def test_the_hash_of_a_cell_tells_each_change_of_what_runs(old: str, new: str) -> None:
    same = [hash_cell(CELL), hash_cell("# a comment\n\n" + CELL), hash_cell(CELL + "OTHER = 1\n")]
    assert len(set(same)) == 1
    assert hash_cell(CELL.replace(old, new)) != same[0]


def test_the_values_of_a_partial_are_part_of_it() -> None:
    parts = [functools.partial(odd_loops.resuming, step=step) for step in (1, 1, 2)]
    first, again, other = map(reachable_code.hash_functions, parts)
    assert first == again != other
