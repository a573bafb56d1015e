"""Trials and heartbeats that are written in one go are those that Optuna writes."""

from datetime import timedelta
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import select, update

from pipeline.search.storage.bulk_reading import BulkReadingStorage
from pipeline.search.storage.bulk_writing import record_heartbeats, replace_attrs

RATE, KIND = FloatDistribution(1e-4, 1.0, log=True), CategoricalDistribution(["a", None, True])


@pytest.fixture
def storage(tmp_path: Path) -> BulkReadingStorage:
    storage = BulkReadingStorage(f"sqlite:///{tmp_path / 'studies.db'}", heartbeat_interval=20)
    optuna.create_study(storage=storage, study_name="mine")
    return storage


def make_trial(state: TrialState = TrialState.RUNNING) -> FrozenTrial:
    return create_trial(
        state=state,
        params={"rate": 0.1, "kind": None},
        distributions={"rate": RATE, "kind": KIND},
        user_attrs={"owner": {"pid": 1}, "ü": "ß"},
        system_attrs={"seen": 3},
    )


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.WAITING])
def test_a_trial_is_begun_as_by_optuna(storage: BulkReadingStorage, state: TrialState) -> None:
    trial = make_trial(state)
    ours = storage.get_trial(storage.create_new_trial(1, trial))
    theirs = storage.get_trial(RDBStorage._create_new_trial(storage, 1, trial)._trial_id)
    assert (ours.number, theirs.number) == (0, 1)
    theirs.number, theirs._trial_id = ours.number, ours._trial_id
    assert vars(ours) == vars(theirs)


def test_a_study_that_is_gone_gets_no_trial(storage: BulkReadingStorage) -> None:
    with pytest.raises(KeyError):
        storage.create_new_trial(7, make_trial())


def test_a_running_trial_has_a_heartbeat_from_its_first_moment(storage: BulkReadingStorage) -> None:
    silent = RDBStorage._create_new_trial(storage, 1, make_trial())._trial_id
    begun = [storage.create_new_trial(1, make_trial()) for _ in range(2)]
    model = models.TrialHeartbeatModel
    with storage.engine.begin() as connection:
        beats = connection.execute(select(model.trial_id, model.heartbeat)).all()
        assert [row.trial_id for row in beats] == begun
        long_ago = beats[0].heartbeat - timedelta(hours=1)
        connection.execute(update(model).values(heartbeat=long_ago))
    assert storage._get_stale_trial_ids(1) == begun
    with storage.engine.begin() as connection:
        record_heartbeats(connection, [silent, begun[0]])
        replace_attrs(connection, {begun[0]: {"spent": 2.5, "ü": 1}, silent: {}})
    assert storage._get_stale_trial_ids(1) == begun[1:]
    assert storage.get_trial(begun[0]).user_attrs == {"owner": {"pid": 1}, "ü": 1, "spent": 2.5}
    storage.record_heartbeat(silent)  # Optuna's own finds it
