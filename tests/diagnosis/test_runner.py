"""The bench on real digits, and a live walk with two planted remedies that do not pay."""

from dataclasses import replace

import pytest

from pipeline.cli.compose import compose
from pipeline.diagnosis import runner as benches
from pipeline.diagnosis.attempt import Attempt
from pipeline.diagnosis.bottleneck import Remedy, Words
from pipeline.diagnosis.improve import Conclusion, improve
from pipeline.diagnosis.measured_command import CostlyError
from pipeline.diagnosis.runner import TrialFailed, TrialRunner
from pipeline.errors import BadModel, FulcrumError
from pipeline.hardware import device
from pipeline.profiling.breakdown import Part
from pipeline.settings.diagnosis import Aim
from pipeline.settings.settings import Settings
from tests.support import tiny

START: Words = ("model.hidden=32", "train.batch_size=64", "train.epochs=3", "device=cpu")


def settings(words: Words) -> Settings:
    return compose(words).settings


@pytest.fixture
def bench() -> TrialRunner:
    return TrialRunner(settings, Aim.train, device.claim_device(settings(START).device))


@pytest.fixture(scope="module")
def guest() -> TrialRunner:
    return TrialRunner(settings, Aim.train, device.claim_device(settings(START).device))


def test_a_run_repeats_by_its_seed_and_stops_where_it_is_told(bench: TrialRunner) -> None:
    one, two = bench.run(START, 1), bench.run(START, 1, max_epochs=2)
    assert [len(one.epochs), len(two.epochs)] == [3, 2]
    shared = [epoch.validation_accuracy for epoch in one.epochs[:2]]
    assert shared == [epoch.validation_accuracy for epoch in two.epochs]
    assert len(bench.run(START, 1, max_seconds=1e-9).epochs) == 1
    assert bench.run(START, 2).epochs[0].train_loss != one.epochs[0].train_loss


@pytest.mark.parametrize(
    ("build", "said"),
    [
        pytest.param("exits", r"exits, which failed \(SystemExit: that is all", marks=pytest.mark.slow),
        ("raises_what_cannot_be_copied", "raises_what_cannot_be_copied raised RuntimeError: no text either"),
        ("segfaults", "the process of the trial ended before the trial did"),
    ],
)
def test_what_a_network_does_to_its_process_is_said_in_one_line(
    guest: TrialRunner, build: str, said: str
) -> None:
    """All in one process, until the last ends it."""
    words = ("model=custom", f"model.build=tests.support.broken_models:{build}", "device=cpu")
    with pytest.raises((TrialFailed, BadModel), match=said):
        guest.run(words, 1)


def test_a_falling_rate_is_not_cut_short_in_silence(bench: TrialRunner) -> None:
    with pytest.raises(CostlyError):
        bench.run((*START, "schedule=cosine"), 1, max_seconds=1e-9)


def test_with_patience_an_epoch_stands_for_the_best_so_far(bench: TrialRunner) -> None:
    words = (*START, "train.patience=3", "optimizer.learning_rate=0.3", "train.epochs=8")
    reached = [epoch.validation_accuracy for epoch in bench.run(words, 0).epochs]
    assert reached == sorted(reached)


def test_another_number_of_cores_gets_a_process_of_its_own(
    bench: TrialRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        benches, "_train_in_fresh_process", lambda told, *_: asked.append(told.device.threads)
    )
    bench.run((*START, "device.threads=2"), 0)
    assert asked == [2]


def test_an_answer_is_timed_and_scored_as_it_is_served() -> None:
    held = device.claim_device(settings(START).device)
    bench = TrialRunner(settings, Aim.latency, held)
    plain = (*START, "profile.repeats=30")
    one, two = bench.run(plain, 0), bench.run((*plain, "profile.runtime=litert"), 0)
    assert [len(one.epochs), len(two.epochs)] == [1, 1]
    assert one.last.validation_accuracy == pytest.approx(two.last.validation_accuracy, abs=0.01)
    assert two.last.device_seconds < one.last.device_seconds


@pytest.mark.slow
def test_two_planted_remedies_that_do_not_pay_are_reverted_live(
    bench: TrialRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One changes nothing about training, one takes the same steps in Keras' own loop."""
    tiny.quick(monkeypatch)
    everything = frozenset(Part)
    planted = [
        Remedy(
            name="nothing",
            aim=Aim.train,
            cures=everything,
            words=lambda _: ("evaluate.worst=3",),
            remaining_share=lambda _: 0.2,
            risk="none",
        ),
        Remedy(
            name="slower",
            aim=Aim.train,
            cures=everything,
            words=lambda _: ("engine=keras",),
            remaining_share=lambda _: 0.3,
            risk="none",
        ),
    ]
    told = replace(settings(START).diagnose, retimed=1.0)
    events = list(improve(START, 0, bench.run, bench.make_case, told, planted))
    tried = {each.proposal.remedy: each.kept for each in events if isinstance(each, Attempt)}
    assert tried == {"nothing": False, "slower": False}
    last = events[-1]
    assert isinstance(last, Conclusion)
    assert last.result.words == START


def test_a_container_without_shared_memory_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(benches, "ProcessPoolExecutor", refuse)
    with pytest.raises(FulcrumError, match=r"needs /dev/shm, .* \(Read-only file system\); mount one"):
        benches.GuestProcess().train(tiny.BASE, None, None)
