"""A card says what the record has, leaves open what only a person knows, and stays text whatever is in it."""

import re
from dataclasses import replace

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data.quality.check import check_quality
from pipeline.reports.cards.markdown import OPEN, clean
from pipeline.reports.cards.model_card import CardFacts, write_card
from pipeline.training.privacy.account import PrivacySpent
from tests.support import pictures

EVIL = "<script>x</script>|[a](b)`_c_`\n# d"


@pytest.fixture(scope="module")
def facts() -> CardFacts:
    prepared = pictures.table()
    splits = {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}
    quality = check_quality(splits, prepared.classes, None)
    prepared = replace(prepared, classes=(EVIL, *prepared.classes[1:]))
    evaluation = pictures.scored(prepared, compose([]).settings)
    return CardFacts(
        name=EVIL,
        data="data=csv data.path=a`b.csv",
        command="python -m pipeline run data=csv 'data.path=a```b.csv'",
        device="a CPU, 1 core",
        prepared=prepared,
        quality=quality,
        versions={"keras": "3.15"},
        metrics={
            "cpu_seconds": 1.25,
            "train/energy_joules": 30.0,
            "cost_usd": 0.001,
            "profile/parameters": 90,
        },
        tags={"git.commit": "abc", "git.dirty": "true"},
        evaluation=evaluation,
    )


def test_it_has_data_figures_cost_limits_and_the_command(facts: CardFacts) -> None:
    card = write_card(facts)
    assert [line for line in card.splitlines() if line.startswith("#")][1:] == [
        "## The model",
        "## Data",
        "## Test figures",
        "## Cost",
        "## Limits",
        "## Train it again",
    ]
    accuracy = facts.evaluation.test.accuracy  # type: ignore[union-attr]
    assert re.search(rf"\| accuracy \| {accuracy:.4f} \| 0\.\d+ to 0\.\d+ \|", card)
    for text in ("1.25 cpu-seconds", "30 J of training", "0.001 USD", "| train | 60 |", "90 parameters"):
        assert text in card
    assert "60 of 60 validation rows nearly repeat a training row" in card
    assert "new data will have worse figures" in card
    assert f"- Licence of the model: {OPEN}" in card
    assert f"- Licence of the data: {OPEN}" in card
    assert "Commit `abc` with changes" in card
    assert "evaluate.groups=COLUMN" in card


def test_what_nobody_looked_for_is_not_said_to_be_missing(facts: CardFacts) -> None:
    clean_data = replace(
        facts.quality, twins=(), drift=(), telling=(), suspects=None, smallest=None, not_asked={}
    )
    card = write_card(replace(facts, quality=clean_data))
    assert (
        "- Near duplicates across splits, drift, leaks and wrong labels were looked for, and not found."
        in card
    )
    assert "Not looked for" not in card
    not_asked = {"leaks": "samples have no columns", "wrong labels": "there are more than 100 classes"}
    card = write_card(replace(facts, quality=replace(clean_data, not_asked=not_asked)))
    assert "- Near duplicates across splits and drift were looked for, and not found." in card
    assert "- Not looked for: leaks (samples have no columns)." in card
    assert "- Not looked for: wrong labels (there are more than 100 classes)." in card


def test_money_and_times_have_no_powers_of_ten(facts: CardFacts) -> None:
    metrics = {"cost_usd": 1234.5, "profile/latency_p50_ms": 1500.0, "profile/latency_p99_ms": 2345.6}
    card = write_card(replace(facts, metrics=metrics))
    assert "- Price: 1,234 USD." in card
    assert "takes 1,500 ms (median; 99 of 100 within 2,346 ms)" in card


def test_names_stay_text(facts: CardFacts) -> None:
    card = write_card(facts)
    assert "<script>" not in card
    assert "[a](b)" not in card
    assert "\n# d" not in card
    assert "````bash\npython -m pipeline run data=csv 'data.path=a```b.csv'\n````" in card
    assert "`data=csv data.path=a'b.csv`" in card
    assert clean("_a_ ~b~") == r"\_a\_ \~b\~"
    head = next(line for line in card.splitlines() if line.startswith("| train |"))
    assert len(re.findall(r"(?<!\\)\|", head)) == 5  # a bar in a name makes no cell


def test_secrets_are_masked_before_they_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_API_KEY", "a_b_c_d_e")
    assert clean("key a_b_c_d_e, db_password=p_w_1") == r"key \*\*\*, db\_password=\*\*\*"
    assert "a" not in clean("a_b_c_d_e of some names", 8)  # nor half of it


def test_a_private_training_is_told_with_its_epsilon(facts: CardFacts) -> None:
    assert "DP-SGD" not in write_card(facts)
    spent = PrivacySpent(
        epsilon=2.94,
        delta=1e-5,
        clip_norm=1.0,
        noise_multiplier=1.1,
        chance=0.1,
        steps=20,
        repeatable=True,
    )
    card = write_card(replace(facts, privacy=spent.describe()))
    assert "any one row (DP-SGD): epsilon 2.94 for delta 1e-05: 20 steps" in card
    assert "- Epsilon is that of this training alone" in card
    assert "- Epsilon holds for the weights. What else comes from the rows is not counted" in card
    assert "- Epsilon holds for one row: of somebody with several of them" in card
    train = replace(facts.prepared.train, files=np.arange(60) // 2)
    of_files = replace(facts, privacy=spent.describe(), prepared=replace(facts.prepared, train=train))
    assert "- Epsilon holds for one excerpt of a file: of" in write_card(of_files)
    assert "- Whoever knows the seed in the command below can take the noise away" in card
    assert "gives the same curve" in card
    secret = write_card(replace(facts, privacy=replace(spent, repeatable=False).describe()))
    assert "Whoever knows" not in secret
    assert "Typed again it draws other noise" in secret


def test_a_model_that_was_not_evaluated_says_how(facts: CardFacts) -> None:
    bare = replace(facts, evaluation=None, metrics={}, tags={}, notes=("97 % validation",))
    card = write_card(bare)
    assert "evaluate trained=RUN_ID record=model" in card
    assert "- 97 % validation" in card
    assert "Energy: not known" in card
