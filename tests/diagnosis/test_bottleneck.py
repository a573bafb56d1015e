"""Breakdown in, verdict out."""

import pytest

from pipeline.diagnosis.bottleneck import Case, Remedy, Words, find_bottleneck
from pipeline.diagnosis.remedies import REMEDIES
from pipeline.profiling.breakdown import Breakdown, Part, Span
from pipeline.profiling.roofline import DevicePeaks, Roofline, StepWork
from pipeline.settings.diagnosis import Aim
from pipeline.settings.training import Engine
from tests.support import tiny

CEILINGS = DevicePeaks("a CPU", {"float32": 5e10, "bfloat16": 1e11, "float16": 1e11}, [(2**30, 2e10)])


def breakdown(**shares: float) -> Breakdown:
    """A second an epoch, in these shares."""
    parts = {Part[name]: Span(share, share, share, "told") for name, share in shares.items()}
    of = "answer" if "compute" in shares else "epoch"
    return Breakdown(
        of=of,
        whole=Span(1.0, 1.0, 1.0, "told"),
        parts=parts,
        beside={},
        steps=100,
        loop="xla",
        device="a CPU",
    )


def case(words: str = "", epochs: int = 10, enough: int = 10, kind: str = "cpu", **shares: float) -> Case:
    shares = shares or {"overhead": 0.71, "forward": 0.1, "backward": 0.1, "update": 0.05, "input": 0.04}
    found = breakdown(**shares)
    roofline = Roofline(
        work=StepWork(1e6, 1e6, 1e6),
        peak=5e10,
        bandwidth=2e10,
        seconds=0.01,
        overhead=found.share(Part.overhead),
        precision="float32",
    )
    aim = Aim.latency if "compute" in shares else Aim.train
    settings = tiny.told(words)
    return Case(
        settings=settings,
        aim=aim,
        breakdown=found,
        epochs=epochs,
        enough_epochs=enough,
        rows=54_000,
        loop=Engine.xla,
        kind=kind,
        roofline=roofline,
        ceilings=CEILINGS,
    )


def test_the_largest_part_is_the_single_point_with_its_amdahl_bound() -> None:
    verdict = find_bottleneck(case(), REMEDIES)
    assert verdict.component is Part.overhead
    assert verdict.share == pytest.approx(0.71)
    assert verdict.limit == pytest.approx(1 / 0.29)
    assert verdict.sentence == (
        "overhead (starting steps and kernels, no arithmetic) is 71% of an epoch (100 steps of 4 samples); "
        "if it vanished, 3.4x"
    )


def test_epochs_that_bought_nothing_can_be_the_single_point() -> None:
    verdict = find_bottleneck(case(epochs=10, enough=2, overhead=0.5, forward=0.5), REMEDIES)
    assert verdict.component is Part.surplus
    assert verdict.sentence.startswith("8 of 10 epochs came after the accuracy was reached: 80% of the cost")
    assert verdict.proposals[0].words == ("train.epochs=2",)
    assert verdict.proposals[0].gain == pytest.approx(5)


def test_shares_of_the_cost_come_to_one() -> None:
    assert sum(case(epochs=10, enough=6).compute_shares().values()) == pytest.approx(1)


def test_remedies_of_the_bottleneck_come_first_and_the_best_of_them_before_the_others() -> None:
    proposals = [each for each in find_bottleneck(case(), REMEDIES).proposals if not each.gives_up]
    cures = [each.for_bottleneck for each in proposals]
    assert cures == sorted(cures, reverse=True)
    gains = [each.gain for each in proposals if each.for_bottleneck]
    assert gains == sorted(gains, reverse=True)


def test_what_gives_up_accuracy_waits_until_all_others_had_their_turn() -> None:
    proposals = find_bottleneck(case("model.hidden=512", forward=0.5, backward=0.5), REMEDIES).proposals
    assert [each.gives_up for each in proposals] == sorted(each.gives_up for each in proposals)
    assert proposals[-1].remedy == "half as wide a network"
    assert proposals[-1].for_bottleneck


def test_a_linear_model_has_no_width_to_halve() -> None:
    proposals = find_bottleneck(case("model.layers=0", forward=0.5, backward=0.5), REMEDIES).proposals
    assert not [proposal for proposal in proposals if "half as wide" in proposal.remedy]


def test_what_failed_is_not_proposed_again() -> None:
    first = find_bottleneck(case(), REMEDIES).proposals[0].remedy
    assert first not in [each.remedy for each in find_bottleneck(case(), REMEDIES, {first}).proposals]


def test_a_remedy_of_ones_own_is_one_entry() -> None:
    def words(case: Case) -> Words | None:
        return ("model.layers=1",) if case.epochs > 3 else None

    own = Remedy(
        name="own",
        aim=Aim.train,
        cures=frozenset({Part.overhead}),
        words=words,
        remaining_share=lambda _: 0.01,
        risk="none",
    )
    assert find_bottleneck(case(), [*REMEDIES, own]).proposals[0].remedy == "own"
    assert "own" not in [each.remedy for each in find_bottleneck(case(epochs=2, enough=2), [own]).proposals]


def test_the_aims_keep_to_their_own_remedies() -> None:
    names = {each.remedy for each in find_bottleneck(case(overhead=0.9, compute=0.1), REMEDIES).proposals}
    assert "LiteRT" in names
    assert not names & {each.name for each in REMEDIES if each.aim is Aim.train}
