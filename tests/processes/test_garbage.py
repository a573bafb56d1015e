"""When Python looks for garbage."""

import gc

import pytest

from pipeline.processes import garbage


def test_no_garbage_is_looked_for_until_something_trains_or_many_objects_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(garbage, "MANY_OBJECTS", 20_000)
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    try:
        for end in (garbage.collect_as_usual, lambda: [[] for _ in range(30_000)]):
            callbacks = len(gc.callbacks)
            garbage.collect_late()
            garbage.collect_late()
            assert gc.get_threshold() == (20_000, 10, 10)
            ended = end()
            assert gc.get_threshold() == (700, 10, 10)
            assert len(gc.callbacks) == callbacks
            del ended
    finally:
        garbage.collect_as_usual()
        gc.set_threshold(*before)
