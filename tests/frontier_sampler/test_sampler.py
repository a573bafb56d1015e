"""`FrontierSampler` inside of Optuna: spaces given and learned, continuing, repeating, storage, refusal."""

import copy
import math
import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from pipeline.frontier_sampler.distributions import join_distributions
from pipeline.frontier_sampler.encoding import make_key
from pipeline.frontier_sampler.sampler import FrontierSampler

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


def tiny(trial: optuna.Trial) -> tuple[float, float]:
    return 0.5 + 0.1 * trial.suggest_int("x", 0, 3), 1.0 + trial.suggest_categorical("y", [1, 2])


@pytest.mark.parametrize("directions", [["maximize", "minimize"], ["minimize", "minimize"]])
def test_a_small_space_finishes_its_trials_and_says_that_it_repeats(directions: list[str]) -> None:
    study = optuna.create_study(directions=directions, sampler=FrontierSampler(seed=0))
    with pytest.warns(UserWarning, match="no other left"):
        study.optimize(tiny, n_trials=12)
    assert len(study.trials) == 12
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 8  # all of them
    assert study.sampler.exhausted  # type: ignore[attr-defined]


@pytest.mark.parametrize("directions", [["maximize", "minimize"], ["minimize", "minimize"]])
def test_trials_that_take_over_their_values_in_turns_differ(directions: list[str]) -> None:
    """As in threads: what was suggested to one counts before all of its values are in the storage."""
    study = optuna.create_study(directions=directions, sampler=FrontierSampler(seed=0, startup_trials=2))
    study.optimize(tiny, n_trials=3)
    trials = [study.ask() for _ in range(5)]
    for suggest in (
        lambda trial: trial.suggest_int("x", 0, 3),
        lambda trial: trial.suggest_categorical("y", [1, 2]),
    ):
        for trial in trials:
            suggest(trial)
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 8


def test_another_study_of_the_same_name_is_another_study() -> None:
    sampler = FrontierSampler(seed=0, **GIVEN)
    for _ in range(2):
        study = study_of(sampler)  # in a memory of its own
        study.optimize(objective, n_trials=12)
        assert [trial.params for trial in study.trials] == [
            trial.params for trial in played(12, **GIVEN).trials
        ]


def ask_by_layers(trial: optuna.Trial) -> tuple[float, float]:
    widths = [trial.suggest_int(f"width{i}", 4, 128) for i in range(trial.suggest_int("layers", 1, 4))]
    return 0.01 + 0.98 / (1 + sum(widths) / 100), 1.0 + sum(widths)


@pytest.mark.parametrize("directions", [["maximize", "minimize"], ["minimize", "minimize"]])
def test_nothing_is_repeated_where_a_number_says_how_many_parameters_there_are(directions: list[str]) -> None:
    study = optuna.create_study(directions=directions, sampler=FrontierSampler(seed=0))
    study.optimize(ask_by_layers, n_trials=20)
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 20


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


def test_epochs_may_begin_at_none() -> None:
    study = played(
        15,
        lambda trial: (0.5 + trial.suggest_float("x", 0, 0.1), 1.0 + trial.suggest_int("n", 0, 5)),
        epochs="n",
    )
    assert len(study.trials) == 15


# ---- refusals -------------------------------------------------------------------------------------------


def test_a_curve_that_is_none_is_refused() -> None:
    def odd(trial: optuna.Trial) -> tuple[float, float]:
        trial.set_user_attr("curve", [[1, trial.suggest_float("x", 1, 2), 970.0]])
        return 970.0, 1.0

    with pytest.raises(ValueError, match=r"accuracies in 0\.\.1 or 0\.\.100 .* got 970 .* trial 0; report"):
        played(12, odd)


def test_conditions_must_name_parameters() -> None:
    with pytest.raises(ValueError, match="'opt'"):
        FrontierSampler(distributions={"m": FloatDistribution(0, 1)}, when={"m": ("opt", "sgd")})
    with pytest.raises(ValueError, match="'m'"):
        FrontierSampler(distributions={"opt": SPACE["opt"]}, when={"m": ("opt", "sgd")})


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ({"seed": -1}, "seed must be a whole number from 0 on or None, got -1"),
        ({"seed": 1.5}, r"got 1\.5"),
        ({"candidates": []}, "candidates must have a configuration at least"),
    ],
)
def test_what_nothing_can_be_drawn_from_is_refused_at_once(told: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        FrontierSampler(**told)


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
    assert join_distributions(item for trial in trials for item in trial.distributions.items()) == {
        "x": IntDistribution(1, 9)
    }


def test_nothing_is_warned_of_in_an_ordinary_study() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        played(12, **GIVEN)


# ---- running trials, constraints, other objectives --------------------------------------------------------


def test_what_was_seen_of_a_running_trial_is_replaced_when_it_ends() -> None:
    """Trials that ended while others were suggested teach as if they had ended before."""
    late, early = (study_of(FrontierSampler(seed=0, **GIVEN)) for _ in range(2))
    for study in (late, early):
        running = []
        for _ in range(10):
            trial = study.ask()
            opt = trial.suggest_categorical("opt", ["sgd", "adam"])
            for name in (f"{opt}.rate", "hidden", "train.epochs"):
                trial._suggest(name, SPACE[name])
            running.append(trial)
        if study is early:
            study.sampler = FrontierSampler(seed=0, **GIVEN)  # it has seen none of them run
        for trial in running:
            trial.set_user_attr("curve", reached := curve(trial.params, trial.params["train.epochs"]))
            study.tell(trial, (reached[-1][2], reached[-1][1]))
    assert asked(late) == asked(early)


@pytest.mark.parametrize("directions", [["maximize", "minimize"], ["minimize", "minimize"]])
def test_suggestions_keep_to_constraints(directions: list[str]) -> None:
    def limited(trial: optuna.Trial) -> tuple[float, float]:
        x, hidden = trial.suggest_float("x", 0, 1), trial.suggest_int("hidden", 8, 512, log=True)
        trial.set_constraint("size", hidden - 64)
        accuracy = 1 - 0.5 / hidden**0.3 - 0.1 * abs(x - 0.5)
        return accuracy if directions[0] == "maximize" else 1 - accuracy, 0.01 * hidden

    study = optuna.create_study(directions=directions, sampler=FrontierSampler(seed=0))
    study.optimize(limited, n_trials=40)
    assert sum(trial.params["hidden"] > 64 for trial in study.trials[20:]) <= 2
    assert max(trial.params["hidden"] for trial in study.trials[20:] if trial.params["hidden"] <= 64) > 32


def test_an_accuracy_in_per_cent_is_the_same_study() -> None:
    def in_percent(trial: optuna.Trial) -> tuple[float, float]:
        accuracy, seconds = objective(trial, 12)
        trial.set_user_attr("curve", [[e, s, 100 * a] for e, s, a in trial.user_attrs["curve"]])
        return 100 * accuracy, seconds

    share, percent = played(30, lambda trial: objective(trial, 12)), played(30, in_percent)
    assert [make_key(trial.params) for trial in percent.trials] == [
        make_key(trial.params) for trial in share.trials
    ]  # a division by 100 may change the last digits


def test_cost_may_come_first() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=FrontierSampler(seed=0, **GIVEN))
    study.optimize(lambda trial: objective(trial)[::-1], n_trials=20)
    assert [trial.params for trial in study.trials] == [trial.params for trial in played(20, **GIVEN).trials]


def test_one_objective_is_minimised() -> None:
    study = optuna.create_study(sampler=FrontierSampler(seed=0))
    study.optimize(
        lambda trial: (trial.suggest_float("x", -5, 5) - 1) ** 2 + trial.suggest_int("n", 0, 8), n_trials=40
    )
    assert study.best_value < 0.05


def test_three_objectives_have_a_better_frontier_than_by_chance() -> None:
    def three(trial: optuna.Trial) -> tuple[float, float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        rest = 1 + sum((trial.suggest_float(f"z{i}", 0, 1) - 0.5) ** 2 for i in range(3))
        return -rest * x * y, rest * x * (1 - y), rest * (1 - x)

    def volume(sampler: optuna.samplers.BaseSampler) -> float:
        """Return the share of a grid over 0..2 that is dominated."""
        study = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=sampler)
        study.optimize(three, n_trials=40)
        values = np.array([trial.values for trial in study.trials]) * [-1, 1, 1]
        grid = np.stack(np.meshgrid(*[np.linspace(0.02, 1.98, 30)] * 3), -1).reshape(-1, 1, 3)
        return float((values[None] <= grid).all(2).any(1).mean())

    assert volume(FrontierSampler(seed=0)) > volume(optuna.samplers.RandomSampler(seed=0)) + 0.01


@pytest.mark.parametrize("cost", [0.0, -1.0, math.inf])
def test_costs_that_are_none_do_no_harm(cost: float) -> None:
    study = played(15, lambda trial: (trial.suggest_float("x", 0, 1), cost))
    assert len({trial.params["x"] for trial in study.trials}) == 15


def test_a_sampler_can_be_copied() -> None:
    study = played(14, **GIVEN)
    expected = asked(study)
    for sampler in (copy.deepcopy(study.sampler), pickle.loads(pickle.dumps(study.sampler))):
        again = study_of(sampler)
        for trial in study.trials[:14]:
            again.add_trial(trial)
        assert asked(again) == expected


def test_a_new_seed_gives_other_trials() -> None:
    sampler = FrontierSampler(seed=0, **GIVEN)
    study = study_of(sampler)
    for trial in played(4, **GIVEN).trials:  # later both may go on with the same paused configuration
        study.add_trial(trial)
    sampler.reseed_rng()
    assert asked(study) != asked(played(4, **GIVEN))


@pytest.mark.parametrize("module", ["suggest.fit_kernels", "surrogate.fit_kernel"])
def test_a_new_seed_keeps_what_trials_have_taught(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Optuna asks for one before each trial of several threads."""
    directions = ["maximize", "minimize"] if "suggest" in module else ["minimize", "minimize"]
    study = optuna.create_study(directions=directions, sampler=FrontierSampler(seed=0))
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0 + trial.params["x"]), n_trials=12)
    monkeypatch.setattr(f"pipeline.frontier_sampler.{module}", lambda *_: pytest.fail("fitted again"))
    for _ in range(2):
        study.sampler.reseed_rng()
        study.ask().suggest_float("x", 0, 1)


def test_what_another_sampler_fixes_is_no_part_of_the_space() -> None:
    sampler = optuna.samplers.PartialFixedSampler({"n": 5}, FrontierSampler(seed=0))
    study = optuna.create_study(sampler=sampler)
    study.optimize(
        lambda trial: trial.suggest_float("x", -5, 5) ** 2 + trial.suggest_int("n", 0, 9), n_trials=25
    )
    assert {trial.params["n"] for trial in study.trials[1:]} == {5}
    assert study.best_value < 5.1
    assert len({trial.params["x"] for trial in study.trials}) == 25  # none comes twice


@pytest.mark.parametrize("fixed", [{"opt": "adam"}, {"sgd.rate": 0.3}])
@pytest.mark.parametrize("told", [GIVEN, {}], ids=["given", "learned"])
def test_another_sampler_may_fix_a_part_of_a_condition(fixed: dict[str, Any], told: dict[str, Any]) -> None:
    study = study_of(optuna.samplers.PartialFixedSampler(fixed, FrontierSampler(seed=0, **told)))
    study.optimize(objective, n_trials=20)
    for trial in study.trials[1:]:
        assert all(trial.params.get(name, value) == value for name, value in fixed.items())


def test_a_condition_that_another_thread_has_brought_since_waits_for_the_next_trial() -> None:
    study = study_of(FrontierSampler(seed=0))
    study.optimize(lambda trial: (0.5, trial.suggest_float("x", 1, 2)), n_trials=2)
    frozen = study._storage.get_trial(study.ask()._trial_id)
    space = study.sampler.infer_relative_search_space(study, frozen)
    for opt in ("sgd", "adam"):  # only one of them has a further parameter
        distributions = {"opt": SPACE["opt"]} | ({"m": FloatDistribution(0, 1)} if opt == "sgd" else {})
        params = {name: {"opt": opt, "m": 0.5}[name] for name in distributions}
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=distributions, values=[0.5, 1.0])
        )
    assert study.sampler.sample_relative(study, frozen, space).keys() == {"x"}


def test_conditions_may_be_told_before_their_parameters_have_been_seen() -> None:
    study = played(20, when={"m": ("opt", "lion"), **WHEN})
    assert {trial.params["opt"] for trial in study.trials} == {"sgd", "adam"}


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_choices_may_be_lists() -> None:
    def layered(trial: optuna.Trial) -> tuple[float, float]:
        layers = trial.suggest_categorical("layers", [[8], [8, 8], {"width": 4}])  # type: ignore[list-item]
        rate = trial.suggest_float("rate", 0, 1) if layers == [8, 8] else 0.5
        return 0.5 + 0.1 * len(layers) - abs(rate - 0.3), 1.0 * len(layers)  # type: ignore[arg-type]

    study = played(15, layered)
    assert all(("rate" in trial.params) == (trial.params["layers"] == [8, 8]) for trial in study.trials)


def test_a_trial_teaches_only_about_what_was_trained() -> None:
    """What had been suggested beside a user's own settings was not trained, and stays to be tried."""
    fixed, told = (study_of(FrontierSampler(seed=0, **GIVEN)) for _ in range(2))
    for number in range(12):
        fixed.enqueue_trial({"hidden": 8 + number})  # the rest is suggested
        fixed.optimize(objective, n_trials=1)
        told.add_trial(fixed.trials[-1])
    assert "suggested" not in " ".join(key for trial in fixed.trials for key in trial.system_attrs)
    assert asked(fixed) == asked(told)


def test_workers_that_begin_together_do_not_double_the_quasi_random_trials() -> None:
    def begun(startup: int) -> list[dict[str, Any]]:
        study = study_of(FrontierSampler(seed=0, startup_trials=startup, **GIVEN))
        trials = []
        for number in range(9):
            if number == 8:  # four have ended, four run
                for trial in trials[:4]:
                    trial.set_user_attr("curve", found := curve(trial.params, trial.params["train.epochs"]))
                    study.tell(trial, (found[-1][2], found[-1][1]))
            trials.append(study.ask())
            opt = trials[-1].suggest_categorical("opt", ["sgd", "adam"])
            for name in (f"{opt}.rate", "hidden", "train.epochs"):
                trials[-1]._suggest(name, SPACE[name])
        return [trial.params for trial in trials]

    eight, many = begun(8), begun(20)
    assert eight[:8] == many[:8]
    assert eight[8] != many[8]  # the model has begun
