"""When Python looks for garbage: seldom while a command starts, later as it does by itself."""

import gc
from collections.abc import Mapping

MANY_OBJECTS = 1_000_000
"""New objects after which Python looks for garbage the first time, if nothing has been trained until then."""

_usual_thresholds: list[tuple[int, int, int]] = []
"""When Python looks otherwise; empty where that holds."""


def collect_late() -> None:
    """Look for no garbage until a training begins, or `MANY_OBJECTS` objects have been made.

    What a command imports stays: to look through it again and again takes a fifth of the time until its first
    trial begins.
    """
    if not _usual_thresholds:
        _usual_thresholds.append(gc.get_threshold())
        gc.set_threshold(MANY_OBJECTS, *_usual_thresholds[0][1:])
        gc.callbacks.append(_end_collecting_late)


def collect_as_usual() -> None:
    """Look for garbage as Python does by itself, but not among what was made until now."""
    if _usual_thresholds:
        gc.callbacks.remove(_end_collecting_late)
        gc.freeze()
        gc.set_threshold(*_usual_thresholds.pop())


def _end_collecting_late(phase: str, _: Mapping[str, int]) -> None:
    if phase == "stop":
        collect_as_usual()
