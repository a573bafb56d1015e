"""What a study keeps of its trials, as plain values, and what it has come to, read back from them."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial

from pipeline.measures import Point
from pipeline.search.job import Ended
from pipeline.search.results import Confirmation, Results, Tried
from pipeline.search.space import Value
from pipeline.search.study_store import OUTCOME, Ledger, is_interrupted
from pipeline.settings.command_line import CommandLine
from pipeline.settings.settings import flatten

CONFIRM = "confirm"
"""Attribute of a row of `Ledger.afterwards`: the trial, epoch and seed that it confirms."""

Key = tuple[int, int, int]


def outcome(told: CommandLine, run_id: str | None, ended: Ended, keys: Sequence[str]) -> dict[str, Any]:
    """What is kept of a trial. `keys`: those that are searched."""
    curve = ended.curve
    return {
        "state": ended.state,
        "reason": ended.reason,
        "run_id": run_id,
        "command": told.command_line("run"),
        "params": searched(told, keys),
        "curve": [
            [number, round(point.device_seconds, 9), round(point.accuracy, 9)]
            for number, point in enumerate(ended.points, start=1)
        ],
        "fair_midway": told.settings.schedule.fair_midway,
        "paid_seconds": ended.paid_seconds,
        "device": curve.device if curve else "",
        "ended": time.time(),
        "latency_p99_ms": ended.latency_p99_ms,
        "parameters": ended.parameters,
        "test_accuracy": ended.test_accuracy,
    }


def searched(told: CommandLine, keys: Sequence[str]) -> dict[str, Value]:
    """What a trial has of the searched keys: the option of a group, or a setting; those that apply."""
    flat = dict(flatten(told.settings))
    found = {key: told.choices.get(key, flat.get(key)) for key in keys}
    return {key: value for key, value in found.items() if value is not None}  # type: ignore[misc]


def results(ledger: Ledger, data: str) -> Results:
    """What the study has come to; the trials in the order in which they ended."""
    confirmed = _confirmations(_ended(ledger.afterwards().trials()))
    rows = sorted(_ended(ledger.trials()), key=lambda row: (row.user_attrs[OUTCOME]["ended"], row.number))
    tried = tuple(_tried(row, confirmed.get(row.number, {})) for row in rows)
    return Results(ledger.name, data, tried, ledger.attrs().get("about", {}).get("objective", "accuracy"))


def _ended(rows: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    return [row for row in rows if row.state.is_finished() and not is_interrupted(row)]


def _tried(row: FrozenTrial, confirmed: Mapping[int, Confirmation]) -> Tried:
    kept = row.user_attrs[OUTCOME]
    curve = tuple(Point(accuracy, seconds) for _, seconds, accuracy in kept["curve"])
    return Tried(
        row.number,
        kept["run_id"],
        kept["command"],
        kept["params"],
        curve,
        kept["fair_midway"],
        kept["state"],
        kept["reason"],
        kept["paid_seconds"],
        kept["device"],
        confirmed,
    )


def confirms(row: FrozenTrial) -> Key | None:
    """Trial, epoch and seed that the row is about; None for rows about something else."""
    told = row.user_attrs.get(CONFIRM)
    return (told["trial"], told["epoch"], told["seed"]) if told else None


def _confirmations(rows: Sequence[FrozenTrial]) -> dict[int, dict[int, Confirmation]]:
    """By trial and epoch."""
    found: dict[int, dict[int, dict[int, Mapping[str, Any]]]] = {}
    for row in rows:
        key, kept = confirms(row), row.user_attrs[OUTCOME]
        if key and kept["state"] == "complete" and kept["test_accuracy"] is not None:
            number, epoch, seed = key
            found.setdefault(number, {}).setdefault(epoch, {})[seed] = kept
    return {
        number: {epoch: _confirmation(seeds) for epoch, seeds in epochs.items()}
        for number, epochs in found.items()
    }


def _confirmation(by_seed: Mapping[int, Mapping[str, Any]]) -> Confirmation:
    seeds = sorted(by_seed)
    ends = [by_seed[seed]["curve"][-1] for seed in seeds]
    return Confirmation(
        tuple(seeds),
        tuple(accuracy for _, _, accuracy in ends),
        tuple(by_seed[seed]["test_accuracy"] for seed in seeds),
        tuple(device_seconds for _, device_seconds, _ in ends),
    )
