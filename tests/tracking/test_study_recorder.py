"""The record of a study: its run ends as what happened."""

from contextlib import nullcontext, suppress

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import Stopped
from pipeline.tracking import mlflow_store
from pipeline.tracking.study_recorder import record_study


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "FINISHED"),
        (ZeroDivisionError(), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (Stopped(), "KILLED"),
    ],
)
def test_the_run_of_a_study_ends_as_the_block_does(error: BaseException | None, status: str) -> None:
    client = mlflow_store.open_store()
    name = f"ends {status} {type(error).__name__}"
    with (
        suppress(ZeroDivisionError, KeyboardInterrupt, Stopped),
        record_study(client, compose([]), name, "cpu", lambda _: nullcontext()) as recorder,
    ):
        assert client.get_run(recorder.run_id).info.status == "RUNNING"
        if error:
            raise error
    assert client.get_run(recorder.run_id).info.status == status
