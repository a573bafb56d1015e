"""The benchmark of a driver with many slots on a real sweep, small."""

from pathlib import Path

import pytest

from benchmarks import scale
from benchmarks.table import read

TABLE = read(Path("benchmarks/tables/digits.jsonl"))


@pytest.mark.slow
def test_slots_work_by_one_clock_that_is_never_slept_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'own.db'}")
    stretch = 1e4  # trials of minutes: the driver is nothing beside them
    found = scale.measure(TABLE, slots=3, stretch=stretch, seconds=300.0, trials=9)
    assert (found.begun, len(found.ended)) == (9, 9)
    assert found.is_filled
    assert [trial.second for trial in found.ended] == sorted(trial.second for trial in found.ended)
    worked = sum(trial.paid for trial in found.ended)
    assert worked / 3 < found.simulated < worked + found.cost.busy + 1.0
    assert found.simulated > 10 * found.cost.busy
    assert found.cost.trials == 9
    assert found.trial_seconds == pytest.approx(worked / 9)
    assert found.idle_share < 0.5
    areas = [found.area_at(paid, TABLE, stretch) for paid in (0.0, worked / 2, worked)]
    assert areas == sorted(areas)
    assert areas[0] == 0.0 < areas[-1] < 1.0
    assert found.second_of(areas[-1], TABLE, stretch) <= found.ended[-1].second  # type: ignore[operator]


def test_a_driver_that_cannot_fill_its_slots_leaves_the_rest_idle() -> None:
    slow = scale.Scale(
        slots=1000,
        begun=100,
        cost=scale.Cost(trials=100, busy=50.0, wall=60.0),
        simulated=60.0,
        idle_seconds=0.0,
        ended=(scale.Ended(5.0, 5.0, ()),),
    )
    assert not slow.is_filled
    assert slow.idle_share == pytest.approx(1 - 5.0 / 0.5 / 1000)
    (kept,) = scale.add_quality([slow], TABLE, 1.0)
    assert scale.make_goal([kept]).measured == pytest.approx(0.99)
    (row,) = scale.tabulate([kept, {**kept, "cpu_seconds": 0.25}])
    assert row[:2] == ["1,000", "2"]
    assert row[4:8:3] == ["0.3750 (0.2500 - 0.5000)", "15 (10 - 20)"]
