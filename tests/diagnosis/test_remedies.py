"""The table of remedies: each one composes, and is proposed for some case."""

from dataclasses import replace

import pytest

from pipeline.cli.compose import compose
from pipeline.diagnosis.bottleneck import Case, find_bottleneck
from pipeline.diagnosis.measured_command import apply_overrides
from pipeline.diagnosis.remedies import REMEDIES
from pipeline.profiling.roofline import Roofline, StepWork
from pipeline.settings.kinds import option_name
from pipeline.settings.training import Engine
from tests.diagnosis.test_bottleneck import CEILINGS, case

CASES = [
    case(),
    case("train.batch_size=1 optimizer=sgd optimizer.learning_rate=0.01", enough=6, backward=0.6, update=0.4),
    case("schedule=cosine preprocess.standardise=none model.hidden=64"),
    case("device.threads=2 engine=keras"),
    case("preprocess.standardise=none"),
    case("optimizer=sgd train.batch_size=64 model.hidden=128", kind="gpu"),
    replace(case("engine=keras"), loop=Engine.keras),
    replace(case(), loop=Engine.graph),
    replace(case("model.hidden=128", forward=0.5, backward=0.5), images=True),
    case(overhead=0.5, compute=0.5),
    case("profile.runtime=litert model.hidden=64", overhead=0.1, compute=0.9),
]


@pytest.mark.parametrize("one", CASES)
def test_every_override_is_one_that_can_be_composed(one: Case) -> None:
    for proposal in find_bottleneck(one, REMEDIES).proposals:
        optimizer = f"optimizer={option_name(type(one.settings.optimizer))}"
        compose(apply_overrides((optimizer,), proposal.words))
        assert proposal.risk


def test_every_remedy_is_proposed_for_some_case() -> None:
    proposed = {each.remedy for one in CASES for each in find_bottleneck(one, REMEDIES).proposals}
    idle = {each.name for each in REMEDIES} - proposed
    assert not idle


def test_names_of_remedies_differ() -> None:
    assert len({each.name for each in REMEDIES}) == len(REMEDIES)


def test_a_larger_batch_leaves_steps_and_scales_the_rate() -> None:
    one = case("train.batch_size=1 optimizer=sgd optimizer.learning_rate=0.01", overhead=0.9, forward=0.1)
    words = dict(
        word.split("=")
        for each in find_bottleneck(one, REMEDIES).proposals
        if each.remedy == "larger batch, rate in proportion"
        for word in each.words
    )
    batch = int(words["train.batch_size"])
    assert 1 < batch <= 512
    assert 54_000 // batch >= 40
    assert float(words["optimizer.learning_rate"]) == pytest.approx(min(0.5, 0.01 * batch), rel=0.01)


def test_single_samples_on_a_busy_memory_are_put_in_batches_of_dozens() -> None:
    """A step of batch 1 that does nothing but products, five times slower than its arithmetic would be."""
    one = case("train.batch_size=1 optimizer=sgd optimizer.learning_rate=0.01", forward=0.4, backward=0.6)
    slow = Roofline(
        work=StepWork(1e6, 2e6, 2e6),
        peak=5e10,
        bandwidth=2e10,
        seconds=1e-4,
        overhead=0.0,
        precision="float32",
    )
    first = find_bottleneck(replace(one, roofline=slow), REMEDIES).proposals[0]
    assert first.remedy == "larger batch, rate in proportion"
    assert first.words[0] in ("train.batch_size=16", "train.batch_size=32", "train.batch_size=64")


def test_a_type_that_the_device_has_no_fast_products_for_is_left_alone() -> None:
    slow = replace(CEILINGS, flops={"float32": 5e10, "bfloat16": 1e10})
    names = [each.remedy for each in find_bottleneck(replace(case(), ceilings=slow), REMEDIES).proposals]
    assert "bfloat16" not in names
    assert "bfloat16" in [each.remedy for each in find_bottleneck(case(), REMEDIES).proposals]
