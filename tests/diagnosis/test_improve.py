"""The loop on replayed numbers: what pays is kept, noise is not.

A replayed trial costs and reaches what its words say; its noise is a fixed function of words, seed and call.
"""

import re
import zlib
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from pipeline.diagnosis.attempt import Attempt, Decision
from pipeline.diagnosis.bottleneck import Case, Remedy, Words
from pipeline.diagnosis.improve import BaselineMeasured, Conclusion, Event, SinglePointNamed, improve
from pipeline.diagnosis.measured_command import CostlyError, MeasuredCommand
from pipeline.errors import CacheUnusable, Diverged
from pipeline.measures import Curve, Epoch
from pipeline.profiling.breakdown import Part
from pipeline.settings.diagnosis import Aim, Diagnose
from tests.diagnosis.test_bottleneck import breakdown
from tests.diagnosis.test_bottleneck import case as one_case

START: Words = ("train.epochs=4",)
TOLD = Diagnose(
    aim=Aim.train,
    seeds=3,
    steps=8,
    minutes=60.0,
    tolerance=0.002,
    confidence=0.95,
    accuracy_confidence=0.7,
    least_gain=0.05,
    retimed=0.5,
    save=None,
)


@dataclass
class Replay:
    """Epoch n has accuracy `top - drop / n**2` and costs two seconds, but for what the words say."""

    noise: float = 0.02
    top: float = 0.980
    drop: float = 0.05
    spread: float = 0.0003
    calls: list[tuple[Words, int]] = field(default_factory=list)

    def __call__(
        self, words: Words, seed: int, max_epochs: int | None = None, max_seconds: float | None = None
    ) -> Curve:
        self.calls.append((words, seed))
        told = dict(word.split("=") for word in words)
        if told.get("full"):
            raise CacheUnusable("cache_dir must be a writable folder with room")
        if told.get("diverges"):
            raise Diverged("the loss must stay finite")
        draw = np.random.default_rng([zlib.crc32(" ".join(words).encode()), seed, len(self.calls)])
        of_seed = np.random.default_rng(seed).standard_normal() * self.spread
        each = (
            2.0
            * float(told.get("times", 1))
            * float(told.get("also", 1))
            * float(np.exp(self.noise * draw.standard_normal()))
        )
        fall = float(told.get("fall", 0)) + (float(told.get("fresh_fall", 0)) if seed >= 3 else 0.0)
        epochs = []
        for number in range(1, min(int(told["train.epochs"]), max_epochs or 99) + 1):
            accuracy = self.top + of_seed - self.drop / number**2 - fall
            epochs.append(
                Epoch(
                    number=number,
                    device_seconds=each * number,
                    train_loss=0.1,
                    validation_loss=0.1,
                    validation_accuracy=accuracy,
                )
            )
            if max_seconds is not None and each * number > max_seconds:
                if told.get("unfair"):
                    raise CostlyError
                break
        return Curve("a CPU", not told.get("unfair"), tuple(epochs))


def look(here: MeasuredCommand, enough: int) -> Case:
    parts = breakdown(overhead=0.6, forward=0.2, backward=0.1, update=0.05, input=0.05)
    return replace(one_case(), breakdown=parts, epochs=here.epoch, enough_epochs=enough)


def remedy(name: str, *words: str, left: float = 0.5) -> Remedy:
    """Proposed once for every command line that it would change."""
    return Remedy(
        name=name,
        aim=Aim.train,
        cures=frozenset({Part.overhead}),
        words=lambda _: words,
        remaining_share=lambda _: left,
        risk="none",
    )


def events(run: Replay, *remedies: Remedy, told: Diagnose = TOLD) -> list[Event]:
    return list(improve(START, 0, run, look, told, remedies))


def attempts(found: list[Event]) -> dict[str, Attempt]:
    return {each.proposal.remedy: each for each in found if isinstance(each, Attempt)}


def end(found: list[Event]) -> Conclusion:
    last = found[-1]
    assert isinstance(last, Conclusion)
    return last


# ---- kept and reverted --------------------------------------------------------------------------------


def test_a_remedy_that_does_nothing_and_one_that_is_slower_are_reverted() -> None:
    found = events(Replay(), remedy("nothing", "idle=1", left=0.3), remedy("slower", "times=1.5"))
    tried = attempts(found)
    assert set(tried) == {"nothing", "slower"}
    assert not any(each.kept for each in tried.values())
    assert tried["nothing"].reason.startswith("no gain beyond noise: ")
    assert {each.decision for each in tried.values()} == {Decision.refused}
    assert "dearer" in tried["slower"].reason or tried["slower"].after is None
    assert end(found).result.words == START
    assert end(found).reason == "no other remedy is expected to pay"
    assert end(found).fresh_accuracies == ()


def test_a_remedy_that_pays_is_kept_and_the_next_stands_on_it() -> None:
    found = events(Replay(), remedy("first", "times=0.5"), remedy("second", "also=0.4", left=0.6))
    tried = attempts(found)
    assert tried["first"].kept
    assert tried["first"].gain == pytest.approx(2, rel=0.1)
    assert tried["second"].before.words == tried["first"].after.words if tried["first"].after else False
    assert tried["second"].kept
    assert end(found).result.words == ("times=0.5", "also=0.4", "train.epochs=4")
    assert len(end(found).fresh_accuracies) == 3


def test_the_same_words_under_another_name_are_not_measured_again() -> None:
    tried = attempts(events(Replay(), remedy("one", "idle=1", left=0.3), remedy("other", "idle=1", left=0.4)))
    assert set(tried) == {"one"}


def test_accuracy_that_falls_beyond_the_tolerance_reverts_however_cheap() -> None:
    tried = attempts(events(Replay(), remedy("dull", "times=0.1", "fall=0.01")))
    assert not tried["dull"].kept
    assert "far from" in tried["dull"].reason


def test_small_falls_do_not_add_up_beyond_the_tolerance() -> None:
    """Each loses 0.15 points of the 0.2 allowed; the second would lose 0.3 against the first command line."""
    steps = [remedy(f"step {n}", f"times={0.5**n}", f"fall={0.0015 * n}", left=0.4 + 0.1 * n) for n in (1, 2)]
    tried = attempts(events(Replay(), *steps))
    assert [tried[name].kept for name in ("step 1", "step 2")] == [True, False]


def test_a_disk_that_is_full_is_no_remedys_fault() -> None:
    with pytest.raises(CacheUnusable):
        events(Replay(), remedy("wide", "full=1", "times=0.1"))


def test_a_trial_that_diverges_is_an_attempt_that_was_reverted() -> None:
    tried = attempts(events(Replay(), remedy("wild", "diverges=1", "times=0.1")))
    assert tried["wild"].reason == "cannot be trained: the loss must stay finite"
    assert tried["wild"].after is None


def test_a_falling_rate_that_grows_too_dear_is_stopped() -> None:
    tried = attempts(events(Replay(), remedy("dear", "unfair=1", "times=3")))
    assert tried["dear"].reason == "costs more than the command line that it should replace"


def test_a_timing_that_grows_too_dear_on_the_way_counts_by_the_epochs_it_had() -> None:
    class Disturbed(Replay):
        """From the second round on the new command line is stopped in its third epoch of four."""

        def __call__(
            self, words: Words, seed: int, max_epochs: int | None = None, max_seconds: float | None = None
        ) -> Curve:
            again = len(self.calls) >= 9 and "times=0.9" in words
            return super().__call__(words, seed, max_epochs, 4.6 if again else max_seconds)

    run = Disturbed(noise=0.06)
    after = attempts(events(run, remedy("somewhat", "times=0.9")))["somewhat"].after
    assert after is not None
    assert len(after.costs) > 3  # timed again
    assert all(cost == pytest.approx(7.2, rel=0.25) for cost in after.costs)


def test_the_result_has_as_many_epochs_as_it_needed() -> None:
    """Twice as quick to learn: a quarter of the drop is left after half of the epochs."""
    run = Replay(drop=0.004)
    found = events(run, remedy("quick", "times=0.5"))
    result = end(found).result
    assert result.words == ("times=0.5", "train.epochs=2")
    assert result.epoch == 2


def test_epochs_that_bought_nothing_go_without_a_run_more() -> None:
    def enough(case: Case) -> Words | None:
        return (f"train.epochs={case.enough_epochs}",) if case.enough_epochs < case.epochs else None

    stop = Remedy(
        name="stop",
        aim=Aim.train,
        cures=frozenset({Part.surplus}),
        words=enough,
        remaining_share=lambda c: c.enough_epochs / c.epochs,
        risk="none",
    )
    run = Replay(drop=0.004)
    found = []
    for event in improve(START, 0, run, look, TOLD, [stop]):
        found.append(event)
        if isinstance(event, Attempt):
            assert len(run.calls) == 3  # the baseline's alone
    tried = attempts(found)
    assert tried["stop"].kept
    assert tried["stop"].gain == pytest.approx(2)
    assert end(found).result.words == ("train.epochs=2",)


def test_no_remedy_is_credited_with_epochs_that_were_not_needed_before_either() -> None:
    """Two of the four epochs are surplus; a remedy that does nothing also stops after two."""
    tried = attempts(events(Replay(drop=0.004), remedy("nothing", "idle=1")))
    assert not tried["nothing"].kept
    assert tried["nothing"].before.epoch == 2


def test_a_walk_to_quicker_answers_leaves_training_alone() -> None:
    """What is measured there is one number, in a curve of one epoch, whatever the training took."""

    def answer(words: Words, seed: int, *_limits: float | None) -> Curve:
        return Curve("a CPU", True, Replay()(("train.epochs=1", *words[1:]), seed).epochs)

    served = replace(remedy("served", "times=0.1"), aim=Aim.latency)

    def look_at_answer(here: MeasuredCommand, enough: int) -> Case:
        return replace(look(here, enough), aim=Aim.latency)

    told = replace(TOLD, aim=Aim.latency)
    found = list(improve(("train.epochs=7",), 0, answer, look_at_answer, told, [served]))
    assert end(found).result.words == ("train.epochs=7", "times=0.1")


# ---- noise --------------------------------------------------------------------------------------------


def test_a_walk_over_remedies_that_do_nothing_is_hardly_ever_fooled() -> None:
    """Sixty walks with eight idle remedies each on a noisy machine; 5 % may be fooled, so hardly 7 of 60."""
    fooled = 0
    for number in range(60):
        idle = [remedy(f"idle {n}", f"idle={number * 100 + n}") for n in range(8)]
        fooled += any(each.kept for each in attempts(events(Replay(noise=0.15), *idle)).values())
    assert fooled <= 6


def test_pairs_are_of_the_same_seed_and_take_turns_in_order() -> None:
    run = Replay()
    events(run, remedy("half", "times=0.5"))
    pairs = run.calls[3:9]
    assert [seed for _, seed in pairs] == [0, 0, 1, 1, 2, 2]
    first = ["times=0.5" in words for words, _ in pairs]
    assert first == [False, True, True, False, False, True]


def test_a_doubtful_gain_is_timed_more_often() -> None:
    clear = attempts(events(Replay(noise=0.001), remedy("gain", "times=0.7")))["gain"]
    doubtful = attempts(events(Replay(noise=0.04), remedy("gain", "times=0.7")))["gain"]
    assert clear.after is not None
    assert doubtful.after is not None
    assert len(clear.after.costs) == 3
    assert len(doubtful.after.costs) > 3


# ---- one verdict, from the pairs -------------------------------------------------------------------------


def test_a_machine_that_slows_down_changes_no_verdict() -> None:
    """After the baseline all takes twice as long; by the clock alone a remedy that halves saves nothing."""

    class Slowing(Replay):
        def __call__(
            self, words: Words, seed: int, max_epochs: int | None = None, max_seconds: float | None = None
        ) -> Curve:
            factor = 1.0 if len(self.calls) < 3 else 2.0
            limit = None if max_seconds is None else max_seconds / factor
            curve = super().__call__(words, seed, max_epochs, limit)
            return replace(
                curve,
                epochs=tuple(
                    replace(each, device_seconds=factor * each.device_seconds) for each in curve.epochs
                ),
            )

    found = events(Slowing(), remedy("half", "times=0.5"), remedy("third", "also=0.33", left=0.6))
    half, third = attempts(found)["half"], attempts(found)["third"]
    conclusion, baseline = end(found), half.before.point.device_seconds
    assert half.gain == pytest.approx(2, rel=0.1)
    assert third.gain == pytest.approx(3, rel=0.1)
    assert conclusion.gain is not None
    assert conclusion.gain.times == pytest.approx((half.gain or 0) * (third.gain or 0))
    assert conclusion.gain.by_epochs == pytest.approx(1)
    assert baseline / conclusion.result.point.device_seconds == pytest.approx(conclusion.gain.times)
    assert conclusion.gain.low < conclusion.gain.times < conclusion.gain.high
    assert half.after is not None
    assert half.timings[0][0] == pytest.approx(2 * half.before.costs[0], rel=0.2), "as they were measured"


def test_one_attempt_and_the_verdict_say_the_same() -> None:
    found = events(Replay(), remedy("half", "times=0.5"))
    half, gain = attempts(found)["half"], end(found).gain
    assert gain is not None
    assert gain.times == pytest.approx(half.gain)
    assert (gain.low, gain.high) == pytest.approx(half.gain_interval)
    assert half.reason.startswith(f"{gain.format()}, {len(half.timings)} pairs; ")


def test_epochs_that_were_not_needed_are_told_apart_from_pairs() -> None:
    """Half of the four epochs are surplus, and the remedy halves what is left."""
    found = events(Replay(drop=0.004), remedy("half", "times=0.5"))
    gain = end(found).gain
    assert gain is not None
    assert gain.by_epochs == pytest.approx(2)
    assert gain.by_pairs == pytest.approx(2, rel=0.1)
    assert gain.format().endswith(f": {gain.by_pairs:.3g}x by pairs, 2x by the number of epochs")
    assert "pairs against the 2 of 4 epochs that were needed" in attempts(found)["half"].reason


def find_promising(minutes: float, seconds: float = 10.0) -> tuple[Attempt, Replay]:
    """Try a remedy that saves a third on a noisy machine, where each run takes so many seconds."""
    run = Replay(noise=0.3)
    told = replace(TOLD, minutes=minutes, steps=16)
    found = list(
        improve(
            START, 0, run, look, told, [remedy("third", "times=0.6")], clock=lambda: seconds * len(run.calls)
        )
    )
    return attempts(found)["third"], run


def test_what_would_pass_one_test_but_not_all_is_promising_and_says_what_would_settle_it() -> None:
    attempt, _ = find_promising(minutes=2)
    assert (attempt.decision, attempt.kept) == (Decision.promising, False)
    assert attempt.cost is not None
    assert TOLD.confidence <= attempt.cost.confidence < attempt.needed
    low, high = attempt.gain_interval or (0, 0)
    assert low < 1 / (1 - TOLD.least_gain) < (attempt.gain or 0) < high
    matched = re.fullmatch(
        r"promising, not proven: ([\d.]+)x cheaper \(([\d.]+)x to ([\d.]+)x\), 12 pairs; "
        r"diagnose\.minutes=(\d+) would settle it",
        attempt.reason,
    )
    assert matched, attempt.reason
    advised = int(matched[4])
    assert advised > 2
    settled, _ = find_promising(minutes=advised)
    assert len(settled.timings) > 12, "so many minutes are spent on it"
    assert settled.decision is Decision.accepted


def test_pairs_are_doubled_as_long_as_half_of_the_time_that_is_left_allows_it() -> None:
    attempt, run = find_promising(minutes=1000)
    assert attempt.decision is Decision.accepted
    assert len(attempt.timings) in (24, 48, 96)
    assert len(run.calls) == 3 + 2 * len(attempt.timings) + 3  # baseline, pairs, fresh seeds


# ---- the end ------------------------------------------------------------------------------------------


def test_what_fresh_seeds_speak_against_is_stepped_back_from() -> None:
    found = events(
        Replay(), remedy("sound", "times=0.5"), remedy("lucky", "also=0.4", "fresh_fall=0.01", left=0.6)
    )
    assert all(each.kept for each in attempts(found).values())
    assert end(found).result.words == ("times=0.5", "train.epochs=4")
    assert [each.words for each in end(found).rejected] == [
        ("times=0.5", "also=0.4", "fresh_fall=0.01", "train.epochs=4")
    ]


def test_fresh_seeds_may_ask_for_more_epochs() -> None:
    """After two epochs the three seeds have what is wanted, the fresh ones after three."""
    run = Replay(drop=0.004, spread=0.0001)
    found = events(run, remedy("quick", "times=0.5", "fresh_fall=0.0016"))
    assert attempts(found)["quick"].words[-1] == "train.epochs=2"
    assert end(found).lengthened
    gain = end(found).gain
    assert gain is not None
    assert gain.times == pytest.approx(gain.by_pairs * 4 / 3)
    assert end(found).result.words[-1] == "train.epochs=3"
    assert end(found).rejected == ()


def test_the_budgets_end_a_walk() -> None:
    many = [remedy(f"idle {n}", f"idle={n}") for n in range(6)]
    assert (
        end(events(Replay(), *many, told=replace(TOLD, steps=2))).reason
        == "the budget of 2 attempts is spent"
    )
    run = Replay()
    late = list(
        improve(START, 0, run, look, replace(TOLD, minutes=1), many, clock=lambda: 7.0 * len(run.calls))
    )
    assert len(attempts(late)) == 1
    assert end(late).reason == "the budget of 1 minute is spent"


def test_the_single_point_is_named_also_where_the_baseline_took_all_of_the_time() -> None:
    run = Replay()
    found = list(
        improve(
            START,
            0,
            run,
            look,
            replace(TOLD, minutes=1),
            [remedy("half", "times=0.5")],
            clock=lambda: 90.0 * len(run.calls),
        )
    )
    assert [type(each) for each in found] == [BaselineMeasured, SinglePointNamed, Conclusion]
    assert end(found).reason == "the budget of 1 minute is spent"
    assert end(found).gain is None


def test_events_come_in_order() -> None:
    found = events(Replay(), remedy("half", "times=0.5"))
    assert [type(each) for each in found] == [
        BaselineMeasured,
        SinglePointNamed,
        Attempt,
        SinglePointNamed,
        Conclusion,
    ]
