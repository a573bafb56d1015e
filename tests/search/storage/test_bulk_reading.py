"""Trials read table by table are those that Optuna itself reads, of any kind and in any order."""

import math
import shutil
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage, get_storage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import event

from pipeline.search.storage.bulk_reading import MAX_IDS, BulkReadingStorage
from pipeline.search.storage.our_studies import OUTCOME, OWNER

SPACE = {
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "width": IntDistribution(8, 64, step=8),
    "kind": CategoricalDistribution(["a", None, True, 2.5]),
}
STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING)


def make_trial(number: int) -> FrozenTrial:
    state = STATES[number % len(STATES)]
    params = {"rate": 0.1 / (1 + number), "kind": ("a", None, True, 2.5)[number % 4]}
    if number % 2:
        params["width"] = 8 * (1 + number % 8)  # under a condition
    return create_trial(
        state=state,
        values=[(0.5, math.inf, -math.inf)[number % 3], number] if state is TrialState.COMPLETE else None,
        params=params,
        distributions={name: SPACE[name] for name in params},
        user_attrs={"outcome": {"curve": [[1, 0.5, number]], "reason": None}, "ü": "ß"},
        system_attrs={"seen": number} if number % 3 else {},
        intermediate_values={1: 0.5, 2: (math.nan, math.inf, -math.inf)[number % 3]},
    )


def make_begun() -> FrozenTrial:
    """Make one that runs, and has reported nothing yet."""
    trial = make_trial(3)
    trial.intermediate_values = {}
    return trial


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bulk") / "studies.db"
    storage = BulkReadingStorage(f"sqlite:///{path}")
    for name in ("other", "mine", "empty"):
        optuna.create_study(storage=storage, study_name=name, directions=["maximize", "minimize"])
    for number in range(20):
        for name in ("other", "mine"):
            storage.create_new_trial(storage.get_study_id_from_name(name), make_trial(number))
    storage.engine.dispose()
    return path


@pytest.fixture
def storage(database: Path, tmp_path: Path) -> BulkReadingStorage:
    return BulkReadingStorage(f"sqlite:///{shutil.copy(database, tmp_path / 'studies.db')}")


def as_text(trials: list[FrozenTrial]) -> list[str]:
    """Return all fields as text, in which NaN equals NaN."""
    return [repr(vars(trial)) for trial in trials]


@pytest.mark.parametrize("name", ["mine", "empty"])
@pytest.mark.parametrize("states", [None, (TrialState.FAIL, TrialState.RUNNING)])
@pytest.mark.parametrize(("included", "newest"), [(set(), -1), ({4, 8, 999}, 17), (set(), 40), ({2}, 1)])
def test_every_kind_of_trial_is_read_as_by_optuna(
    storage: BulkReadingStorage,
    name: str,
    states: tuple[TrialState, ...] | None,
    included: set[int],
    newest: int,
) -> None:
    study_id = storage.get_study_id_from_name(name)
    read = storage._get_trials(study_id, states, included, newest)
    assert as_text(read) == as_text(RDBStorage._get_trials(storage, study_id, states, included, newest))
    assert len(read) == 20 or name == "empty" or states or newest > 0


def test_more_open_trials_than_a_query_takes_are_read_with_all_others(storage: BulkReadingStorage) -> None:
    study_id = storage.get_study_id_from_name("mine")
    assert len(storage._get_trials(study_id, None, set(range(MAX_IDS + 1)), MAX_IDS)) == 20


def test_a_study_reads_and_writes_through_it(storage: BulkReadingStorage) -> None:
    study = optuna.load_study(study_name="empty", storage=storage)
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=3)
    assert [trial.state for trial in study.trials] == 3 * [TrialState.COMPLETE]
    assert [set(trial.params) for trial in study.trials] == 3 * [{"x"}]


def test_what_all_trials_have_in_common_is_kept_once(tmp_path: Path) -> None:
    """A sweep keeps thousands: names of an outcome's parts, its device and the owner are the same objects."""
    storage = BulkReadingStorage(f"sqlite:///{tmp_path / 'studies.db'}")
    study = optuna.create_study(storage=storage)._study_id
    owner = {"host": "a machine", "pid": 1}
    for number in range(2):
        outcome = {"state": "complete", "device": "a CPU, 1 core", "paid_seconds": number, "curve": []}
        trial = create_trial(state=TrialState.FAIL, user_attrs={OWNER: owner, OUTCOME: outcome})
        storage.create_new_trial(study, trial)
    one, two = (trial.user_attrs for trial in storage.get_all_trials(study))
    assert one[OWNER] is two[OWNER]
    assert one[OUTCOME] is not two[OUTCOME]
    for first, second in zip(one[OUTCOME], two[OUTCOME], strict=True):
        assert first is second
    for name in ("state", "device"):
        assert one[OUTCOME][name] is two[OUTCOME][name]


def test_what_has_not_changed_is_not_read_again(storage: BulkReadingStorage) -> None:
    """However many slots are at work: each look is one statement, and one more for what has ended."""
    cached = get_storage(storage)
    study = storage.get_study_id_from_name("mine")
    first = {trial._trial_id: trial for trial in cached.get_all_trials(study, deepcopy=False)}
    begun = cached.create_new_trial(study, make_begun())
    statements = list[str]()
    event.listen(storage.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    for _ in range(3):
        again = {trial._trial_id: trial for trial in cached.get_all_trials(study, deepcopy=False)}
    assert {key: again[key] for key in first} == first
    assert all(again[key] is first[key] for key in first)
    assert len([text for text in statements if "trial_params" in text]) == 0
    running = next(trial for trial in again.values() if trial.state is TrialState.RUNNING)
    elsewhere = RDBStorage(storage.url)  # another process
    elsewhere.set_trial_state_values(running._trial_id, TrialState.COMPLETE, (0.5, 1.0))
    seen = {trial._trial_id: trial for trial in cached.get_all_trials(study, deepcopy=False)}
    assert as_text([*seen.values()]) == as_text(RDBStorage.get_all_trials(elsewhere, study))
    assert seen[running._trial_id].values == [0.5, 1.0]
    assert seen[begun].state is TrialState.RUNNING
    assert storage.reads == 3
