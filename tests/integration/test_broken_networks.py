"""A sweep over networks of which some take their process along: what is kept, and what is said."""

import json
from pathlib import Path

import pytest

from pipeline.search.study_store import StudyStore
from pipeline.settings import addresses
from pipeline.tracking import mlflow_store
from tests.conftest import Run

WORDS = (
    *("search=smoke", "search.study=broken", "search.trials=4", "search.confirm=1", "data=digits"),
    *("model=custom", "model.build=tests.support.broken_models:some_widths", "model.hidden=8,12,16,24"),
    *("optimizer=adam", "train.epochs=2", "device=cpu"),
    "search.enqueue=['model.hidden=16','model.hidden=24','model.hidden=8','model.hidden=12']",
)


@pytest.mark.slow
def test_trials_that_break_their_process_have_failed_and_the_others_count(
    fulcrum: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "cache" / "prepared"))
    done = fulcrum("sweep", *WORDS)
    assert done.returncode == 0, done.stderr
    assert "4 trials (2 complete, 2 failed)" in done.stdout
    assert "in trials that failed" in done.stdout
    assert "geheim7" not in done.stdout + done.stderr
    assert b"geheim7" not in (tmp_path / "studies.db").read_bytes()
    states = [row.state.name for row in StudyStore(addresses.make_study_address(), "broken").trials()]
    assert sorted(states) == ["COMPLETE", "COMPLETE", "FAIL", "FAIL"]
    client = mlflow_store.open_store()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.trial_state = 'failed'", order_by=["tags.trial"])
    assert [run.info.status for run in runs] == ["FAILED", "FAILED"]
    segfault, left = (run.data.tags["reason"] for run in runs)
    assert segfault.startswith("its process was ended by SIGSEGV")
    assert left.endswith(
        ":some_widths, which failed (SystemExit: that is all at postgresql://ann:***@h/db); mend it"
    )
    paid = [run.data.metrics.get("paid_device_seconds", 0.0) for run in runs]
    assert paid[0] > paid[1] == 0  # it said so before it was trained
    trace = Path(client.download_artifacts(runs[0].info.run_id, "output.txt", str(tmp_path))).read_text()
    assert "segfaults" in trace
    told = json.loads(fulcrum("frontier", "--study", "broken", "--json").stdout)
    spent = told["failed_device_seconds"]
    assert spent == pytest.approx(sum(paid))
    assert told["paid_device_seconds"] > spent
    assert set(client.get_registered_model("broken").aliases) >= {"best", "cheapest"}
