"""What a training loop of the user's own reports after an epoch, checked."""

import math
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import Diverged, LoopFailed
from pipeline.formatting import shorten

ACCURACY, TEST = "accuracy", "test_accuracy"
RECORDED_LOSSES = {"train/loss": "train_loss", "train/validation_loss": "validation_loss"}
"""Losses as MLflow has them, which a loop may write, too, and as a loop reports them."""
LOSSES = tuple(RECORDED_LOSSES.values())
OURS = re.compile(
    r"(cpu|gpu|paid_device)_seconds|cost_.*|(curve|evaluate|profile|seconds)/.*"
    r"|train/((kept_)?validation_accuracy|core_share|contended_epochs|lost_seconds"
    r"|device_seconds_before|energy_joules|carbon_grams|estimated_(joules|carbon_grams))"
)
"""Metrics that this program measures itself: with a loop's values among them, a record would tell neither."""
_NAME = re.compile(r"[\w\-. /]{1,240}")
STATE = "state"
OBJECTS = ("model", STATE)
"""Names whose values are no numbers."""
ROUNDING = 1e-6
"""By how much an accuracy may lie outside of 0..1: so far off is a mean in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The state after an epoch, as a loop reports it.

    `accuracy`: 0..1; `numbers`: what else was reported, by name, losses and test accuracy among them;
    `model`: to be registered; `state`: to go on from. Both are None where there is none.
    """

    accuracy: float
    numbers: Mapping[str, float]
    model: Any = None
    state: Any = None

    def get_loss(self, name: str) -> float:
        """Return the loss of that name; NaN where none was reported."""
        return self.numbers.get(name, math.nan)


def read_report(item: object, number: int, whose: str) -> Report:
    """Read what a loop reports after epoch `number`: an accuracy, or a mapping with one. `whose`: its key.

    Raises:
        LoopFailed: it is neither, or a value of it is no number.
        Diverged: the accuracy or a loss is NaN or infinite.
    """
    values = item if isinstance(item, Mapping) else {ACCURACY: item}
    where = f"in epoch {number}"
    if isinstance(item, tuple):
        raise LoopFailed(
            f"{whose} must report an accuracy after each epoch, got a tuple of {len(item)} {where}; name its "
            'values: {"accuracy": ..., "train_loss": ...}'
        )
    if ACCURACY not in values:
        names = ", ".join(map(str, values)) or "nothing"
        near = [name for name in values if "acc" in str(name).lower()]
        named = near[0] if near else "it"
        raise LoopFailed(
            f"{whose} must report an accuracy after each epoch, got {names} {where}; "
            f'report {named} as {{"accuracy": ...}}'
        )
    numbers = dict[str, float]()
    for name, value in values.items():
        if name in OBJECTS:
            continue
        text = RECORDED_LOSSES.get(str(name), str(name))
        if text in numbers:
            raise LoopFailed(f"{whose} must report each name once, got {text!r} twice {where}; rename one")
        numbers[text] = _read_number(value, text, where, whose)
    for name in (ACCURACY, TEST):
        if name in numbers:
            numbers[name] = _read_share(numbers[name], name, where, whose)
    accuracy = numbers.pop(ACCURACY)
    return Report(accuracy=accuracy, numbers=numbers, model=values.get("model"), state=values.get("state"))


def _read_share(value: float, name: str, where: str, whose: str) -> float:
    if not -ROUNDING <= value <= 1 + ROUNDING:
        remedy = f"report {value / 100:g} for {value:g} %" if 1 < value <= 100 else "report a share"
        raise LoopFailed(f"{whose}: {name} must be >= 0 and <= 1, got {value:g} {where}; {remedy}")
    return min(1.0, max(0.0, value))


def _read_number(value: object, name: str, where: str, whose: str) -> float:
    """Return a number of Python, numpy or any framework as a float."""
    plain = value
    try:
        plain = value.item() if hasattr(value, "item") else value
        if plain is None or isinstance(plain, str | bytes | bool):
            raise TypeError
        number = float(plain)  # type: ignore[arg-type]
    except Exception:  # what the classes of a framework raise
        got = repr(plain) if isinstance(plain, str | bytes | bool | None) else type(plain).__name__
        inside = next(iter(value), "") if isinstance(value, Mapping) else ""
        remedy = "report a float" if name == ACCURACY else "report a float, or leave it out"
        remedy = f"report {name}/{inside}" if inside else remedy
        raise LoopFailed(f"{whose}: {name} must be a number, got {got[:60]} {where}; {remedy}") from None
    is_path = posixpath.normpath(name) == name and not name.startswith((".", "/"))  # as MLflow has them
    if not _NAME.fullmatch(name) or not is_path:
        raise LoopFailed(
            f"{whose}: a name must have letters, digits, spaces or any of _ - . / within, got "
            f"{shorten(name, 60)!r} {where}; rename it"
        )
    if OURS.fullmatch(name):
        raise LoopFailed(
            f"{whose}: {shorten(name, 60)} must be left to this program, which records it itself, got one "
            f"{where}; rename it"
        )
    if name in (ACCURACY, TEST, *LOSSES) and not math.isfinite(number):
        remedy = "leave it out" if name == TEST else "train with a smaller learning rate"
        raise Diverged(f"{whose}: {name} must be finite, got {number} {where}; {remedy}")
    return number
