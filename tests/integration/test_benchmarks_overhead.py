"""The benchmark of a trial's overhead on a real sweep, small."""

from pathlib import Path

import pytest

from benchmarks import overhead


@pytest.mark.slow
def test_trials_on_top_of_invented_ones_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'own.db'}")
    found = overhead.measure(before=5, trials=3)
    assert len(found.seconds) == len(found.proposing) == 2
    assert found.before == 5
    assert all(asked > 0 for asked in found.proposing)
