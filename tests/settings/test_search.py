"""Searches and pruning."""

import re
from dataclasses import replace

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from tests.settings.refusals import exchange, remedy


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("search.trials", 0),
        ("search.workers", 1025),
        ("search.workers", -1),
        ("search.trial_timeout", 0.0),
        ("search.seed", -1),
        ("search.confirm", -1),
        ("search.budget_device_seconds", 0.0),
        ("search.timeout", -1.0),
        ("search.max_latency_ms", 0.0),
        ("search.max_parameters", 0),
        ("search.study", "a/b"),
        ("search.study", ""),
        ("search.study", "."),
        ("search.study", ".."),
        ("search.study", "it's"),
        ("search.study", "a:b"),
        ("search.study", "a\tb"),
        ("search.study", 300 * "x"),
        ("search.study", 130 * "ü"),
        ("search.study", "digits (afterwards)"),
        ("pruning.optimism", 0.5),
        ("pruning.least_epochs", 0),
    ],
)
def test_a_value_out_of_range_is_refused(key: str, value: object) -> None:
    with pytest.raises(BadSetting, match=remedy(key)):
        exchange(key, value)


def test_the_objective_says_whether_samples_are_corrupted() -> None:
    assert not compose([]).settings.search.under_shift
    assert compose(["search.objective=accuracy_under_shift"]).settings.search.under_shift


def test_a_trial_that_trains_in_the_process_of_the_sweep_cannot_be_ended() -> None:
    with pytest.raises(BadSetting, match=r"search\.trial_timeout must be null with search\.workers=0, got 5"):
        compose(["search.workers=0", "search.trial_timeout=5"])


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ([], None),
        (["search.budget_device_seconds=60"], 300.0),
        (["search.timeout=60"], 180.0),
        (["search.budget_device_seconds=60", "search.timeout=60"], 180.0),
        (["search.budget_device_seconds=60", "search.trial_timeout=7"], 7.0),
    ],
)
def test_how_long_a_trial_may_take_follows_from_the_budget(words: list[str], seconds: float | None) -> None:
    assert compose(words).settings.search.trial_limit == seconds


@pytest.mark.parametrize(
    "names",
    [
        "[accuracy,latency_ms]",
        "[cost,accuracy,latency_ms]",
        "[accuracy,cost,latency]",
        "[accuracy,cost,latency_ms,latency_ms]",
        "[accuracy,cost,latency_ms,parameters,size_mb]",
        "[accuracy]",
        "[]",
    ],
)
def test_objectives_are_accuracy_cost_and_others_that_there_are(names: str) -> None:
    with pytest.raises(BadSetting) as caught:
        compose([f"search.objectives={names}"])
    assert str(caught.value).startswith(
        "search.objectives must be accuracy,cost and at most 2 more of latency_ms"
    )
    assert f"got {names}" in str(caught.value)


def test_which_accuracy_it_is_says_another_key() -> None:
    with pytest.raises(BadSetting, match=r"search\.objective=accuracy_under_shift says which accuracy"):
        compose(["search.objectives=[accuracy_under_shift,cost]"])
    three = compose(["search.objective=accuracy_under_shift", "search.objectives=[accuracy,cost,size_mb]"])
    assert three.settings.search.under_shift
    assert [kind.name for kind in three.settings.search.further] == ["size_mb"]
    assert compose([]).settings.search.further == ()


@pytest.mark.parametrize(
    "word",
    ["search.objective=accuracy_under_attack", "search.objectives=[accuracy,cost,accuracy_under_attack]"],
)
def test_a_search_for_accuracy_under_attack_needs_an_attack(word: str) -> None:
    with pytest.raises(
        BadSetting, match=r"^evaluate\.attack must be pgd or fgsm where .*, got none; set one$"
    ):
        compose([word])
    assert compose([word, "evaluate.attack=fgsm"]).settings.search.measures_attack
    assert not compose(["evaluate.attack=fgsm"]).settings.search.measures_attack
    both = ["search.objective=accuracy_under_attack", "evaluate.attack=fgsm"]
    with pytest.raises(
        BadSetting, match=r"^search\.objectives must be without the objective accuracy_under_attack"
    ):
        compose([*both, "search.objectives=[accuracy,cost,accuracy_under_attack]"])


@pytest.mark.parametrize(
    ("words", "seconds", "trials"),
    [
        ([], None, 40),
        (["search.budget=2min"], 120.0, 1_000_000),
        (["search.budget=2min", "search.trials=10"], 120.0, 10),
        (["search.budget=2min", "search=quick"], 120.0, 16),
        (["search.budget=7trials"], None, 7),
        (["search.budget=7trials", "search=quick"], None, 7),
        (["search.budget=7trials", "search.trials=3"], None, 3),
        (["search.budget=0.5usd", "price.per_hour=2"], 900.0, 1_000_000),
        (["search.budget_device_seconds=60"], 60.0, 40),
    ],
)
def test_a_budget_is_said_in_device_seconds_and_trials(
    words: list[str], seconds: float | None, trials: int
) -> None:
    search = compose(words).settings.search
    assert (search.budget_device_seconds, search.most_trials) == (seconds, trials)
    assert search.is_capped is (trials < 1_000_000)


def test_a_copy_of_the_settings_keeps_the_budget() -> None:
    for words in (["search.budget=2min"], ["search.budget=1usd", "price.per_hour=36"]):
        settings = compose(words).settings
        copied = replace(settings, search=replace(settings.search, enqueue=[]))
        assert copied.search.budget_device_seconds == settings.search.budget_device_seconds in (100, 120)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["search.budget=60"], "search.budget must be an amount with its unit, such as 2min, 60s, 40trials"),
        (
            ["search.budget=0.5usd"],
            "search.budget must be time or trials without a price, got 0.5usd; choose",
        ),
        (["search.budget=1eur", "price.per_hour=2"], "search.budget must be in usd, got 1eur"),
        (
            ["search.budget=2min", "search.budget_device_seconds=3"],
            "search.budget_device_seconds must be null with search.budget=2min, got 3",
        ),
        (
            ["search.budget=2000000trials"],
            "search.budget must be at most 1000000 trials, got 2000000trials",
        ),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(words: list[str], text: str) -> None:
    with pytest.raises(BadSetting, match=re.escape(text)):
        compose(words)
