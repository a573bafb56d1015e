"""`FrontierSampler` inside of Optuna: spaces given and learned, continuing, repeating, storage, refusal."""

import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from pipeline.frontier_sampler.sampler import FrontierSampler, join_distributions

SPACE = {
    "opt": CategoricalDistribution(["sgd", "adam"]),
    "hidden": IntDistribution(8, 256, log=True),
    "sgd.rate": FloatDistribution(0.01, 1.0, log=True),
    "adam.rate": FloatDistribution(1e-4, 1e-2, log=True),
    "train.epochs": IntDistribution(1, 20),
}
WHEN = {"sgd.rate": ("opt", "sgd"), "adam.rate": ("opt", "adam")}
Params = Mapping[str, Any]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def curve(params: Params, epochs: int) -> list[list[float]]:
    rate = params.get("sgd.rate", 10 * params.get("adam.rate", 0))
    worst = 0.5 / params["hidden"] ** 0.3 + 0.02 * abs(math.log(max(rate, 1e-6) / 0.1))
    return [[e, 1e-4 * params["hidden"] * e, 1 - min(0.9, worst + 0.4 / e)] for e in range(1, epochs + 1)]


def objective(trial: optuna.Trial, epochs: int | None = None) -> tuple[float, float]:
    opt = trial.suggest_categorical("opt", ["sgd", "adam"])
    low, high = (0.01, 1.0) if opt == "sgd" else (1e-4, 1e-2)
    trial.suggest_float(f"{opt}.rate", low, high, log=True)
    trial.suggest_int("hidden", 8, 256, log=True)
    found = curve(trial.params, epochs or trial.suggest_int("train.epochs", 1, 20))
    trial.set_user_attr("curve", found)
    return found[-1][2], found[-1][1]


def study_of(sampler: optuna.samplers.BaseSampler, storage: str | None = None) -> optuna.Study:
    return optuna.create_study(
        storage=storage, study_name="s", directions=["maximize", "minimize"], sampler=sampler
    )


def played(
    count: int, play: Callable[[optuna.Trial], tuple[float, float]] = objective, **told: Any
) -> optuna.Study:
    study = study_of(FrontierSampler(seed=0, **told))
    study.optimize(play, n_trials=count)
    return study


def without_epochs(trial: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((name, value) for name, value in trial.params.items() if name != "train.epochs"))


GIVEN = {"distributions": SPACE, "when": WHEN}


@pytest.mark.parametrize("told", [GIVEN, {}], ids=["given", "learned"])
def test_a_conditional_space_is_searched_and_trials_are_only_continued(told: dict[str, Any]) -> None:
    study = played(40, **told)
    reached: dict[Any, int] = {}
    for trial in study.trials:
        assert (f"{trial.params['opt']}.rate") in trial.params
        assert len(trial.params) == 4
        assert trial.params["train.epochs"] > reached.get(without_epochs(trial), 0)
        reached[without_epochs(trial)] = trial.params["train.epochs"]
    assert 8 < len(reached) < 40


def test_without_epochs_in_the_study_trials_run_whole_and_once() -> None:
    study = played(30, lambda trial: objective(trial, 12))
    assert len({without_epochs(trial) for trial in study.trials}) == 30
    assert max(trial.values[0] for trial in study.trials) > 0.85


def test_a_plain_study_without_curves_improves_on_its_beginning() -> None:
    def plain(trial: optuna.Trial) -> tuple[float, float]:
        x, size = trial.suggest_float("x", -5, 5), trial.suggest_int("size", 1, 64, log=True)
        return 1 - 0.9 * min(1.0, 0.1 * abs(x - 1) + 0.5 / size), 0.01 * size

    study = played(40, plain)
    begun = max(trial.values[0] for trial in study.trials[:12])
    assert max(trial.values[0] for trial in study.trials) > begun + 0.02
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 40


def test_the_same_trials_give_the_same_proposal_from_any_storage(tmp_path: Path) -> None:
    memory = played(14, **GIVEN)
    stored = study_of(FrontierSampler(seed=0, **GIVEN), f"sqlite:///{tmp_path / 'study.db'}")
    for trial in memory.trials:
        stored.add_trial(trial)
    again = optuna.load_study(
        study_name="s", storage=stored._storage, sampler=FrontierSampler(seed=0, **GIVEN)
    )
    assert asked(again) == asked(memory)


def asked(study: optuna.Study) -> dict[str, Any]:
    trial = study.ask()
    opt = trial.suggest_categorical("opt", SPACE["opt"].choices)  # type: ignore[attr-defined]
    for name in (f"{opt}.rate", "hidden", "train.epochs"):
        trial._suggest(name, SPACE[name])
    return trial.params


def test_several_pending_trials_differ() -> None:
    study = played(14, **GIVEN)
    pending = [asked(study) for _ in range(5)]
    assert len({tuple(sorted(each.items())) for each in pending}) == 5


def test_a_paused_trial_teaches_and_a_failed_one_is_left_alone() -> None:
    study = study_of(FrontierSampler(seed=0, **GIVEN))
    failed = []
    for number in range(30):
        trial = study.ask()
        opt = trial.suggest_categorical("opt", ["sgd", "adam"])
        for name in (f"{opt}.rate", "hidden", "train.epochs"):
            trial._suggest(name, SPACE[name])
        assert without_epochs(trial) not in failed
        if number % 5 == 4:
            failed.append(without_epochs(trial))
            study.tell(trial, state=TrialState.FAIL)
        else:
            trial.set_user_attr("curve", curve(trial.params, trial.params["train.epochs"]))
            study.tell(trial, state=TrialState.PRUNED)
    counted = [without_epochs(trial) for trial in study.trials]
    assert len(set(counted)) < 30  # what was paused was taken up again


def test_candidates_are_all_that_is_proposed() -> None:
    listed = [{"hidden": hidden, "opt": "sgd", "sgd.rate": 0.1} for hidden in (8, 12, 24, 48, 96)]
    study = played(15, candidates=listed, **GIVEN)
    assert {trial.params["hidden"] for trial in study.trials} <= {8, 12, 24, 48, 96}


def test_an_exhausted_study_stops_with_a_warning() -> None:
    def tiny(trial: optuna.Trial) -> tuple[float, float]:
        return 0.5 + 0.1 * trial.suggest_int("x", 0, 3), 1.0 + trial.suggest_categorical("y", [1, 2])

    with pytest.warns(UserWarning, match="no other left"):
        study = played(40, tiny)
    assert len(study.trials) == 9  # eight, and the repetition that says so
    assert study.sampler.exhausted  # type: ignore[attr-defined]


def test_an_enqueued_trial_runs_as_it_was_told() -> None:
    study = study_of(FrontierSampler(seed=0, **GIVEN))
    told = {"opt": "adam", "adam.rate": 1e-3, "hidden": 100, "train.epochs": 7}
    study.enqueue_trial(told)
    study.optimize(objective, n_trials=12)
    assert study.trials[0].params == told


def test_steps_of_epochs_are_kept() -> None:
    def stepped(trial: optuna.Trial) -> tuple[float, float]:
        hidden, epochs = trial.suggest_int("hidden", 8, 64), trial.suggest_int("n", 5, 50, step=5)
        found = curve({"hidden": hidden, "sgd.rate": 0.1}, epochs)
        trial.set_user_attr("curve", found)
        return found[-1][2], found[-1][1]

    study = played(25, stepped, epochs="n")
    assert {trial.params["n"] % 5 for trial in study.trials} == {0}
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 25


# ---- refusals -------------------------------------------------------------------------------------------


def test_other_directions_are_refused() -> None:
    study = optuna.create_study(
        directions=["minimize", "minimize"], sampler=FrontierSampler(distributions=SPACE, when=WHEN)
    )
    with pytest.raises(ValueError, match="directions must be"):
        study.optimize(objective, n_trials=1)


def test_an_accuracy_in_per_cent_is_refused() -> None:
    with pytest.raises(ValueError, match=r"accuracy of trial 0 must lie in 0\.\.1, got 97"):
        played(12, lambda trial: (97.0, trial.suggest_float("x", 1, 2)))


def test_conditions_must_name_parameters() -> None:
    with pytest.raises(ValueError, match="'opt'"):
        FrontierSampler(distributions={"m": FloatDistribution(0, 1)}, when={"m": ("opt", "sgd")})
    with pytest.raises(ValueError, match="'m'"):
        FrontierSampler(distributions={"opt": SPACE["opt"]}, when={"m": ("opt", "sgd")})


def test_epochs_must_be_an_int() -> None:
    with pytest.raises(ValueError, match=r"train\.epochs"):
        FrontierSampler(distributions={"train.epochs": FloatDistribution(1, 20)})


def test_ranges_that_differ_between_trials_are_joined() -> None:
    trials = [
        optuna.trial.create_trial(
            params={"x": 2}, distributions={"x": IntDistribution(*ends)}, values=[0.5, 1.0]
        )
        for ends in ((1, 4), (2, 9))
    ]
    assert join_distributions(trials) == {"x": IntDistribution(1, 9)}


def test_nothing_is_warned_of_in_an_ordinary_study() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        played(12, **GIVEN)
