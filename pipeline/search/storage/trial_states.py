"""What a row of a study says of its trial: why it is there, whether it counts, how it ended."""

from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from pipeline.search.storage.our_studies import FURTHER, OUTCOME, is_our_row

REQUEUES, SURPLUS, WORDS, TURN = "requeues", "surplus", "words", "turn"
DEATHS, SPENT = "deaths", "spent_seconds"
"""How often the process of a trial has died before this try; device-seconds that an interrupted try spent."""
MAX_DEATHS = 2
"""A trial whose process has died so often has failed: it would take the next one along, too."""


def read_end(outcome: Mapping[str, Any]) -> tuple[TrialState, tuple[float, ...]]:
    """Return the state and the values, in the order of the study's objectives, of an outcome."""
    if outcome["state"] == "complete" and outcome["curve"]:
        _, device_seconds, accuracy = outcome["curve"][-1]
        further = (values[-1] for values in outcome.get(FURTHER, {}).values())
        return TrialState.COMPLETE, (accuracy, device_seconds, *further)
    return TrialState.PRUNED if outcome["state"] == "paused" else TrialState.FAIL, ()


def is_trial(row: FrozenTrial) -> bool:
    """Return whether a row of ours is neither left over from a race nor a place in a queue."""
    return is_our_row(row) and not {SURPLUS, TURN} & row.user_attrs.keys()


def is_last_death(row: FrozenTrial) -> bool:
    """Return whether a trial has failed, should its process end now."""
    return int(row.user_attrs.get(DEATHS, 0)) + 1 >= MAX_DEATHS


def is_interrupted(row: FrozenTrial) -> bool:
    """Return whether a trial has ended and came to nothing: its process did, or another program ended it.

    A person can tell Optuna's dashboard any values for a trial that runs: they were not measured.
    """
    return row.state.is_finished() and OUTCOME not in row.user_attrs
