"""A study as MLflow recorded it, for notebooks and other programs: the search's own storage is not needed."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from pipeline.errors import BadInput, read_first_line
from pipeline.measures import Point
from pipeline.search.estimation.validation_split import ValidationSplit
from pipeline.search.results import Results
from pipeline.search.storage.our_studies import OBJECTIVE_NAMES
from pipeline.search.study_trial import Confirmation, StudyTrial
from pipeline.search.trial_rows import REMARKS, VALIDATION, group_seeds, make_points, read_kinds
from pipeline.settings.command_line import EPOCHS, SEED
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure, find_measure
from pipeline.settings.searching.objectives import FIRST, ObjectiveKind
from pipeline.tracking.metrics.curve import make_kept_metric
from pipeline.tracking.mlflow_runs import quote, search_runs
from pipeline.tracking.runs.command_record import read_overrides
from pipeline.tracking.study_runs import CONFIRMED_RUN, ROLE, TRIAL
from pipeline.tracking.study_view import counts_as_ended

T = TypeVar("T")
COSTS, PAID = ("gpu_seconds", "cpu_seconds"), "paid_device_seconds"
CONFIRM = "confirm"


def find_run(client: MlflowClient, run_id: str) -> Run:
    """Find a run by its id.

    Raises:
        BadInput: the store has none.
    """
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        raise BadInput(
            f"a run must be one that the store has, got {run_id!r} ({read_first_line(error)}); "
            "see the runs with: python -m pipeline ui"
        ) from None


def list_studies(client: MlflowClient, experiment: str) -> list[str]:
    """List the studies with a finished trial in the experiment of that name, the newest last."""
    runs = (run for run in _search_runs(client, experiment, "tags.trial_state LIKE '%'"))
    newest = {run.data.tags["study"]: run.info.start_time for run in runs if "study" in run.data.tags}
    return sorted(newest, key=lambda name: int(newest[name]))


def read_results(client: MlflowClient, experiment: str, study: str | None = None) -> Results:
    """Read the trials of a study that have ended, by number; of the newest study where none is named.

    `params` are the settings that their command lines differ in, but for how long they train.

    Raises:
        BadInput: there is no such study.
    """
    studies = list_studies(client, experiment)
    if not studies or study not in {None, *studies}:
        listed, got = ", ".join(studies) or "none", study or "nothing"
        raise BadInput(
            f"a study must be one of those in the experiment {experiment} ({listed}), got {got}; "
            "begin one with: python -m pipeline sweep"
        )
    name = study or studies[-1]
    runs = _search_runs(client, experiment, f"tags.trial_state LIKE '%' AND tags.study = {quote(name)}")
    trials = sorted(
        (run for run in runs if counts_as_ended(run.data.tags)), key=lambda run: int(run.data.tags["trial"])
    )
    params = _select_differing([_read_overrides(client, run) for run in trials])
    names = _read_study_tag(client, experiment, name, OBJECTIVE_NAMES)
    further = read_kinds(name, names or FIRST)
    confirming = _select_confirming(runs, trials)
    measure = find_measure(_read_objective(client, experiment, name))
    confirmations = _read_confirmations(client, confirming, further, measure)
    failed = group_seeds(
        (int(run.data.tags["trial"]), int(run.data.params[EPOCHS]), int(run.data.params[SEED]))
        for run in confirming
        if run.data.tags["trial_state"] == "failed"
    )
    study_trials = tuple(
        _read_trial(client, run, values, (confirmations, failed), (further, measure))
        for run, values in zip(trials, params, strict=True)
    )
    return Results(
        study=name,
        data=trials[0].data.params.get("data", "") if trials else "",
        trials=study_trials,
        objective=measure.name,
        split=ValidationSplit.read(_read_study_tag(client, experiment, name, VALIDATION)),
        remarks=tuple(_read_study_tag(client, experiment, name, REMARKS) or ()),
        further=further,
        confirming_seconds=sum(run.data.metrics.get(PAID, 0.0) for run in confirming),
    )


def _select_confirming(runs: Iterable[Run], trials: Iterable[Run]) -> list[Run]:
    """Select the confirmations, without those of another trial that had the number of one of these before.

    Those of earlier releases know but the number.
    """
    run_ids = {run.data.tags[TRIAL]: run.info.run_id for run in trials}
    selected = []
    for run in runs:
        tags = run.data.tags
        if tags.get(ROLE) == CONFIRM:
            of_number = run_ids.get(tags[TRIAL])  # None: a trial of the study that this one is a copy of
            if of_number is None or tags.get(CONFIRMED_RUN, of_number) == of_number:
                selected.append(run)
    return selected


def _read_study_tag(client: MlflowClient, experiment: str, study: str, tag: str) -> Any:
    """Read what a tag of the study's run says, of the validation split for one; None where nothing."""
    runs = _search_runs(client, experiment, f"tags.study = {quote(study)} AND tags.{tag} LIKE '%'")
    return json.loads(runs[-1].data.tags[tag]) if runs else None


def _read_objective(client: MlflowClient, experiment: str, study: str) -> str:
    """Read which measure the study's run names; accuracy where there is no such run any more."""
    runs = _search_runs(client, experiment, f"tags.study = {quote(study)} AND tags.objective LIKE '%'")
    return str(runs[-1].data.tags["objective"]) if runs else ACCURACY_MEASURE.name


def _search_runs(client: MlflowClient, experiment: str, condition: str) -> list[Run]:
    recorded = client.get_experiment_by_name(experiment)
    return list(search_runs(client, [recorded.experiment_id], condition)) if recorded else []


def _read_overrides(client: MlflowClient, run: Run) -> dict[str, str]:
    """Read what the run's command line sets, as text."""
    return read_overrides(client, run).without(EPOCHS).to_dict()


def _select_differing(lines: Sequence[Mapping[str, str]]) -> list[dict[str, object]]:
    """Select of each trial the keys that another trial lacks, or has with another value."""
    keys = dict.fromkeys(key for line in lines for key in line)
    differing = [key for key in keys if len({line.get(key) for line in lines}) > 1]
    return [{key: _parse_value(line[key]) for key in differing if key in line} for line in lines]


def _read_trial(
    client: MlflowClient,
    run: Run,
    params: dict[str, object],
    new_seeds: Sequence[Mapping[int, Mapping[int, Any]]],
    kinds: tuple[Sequence[ObjectiveKind], Measure],
) -> StudyTrial:
    """Read a trial. `new_seeds`: what they reached, and those that failed, by trial and epochs."""
    tags, metrics, number = run.data.tags, run.data.metrics, int(run.data.tags["trial"])
    curve = read_curve(client, run, *kinds)
    confirmations, failed = (_clip_epochs(by_trial.get(number, {}), len(curve)) for by_trial in new_seeds)
    return StudyTrial(
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
        confirmations=confirmations,
        failed_seeds=failed,
    )


def _clip_epochs(by_epochs: Mapping[int, T], count: int) -> dict[int, T]:
    """Return by epoch what is told by the epochs of commands: one that ran out of patience asked for more."""
    return {min(epochs, count): value for epochs, value in by_epochs.items()}


def read_curve(
    client: MlflowClient, run: Run, further: Sequence[ObjectiveKind], measure: Measure
) -> tuple[Point, ...]:
    """Read what a run had reached after each epoch; nothing of a run that has not trained."""
    cost = _find_cost_metric(run)
    if cost is None:
        return ()
    reached = make_kept_metric(measure)
    if reached not in run.data.metrics:
        reached = f"train/validation_{measure.metric}"
    accuracies, costs = (_read_history(client, run, key) for key in (reached, cost))
    pairs = [(accuracies[epoch], costs[epoch]) for epoch in sorted(accuracies) if epoch in costs]
    return make_points(pairs, _read_further(client, run, further), further)


def _read_further(client: MlflowClient, run: Run, further: Sequence[ObjectiveKind]) -> dict[str, list[float]]:
    """Read the values of each further objective: after each epoch, or one for all of them."""
    histories = {kind: _read_history(client, run, kind.metric) for kind in further}
    return {
        kind.name: [kind.scale * value for _, value in sorted(history.items())]
        for kind, history in histories.items()
    }


def _find_cost_metric(run: Run) -> str | None:
    return next((key for key in COSTS if key in run.data.metrics), None)


def _read_history(client: MlflowClient, run: Run, key: str) -> dict[int, float]:
    return {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, key)}


def _read_confirmations(
    client: MlflowClient, runs: Iterable[Run], further: Sequence[ObjectiveKind], measure: Measure
) -> dict[int, dict[int, Confirmation]]:
    """Read the confirmations by trial and epoch; those that did not complete count for nothing.

    Of two with one seed, as where the study was put back from a copy in between, the newer counts, which is
    the first of `runs`.
    """
    rows_by_key: dict[tuple[int, int], dict[int, tuple[int, float, float, float, tuple[float, ...]]]] = (
        defaultdict(dict)
    )
    name, test = measure.metric, f"evaluate/test_{measure.metric}"
    for run in runs:
        metrics, params, cost = run.data.metrics, run.data.params, _find_cost_metric(run)
        if run.data.tags["trial_state"] == "complete" and cost and name in metrics:
            key, seed = (int(run.data.tags["trial"]), int(params[EPOCHS])), int(params[SEED])
            values = {name: row[-1:] for name, row in _read_further(client, run, further).items()}
            (point,) = make_points([(metrics[name], metrics[cost])], values, further)
            row = (seed, point.accuracy, metrics.get(test, math.nan), point.device_seconds, point.further)
            rows_by_key[key].setdefault(seed, row)
    confirmations: dict[int, dict[int, Confirmation]] = defaultdict(dict)
    for (number, epoch), rows in rows_by_key.items():
        seeds, accuracies, tested, seconds, costs = zip(*sorted(rows.values()), strict=True)
        tested = () if any(map(math.isnan, tested)) else tested  # a loop of the user's own need not read it
        confirmations[number][epoch] = Confirmation(seeds, accuracies, tested, seconds, costs)
    return confirmations


def _parse_value(text: str) -> object:
    """Parse a value as the number that it is, else as the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
