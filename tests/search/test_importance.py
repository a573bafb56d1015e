"""Importance finds the key that matters, and says nothing where it cannot know."""

import math
import random

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from pipeline.search.importance import MAX_TRIALS, MIN_TRIALS, compute_importances
from pipeline.search.results import Results
from tests.support.studies import tried


def study(count: int) -> Results:
    """Cost and error follow `wide` alone; `idle` is noise."""
    trials = [
        tried(
            number,
            (1 - 0.5 / (1 + number), 1.0 + number),
            params={"wide": number, "idle": ("a", "b")[number * 7 % 3 % 2]},
        )
        for number in range(count)
    ]
    return Results(study="s", data="d", trials=tuple(trials))


def test_the_key_that_decides_explains_most() -> None:
    importances = compute_importances(study(24))
    assert set(importances) == {"accuracy", "device-seconds"}
    for shares in importances.values():
        assert sum(shares.values()) == pytest.approx(1)
        assert shares["wide"] > 0.9


def test_few_trials_say_nothing() -> None:
    assert compute_importances(study(MIN_TRIALS - 1)) == {}
    assert set(compute_importances(study(MIN_TRIALS))) == {"accuracy", "device-seconds"}


# ---- against Optuna -----------------------------------------------------------------------------------


SPACE = {
    "rate": FloatDistribution(0, 1),
    "width": FloatDistribution(0, 1),
    "kind": CategoricalDistribution(["a", "b"]),
    "idle": FloatDistribution(0, 1),
}


def draw_additive(count: int) -> Results:
    """Draw trials whose log error is 2 x rate + width + 0.25 x (kind is b), and whose cost is exp(width).

    The variances are 4/12, 1/12 and 1/64: shares of 77 %, 19 % and 4 %.
    """
    draw, trials = random.Random(0), []
    for number in range(count):
        params = {
            "rate": draw.random(),
            "width": draw.random(),
            "kind": draw.choice("ab"),
            "idle": draw.random(),
        }
        log_error = -4 + 2 * params["rate"] + params["width"] + 0.25 * (params["kind"] == "b")
        trials.append(tried(number, (1 - math.exp(log_error), math.exp(params["width"])), params=params))
    return Results(study="s", data="d", trials=tuple(trials))


def test_shares_of_a_known_sum_are_its_variances_as_optuna_finds_them() -> None:
    results = draw_additive(MAX_TRIALS + 200)
    shares = compute_importances(results)
    assert shares["accuracy"] == pytest.approx(
        {"rate": 0.77, "width": 0.19, "kind": 0.04, "idle": 0}, abs=0.05
    )
    assert shares["device-seconds"]["width"] > 0.98
    study = optuna.create_study()
    for trial in results.trials[:200]:
        value = math.log(1 - trial.curve[0].accuracy)
        study.add_trial(optuna.create_trial(params=trial.params, distributions=SPACE, values=[value]))
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=8, max_depth=8, seed=0)
    theirs = optuna.importance.get_param_importances(study, evaluator=evaluator)
    assert shares["accuracy"] == pytest.approx(theirs, abs=0.1)


def test_a_key_under_a_condition_counts_where_it_is_there() -> None:
    """`momentum` is there for one kind alone, and decides there."""
    draw, trials = random.Random(1), []
    for number in range(200):
        params: dict[str, object] = {"kind": draw.choice("ab"), "idle": draw.random()}
        if params["kind"] == "a":
            params["momentum"] = draw.random()
        error = 0.1 * (1 + 4 * float(str(params.get("momentum", 0))))
        trials.append(tried(number, (1 - error, 1.0 + number % 2), params=params))
    shares = compute_importances(Results(study="s", data="d", trials=tuple(trials)))["accuracy"]
    assert shares["momentum"] > 0.9
    assert shares["idle"] < 0.02
