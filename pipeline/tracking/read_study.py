"""A study as MLflow recorded it, for notebooks and other programs: the search's own storage is not needed."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline.errors import BadInput
from pipeline.measures import Point
from pipeline.search.results import EPOCHS, Confirmation, Results, Tried
from pipeline.tracking.model_references import OVERRIDES

ACCURACY, COSTS, TEST, PAID = (
    "train/validation_accuracy",
    ("gpu_seconds", "cpu_seconds"),
    "evaluate/test_accuracy",
    "paid_device_seconds",
)
CONFIRM, SEED = "confirm", "train.seed"


def studies(client: MlflowClient, experiment: str) -> list[str]:
    """Names of the studies with a finished trial in the experiment of that name, the newest last."""
    found = (run for run in _runs(client, experiment, "tags.trial_state LIKE '%'"))
    newest = {run.data.tags["study"]: run.info.start_time for run in found if "study" in run.data.tags}
    return sorted(newest, key=lambda name: int(newest[name]))


def results(client: MlflowClient, experiment: str, study: str | None = None) -> Results:
    """The trials of a study that have ended, by number; of the newest study where no name is given.

    `params` are the settings that their command lines differ in, but for how long they train.

    Raises:
        BadInput: there is no such study.
    """
    known = studies(client, experiment)
    if not known or study not in {None, *known}:
        there, got = ", ".join(known) or "none", study or "nothing"
        raise BadInput(
            f"a study must be one of those in the experiment {experiment} ({there}), got {got}; "
            "begin one with: python -m pipeline sweep"
        )
    name = study or known[-1]
    quote = '"' if "'" in name else "'"
    runs = _runs(client, experiment, f"tags.trial_state LIKE '%' AND tags.study = {quote}{name}{quote}")
    trials = sorted(
        (run for run in runs if "role" not in run.data.tags), key=lambda run: int(run.data.tags["trial"])
    )
    params = _differing([_words(run) for run in trials])
    again = _confirmed(run for run in runs if run.data.tags.get("role") == CONFIRM)
    tried = tuple(_tried(client, run, own, again) for run, own in zip(trials, params, strict=True))
    return Results(name, trials[0].data.params.get("data", "") if trials else "", tried)


def _runs(client: MlflowClient, experiment: str, condition: str) -> list[Run]:
    known = client.get_experiment_by_name(experiment)
    found: list[Run] = []
    token: str | None = None
    while known:
        page = client.search_runs([known.experiment_id], condition, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            break
    return found


def _words(run: Run) -> dict[str, str]:
    """What the run's command line sets, as text."""
    words = json.loads(run.data.tags.get(OVERRIDES, "[]"))
    pairs = (word.partition("=") for word in words)
    return {key: value for key, _, value in pairs if key != EPOCHS}


def _differing(words: Sequence[Mapping[str, str]]) -> list[dict[str, object]]:
    """Of each trial the keys that some other has not, or has with another value."""
    keys = dict.fromkeys(key for each in words for key in each)
    own = [key for key in keys if len({each.get(key) for each in words}) > 1]
    return [{key: _value(each[key]) for key in own if key in each} for each in words]


def _tried(
    client: MlflowClient, run: Run, params: dict[str, object], again: Mapping[int, dict[int, Confirmation]]
) -> Tried:
    tags, metrics, number = run.data.tags, run.data.metrics, int(run.data.tags["trial"])
    curve = _curve(client, run)
    return Tried(
        number=number,
        run_id=str(run.info.run_id),
        command=tags.get("command", ""),
        params=params,
        curve=curve,
        fair_midway=tags.get("fair_midway") == "true",
        state=tags["trial_state"],
        reason=tags.get("reason", ""),
        paid_seconds=metrics.get(PAID, curve[-1].device_seconds if curve else 0.0),
        device=tags.get("device", ""),
        confirmations=again.get(number, {}),
    )


def _curve(client: MlflowClient, run: Run) -> tuple[Point, ...]:
    cost = _cost(run)
    if cost is None:
        return ()
    accuracies, costs = (_by_step(client, run, key) for key in (ACCURACY, cost))
    return tuple(Point(accuracies[epoch], costs[epoch]) for epoch in sorted(accuracies) if epoch in costs)


def _cost(run: Run) -> str | None:
    return next((key for key in COSTS if key in run.data.metrics), None)


def _by_step(client: MlflowClient, run: Run, key: str) -> dict[int, float]:
    return {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, key)}


def _confirmed(runs: Iterable[Run]) -> dict[int, dict[int, Confirmation]]:
    """By trial and epoch; what was trained again but did not end well counts for nothing."""
    found: dict[tuple[int, int], list[tuple[int, float, float, float]]] = defaultdict(list)
    for run in runs:
        metrics, params, cost = run.data.metrics, run.data.params, _cost(run)
        if run.data.tags["trial_state"] == "complete" and cost and {"accuracy", TEST} <= metrics.keys():
            key = int(run.data.tags["trial"]), int(params[EPOCHS])
            found[key].append((int(params[SEED]), metrics["accuracy"], metrics[TEST], metrics[cost]))
    again: dict[int, dict[int, Confirmation]] = defaultdict(dict)
    for (number, epoch), rows in found.items():
        seeds, accuracies, tests, seconds = zip(*sorted(rows), strict=True)
        again[number][epoch] = Confirmation(seeds, accuracies, tests, seconds)
    return again


def _value(text: str) -> object:
    """A value as the number that it is, else as the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
