"""A finished study written into MLflow as a sweep writes it, without training anything."""

import json
import time

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from pipeline.search.results import Results
from pipeline.search.study_trial import StudyTrial
from pipeline.tracking import mlflow_store, shared_views, study_view

METRIC = "cpu_seconds"


def planted(client: MlflowClient, results: Results, experiment: str, ui_base: str = "http://x") -> str:
    """Runs of a study, its line and its views; the link."""
    experiment_id = mlflow_store.find_or_create_experiment(client, experiment)
    unit = shared_views.choose_cost_unit(min(point.device_seconds for point in results.points))
    parent = client.create_run(
        experiment_id, run_name=results.study, tags={"study": results.study}
    ).info.run_id
    for tried in results.trials:
        write(client, experiment_id, parent, results, tried, unit)
    name, now = shared_views.make_cost_metric(METRIC, unit), int(time.time() * 1000)
    for mark in study_view.make_marks(results, unit):
        tags = {"mlflow.parentRunId": parent, "study": results.study, **mark.tags}
        run = client.create_run(experiment_id, run_name=mark.name, tags=tags).info.run_id
        client.log_batch(run, metrics=[Metric(name, accuracy, now, step) for step, accuracy in mark.points])
        client.set_terminated(run)
    client.set_terminated(parent)
    return study_view.plant_study_views(client, experiment_id, parent, results, METRIC, unit, ui_base)


def write(
    client: MlflowClient,
    experiment_id: str,
    parent: str,
    results: Results,
    tried: StudyTrial,
    unit: tuple[str, float],
) -> str:
    """One trial's run."""
    tags = {
        "mlflow.parentRunId": parent,
        "study": results.study,
        "trial": str(tried.number),
        "trial_state": tried.state,
        "command": tried.command,
        "overrides": json.dumps(tried.command.split()[4:]),
        "device": tried.device,
        "fair_midway": str(tried.fair_midway).lower(),
        **study_view.make_trial_tags(results, tried),
    }
    name = f"{tried.number} {' '.join(map(str, tried.params.values()))}"
    run_id = str(client.create_run(experiment_id, run_name=name).info.run_id)
    now, metrics = int(time.time() * 1000), []
    for epoch, point in enumerate(tried.curve, start=1):
        at_ms = max(1, round(1000 * point.device_seconds))
        metrics += [
            Metric("train/validation_accuracy", point.accuracy, now, epoch),
            Metric(METRIC, point.device_seconds, now, epoch),
            Metric(shared_views.make_curves_metric(), point.accuracy, now, at_ms),
        ]
    if tried.points:
        last = tried.points[-1]
        step = shared_views.round_to_units(last.device_seconds, unit)
        metrics += [
            Metric("accuracy", last.accuracy, now, len(tried.curve)),
            Metric(shared_views.make_cost_metric(METRIC, unit), last.accuracy, now, step),
        ]
    client.log_batch(
        run_id,
        metrics=metrics,
        params=[Param(key, str(value)) for key, value in {"data": results.data, **tried.params}.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    client.set_terminated(run_id, "FAILED" if tried.state == "failed" else "FINISHED")
    return run_id
