"""Breakdown in, verdict out."""

from dataclasses import replace

import pytest

from pipeline.cli.compose import compose
from pipeline.diagnosis.bottleneck import Case, Remedy, Words, diagnose
from pipeline.diagnosis.paired_attempt import apply
from pipeline.diagnosis.remedies import REMEDIES
from pipeline.profiling.breakdown import Breakdown, Part, Span
from pipeline.profiling.roofline import Ceilings, Roofline, Work
from pipeline.settings.diagnosis import Aim
from pipeline.settings.settings import option_name
from pipeline.settings.training import Engine
from tests.support import tiny

CEILINGS = Ceilings("a CPU", {"float32": 5e10, "bfloat16": 1e11, "float16": 1e11}, [(2**30, 2e10)])


def breakdown(**shares: float) -> Breakdown:
    """A second an epoch, in these shares."""
    parts = {Part[name]: Span(share, share, share, "told") for name, share in shares.items()}
    of = "answer" if "compute" in shares else "epoch"
    return Breakdown(of, Span(1.0, 1.0, 1.0, "told"), parts, {}, 100, "xla", "a CPU")


def case(words: str = "", epochs: int = 10, enough: int = 10, kind: str = "cpu", **shares: float) -> Case:
    shares = shares or {"overhead": 0.71, "forward": 0.1, "backward": 0.1, "update": 0.05, "input": 0.04}
    found = breakdown(**shares)
    roofline = Roofline(Work(1e6, 1e6, 1e6), 5e10, 2e10, 0.01, found.share(Part.overhead), "float32")
    aim = Aim.latency if "compute" in shares else Aim.train
    settings = tiny.told(words)
    return Case(settings, aim, found, epochs, enough, 54_000, Engine.xla, kind, roofline, CEILINGS)


def test_the_largest_part_is_the_single_point_with_its_amdahl_bound() -> None:
    verdict = diagnose(case(), REMEDIES)
    assert verdict.part is Part.overhead
    assert verdict.share == pytest.approx(0.71)
    assert verdict.limit == pytest.approx(1 / 0.29)
    assert verdict.sentence == (
        "overhead (starting steps and kernels, no arithmetic) is 71% of an epoch (100 steps of 4 samples); "
        "if it vanished, 3.4x"
    )


def test_epochs_that_bought_nothing_can_be_the_single_point() -> None:
    verdict = diagnose(case(epochs=10, enough=2, overhead=0.5, forward=0.5), REMEDIES)
    assert verdict.part is Part.surplus
    assert verdict.sentence.startswith("8 of 10 epochs came after the accuracy was reached: 80% of the cost")
    assert verdict.proposals[0].words == ("train.epochs=2",)
    assert verdict.proposals[0].gain == pytest.approx(5)


def test_shares_of_the_cost_come_to_one() -> None:
    assert sum(case(epochs=10, enough=6).shares().values()) == pytest.approx(1)


def test_remedies_of_the_bottleneck_come_first_and_the_best_of_them_before_the_others() -> None:
    proposals = [each for each in diagnose(case(), REMEDIES).proposals if not each.gives_up]
    cures = [each.for_bottleneck for each in proposals]
    assert cures == sorted(cures, reverse=True)
    gains = [each.gain for each in proposals if each.for_bottleneck]
    assert gains == sorted(gains, reverse=True)


def test_what_gives_up_accuracy_waits_until_all_others_had_their_turn() -> None:
    proposals = diagnose(case("model.hidden=512", forward=0.5, backward=0.5), REMEDIES).proposals
    assert [each.gives_up for each in proposals] == sorted(each.gives_up for each in proposals)
    assert proposals[-1].remedy == "half as wide a network"
    assert proposals[-1].for_bottleneck


def test_what_failed_is_not_proposed_again() -> None:
    first = diagnose(case(), REMEDIES).proposals[0].remedy
    assert first not in [each.remedy for each in diagnose(case(), REMEDIES, {first}).proposals]


def test_a_remedy_of_ones_own_is_one_entry() -> None:
    def words(case: Case) -> Words | None:
        return ("model.layers=1",) if case.epochs > 3 else None

    own = Remedy("own", Aim.train, frozenset({Part.overhead}), words, lambda _: 0.01, "none")
    assert diagnose(case(), [*REMEDIES, own]).proposals[0].remedy == "own"
    assert "own" not in [each.remedy for each in diagnose(case(epochs=2, enough=2), [own]).proposals]


def test_the_aims_keep_to_their_own_remedies() -> None:
    names = {each.remedy for each in diagnose(case(overhead=0.9, compute=0.1), REMEDIES).proposals}
    assert "LiteRT" in names
    assert not names & {each.name for each in REMEDIES if each.aim is Aim.train}


# ---- the table ----------------------------------------------------------------------------------------

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
    for proposal in diagnose(one, REMEDIES).proposals:
        optimizer = f"optimizer={option_name(type(one.settings.optimizer))}"
        compose(apply((optimizer,), proposal.words))
        assert proposal.risk


def test_every_remedy_is_proposed_for_some_case() -> None:
    proposed = {each.remedy for one in CASES for each in diagnose(one, REMEDIES).proposals}
    idle = {each.name for each in REMEDIES} - proposed
    assert not idle


def test_names_of_remedies_differ() -> None:
    assert len({each.name for each in REMEDIES}) == len(REMEDIES)


def test_a_larger_batch_leaves_steps_and_scales_the_rate() -> None:
    one = case("train.batch_size=1 optimizer=sgd optimizer.learning_rate=0.01", overhead=0.9, forward=0.1)
    words = dict(
        word.split("=")
        for each in diagnose(one, REMEDIES).proposals
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
    slow = Roofline(Work(1e6, 2e6, 2e6), 5e10, 2e10, 1e-4, 0.0, "float32")
    first = diagnose(replace(one, roofline=slow), REMEDIES).proposals[0]
    assert first.remedy == "larger batch, rate in proportion"
    assert first.words[0] in ("train.batch_size=16", "train.batch_size=32", "train.batch_size=64")


def test_a_type_that_the_device_has_no_fast_products_for_is_left_alone() -> None:
    slow = replace(CEILINGS, flops={"float32": 5e10, "bfloat16": 1e10})
    names = [each.remedy for each in diagnose(replace(case(), ceilings=slow), REMEDIES).proposals]
    assert "bfloat16" not in names
    assert "bfloat16" in [each.remedy for each in diagnose(case(), REMEDIES).proposals]
