"""What a stopped command says of its run is what is recorded."""

import signal
from collections.abc import Sequence

import pytest

from pipeline import cli
from pipeline.cli.compose import compose
from pipeline.hardware.device import ClaimedDevice
from pipeline.tracking import mlflow_store, record_run
from pipeline.tracking.runs import run_ends

HELD = ClaimedDevice("cpu", "some CPU, 1 core", 1, "/CPU:0")
AGAIN = "; begin it again with: python -m pipeline run train.epochs=3"


@pytest.mark.parametrize(
    ("moment", "is_added_to", "said", "status"),
    [
        ("before", False, AGAIN, None),
        ("within", False, "; its run {run} is recorded as KILLED" + AGAIN, "KILLED"),
        ("at the end", False, "; all of the run {run} is recorded, as FINISHED", "FINISHED"),
        (
            "within",
            True,
            "; the run {run} stays FINISHED, without what was still to be added" + AGAIN,
            "FINISHED",
        ),
        ("at the end", True, "; all of the run {run} is recorded, as FINISHED", "FINISHED"),
    ],
)
def test_a_stopped_command_says_what_its_run_is_recorded_as(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moment: str,
    is_added_to: bool,
    said: str,
    status: str | None,
) -> None:
    client, run_id = mlflow_store.open_store(), None
    if is_added_to:
        with record_run.record_run(compose([]), "run", HELD) as earlier:
            run_id = earlier.run_id
    end = record_run._end

    def stop(now: str) -> None:
        if now == moment:
            signal.raise_signal(signal.SIGTERM)

    def end_stopped(*values: object) -> None:
        stop("at the end")
        end(*values)  # type: ignore[arg-type]

    def run(_command: str, _words: Sequence[str]) -> None:
        nonlocal run_id
        stop("before")
        with record_run.record_run(compose([]), "run", HELD, run_id) as record:
            run_id = record.run_id
            stop("within")

    monkeypatch.setattr(record_run, "_end", end_stopped)
    monkeypatch.setattr(cli, "_run", run)
    assert cli.main(["run", "train.epochs=3"]) == 128 + signal.SIGTERM
    assert capsys.readouterr().err == f"stopped by SIGTERM{said.format(run=run_id)}\n"
    assert status is None or (run_id and client.get_run(run_id).info.status == status)


def test_one_whole_run_of_several_is_not_all_that_was_to_be_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_command: str, _words: Sequence[str]) -> None:
        run_ends.note_end("abc", "FINISHED", is_whole=True)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(cli, "_run", run)
    cli.main(["run", "-m", "train.epochs=3,4"])
    assert capsys.readouterr().err == (
        "stopped by SIGTERM; all of the run abc is recorded, as FINISHED; "
        "begin it again with: python -m pipeline run -m train.epochs=3,4\n"
    )
