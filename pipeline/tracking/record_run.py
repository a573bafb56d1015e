"""The run of one command: it is opened or adopted, held while the block works, and ends as the block does."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import fluent

from pipeline import signals
from pipeline.errors import RecordDeleted
from pipeline.hardware.device import ClaimedDevice
from pipeline.settings.command_line import CommandLine
from pipeline.tracking import mlflow_runs, mlflow_store
from pipeline.tracking.registry import names
from pipeline.tracking.run_recorder import RunRecorder
from pipeline.tracking.runs import adopted_run, command_record, orphans, owner_tags, run_ends
from pipeline.tracking.runs.params import make_params, make_run_name
from pipeline.tracking.runs.run_lease import RunLease


@contextmanager
def record_run(
    command_line: CommandLine, stage: str, device: ClaimedDevice, run_id: str | None = None
) -> Iterator[RunRecorder]:
    """Open a run that ends as the block does: FINISHED, FAILED or KILLED.

    `run_id` names a run to add to: its status, its owner and its device stay those of its training, also
    where this process is killed. Else the run that `mlflow run` opened is adopted, or one is opened.

    Raises:
        BadSetting: `tracking.tags` names a parent that is no run, `tracking.register` a prompt.
        RecordDeleted: somebody has deleted the run meanwhile.
    """
    client = mlflow_store.open_store()
    mlflow_runs.check_user_tags(client, command_line)
    if model := command_line.settings.tracking.register:
        names.check_name(client, "tracking.register", model)
    orphans.end_orphans(client)
    status_before = client.get_run(run_id).info.status if run_id else None
    status, recorder, outer = "FAILED", None, mlflow.active_run()
    with signals.hold_back():  # what is begun here has an end, wherever a signal falls
        try:
            target, measure = run_id or _open_run(client, command_line, stage), command_line.settings.measure
            recorder = RunRecorder(client, target, device.kind, measure)
            recorder.nested_tags = mlflow_runs.make_user_tags(command_line, nested=True)
            if run_id is None:
                _describe(recorder, command_line, stage, device)
                _activate(recorder.run_id, is_nested=outer is not None)
            with signals.let_through(), RunLease(client, *([] if run_id else [recorder.run_id])):
                yield recorder
            status = "FINISHED"
        except MlflowException as error:
            if recorder is None or not mlflow_runs.is_deleted(client, recorder.run_id):
                raise
            raise RecordDeleted(
                f"the MLflow run {recorder.run_id} was deleted while it was written, so {stage} ended; "
                "restore it in the UI, or give the command again"
            ) from error
        except BaseException as error:
            if signals.is_stop(error):
                status = "KILLED"
            raise
        finally:
            if recorder is not None:
                _end(recorder, outer, None if run_id else status)
                run_ends.note_end(
                    recorder.run_id, status_before or status, status == "FINISHED", status_before is not None
                )


def _activate(run_id: str, is_nested: bool) -> None:
    """Make the run the active one, also where a program has called `mlflow.set_experiment` for another."""
    before, fluent._active_experiment_id = fluent._active_experiment_id, None
    try:
        mlflow.start_run(run_id=run_id, nested=is_nested)
    finally:
        fluent._active_experiment_id = before


def _end(recorder: RunRecorder, outer: mlflow.ActiveRun | None, status: str | None) -> None:
    """Send what waits, and end the run; where it was deleted there is nothing to end.

    `status`: None for a run that was added to.
    """
    waiting = mlflow_store.wait_no_more(sys.exception())
    with waiting, mlflow_runs.unless_deleted(recorder.client, recorder.run_id):
        try:
            recorder.flush()
        finally:
            if recorder.run_id not in _end_active(outer, status or "FINISHED") and status:
                recorder.client.set_terminated(recorder.run_id, status=status)
        if status not in (None, "FINISHED"):
            mlflow_runs.fail_models(recorder.client, recorder.experiment_id, recorder.run_id)


def _end_active(outer: mlflow.ActiveRun | None, status: str) -> list[str]:
    """End what is open in this thread, but for the run that a program had open before; return the ids.

    By the stack itself and in no `with`, whose entry or exit a signal could tear: when Python exits, MLflow
    ends whatever is left there as FINISHED.
    """
    ended = []
    while (active := mlflow.active_run()) is not None and active is not outer:
        mlflow.end_run(status)
        ended.append(active.info.run_id)
    return ended


def _describe(recorder: RunRecorder, command_line: CommandLine, stage: str, device: ClaimedDevice) -> None:
    """Write the params and tags that are known before the work."""
    tags = {"device": device.name, **owner_tags.make_owner_tags(), "stage": stage}
    if device.cores:
        tags["cores"] = ",".join(map(str, device.cores))
    tags |= command_record.make_command_tags(command_line, stage)
    tags |= mlflow_runs.make_user_tags(command_line)
    recorder.set_tags(tags)  # first the owner: from here on a killed run is found
    command_record.log_long_command(recorder.client, recorder.run_id, command_line, stage)
    existing = recorder.client.get_run(recorder.run_id).data.params
    mlflow_runs.log_params(recorder.client, recorder.run_id, make_params(command_line), existing)


def _open_run(client: mlflow.MlflowClient, command_line: CommandLine, stage: str) -> str:
    explicit = command_line.settings.tracking.run_name
    name = explicit or make_run_name(command_line, stage)
    experiment = adopted_run.choose_experiment(client, command_line)
    if adopted := adopted_run.adopt_run(client, name, experiment):
        if explicit:
            mlflow_runs.set_tags(client, adopted, {mlflow_runs.RUN_NAME: explicit})
        return adopted
    return mlflow_runs.create_run(client, experiment, name, {})
