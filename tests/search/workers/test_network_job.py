"""One trial, as a process does it, on tiny data."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.data.prepared import Prepared
from pipeline.errors import DataMissing
from pipeline.evaluation.evaluate import evaluate, shift_splits
from pipeline.hardware import energy
from pipeline.measures import Epoch, Point
from pipeline.models.predictor import make_predictor
from pipeline.search.workers import network_job as job_module
from pipeline.search.workers.job import Job, Limits, Progress, TrialOutcome
from pipeline.search.workers.job_kinds import run_job
from pipeline.search.workers.pool import catch_crash
from pipeline.settings.settings import Settings
from pipeline.training import checkpoints
from pipeline.training.checkpoint_key import get_keyed_path
from pipeline.training.train import train
from tests.support import tiny

DATA = tiny.prepared()
CHANGED = shift_splits(DATA, tiny.told("evaluate.shift=noise evaluate.severities=[3,5]"))
UNBEATABLE = (Point(1.0, 1e-9),)
PARAMETERS = 20 * 6 + 6 + 6 * 3 + 3


@pytest.fixture(autouse=True)
def _tiny_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "load_prepared", lambda _, shift=False: CHANGED if shift else DATA)


def job(words: str = "", place: Path | None = None, **more: object) -> Job:
    return Job(number=7, settings=tiny.told(words), checkpoint=place, **more)  # type: ignore[arg-type]


def done(told: Job, frontier: Sequence[Point] = ()) -> tuple[list[Epoch], TrialOutcome]:
    *epochs, ended = run_job(told, lambda: frontier)
    assert isinstance(ended, TrialOutcome)
    return [each.epoch for each in epochs if isinstance(each, Progress)], ended


def accuracies(ended: TrialOutcome) -> list[float]:
    return [point.accuracy for point in ended.points]


def test_a_whole_trial() -> None:
    epochs, ended = done(job("train.epochs=3"))
    assert [epoch.number for epoch in epochs] == [1, 2, 3]
    assert (ended.status, ended.reason, ended.engine) == ("complete", "", "xla")
    assert ended.curve is not None
    assert ended.curve.epochs == tuple(epochs)
    assert ended.chosen_epoch == epochs[-1]
    assert ended.paid_seconds == epochs[-1].device_seconds > 0
    assert ended.parameters == PARAMETERS
    assert ended.overhead_seconds > 0
    assert (ended.latency_p99_ms, ended.test_accuracy) == (None, None)


def test_a_state_is_that_of_the_weights_that_are_kept_and_tested() -> None:
    """The study had the last epoch's accuracy, and beside it the test accuracy of the best one's weights."""
    words = "train.epochs=9 train.patience=2 optimizer=sgd optimizer.learning_rate=2"
    epochs, ended = done(job(words, read_test=True))
    assert ended.chosen_epoch is not None
    assert ended.chosen_epoch.validation_accuracy > epochs[-1].validation_accuracy
    assert accuracies(ended)[-1] == ended.chosen_epoch.validation_accuracy
    assert accuracies(ended) == sorted(accuracies(ended))
    assert [point.device_seconds for point in ended.points] == [epoch.device_seconds for epoch in epochs]
    settings = tiny.told(words)
    *_, last = train(DATA, settings)
    assert ended.test_accuracy == evaluate(make_predictor(last.build_model()), DATA, settings).test.accuracy


def test_under_shift_accuracies_are_of_changed_samples_and_the_plain_one_stands_beside() -> None:
    words = "train.epochs=6 evaluate.shift=noise evaluate.severities=[3,5]"
    (_, ended), (_, plain) = (
        done(job(words, under_shift=True, read_test=True)),
        done(job(words, read_test=True)),
    )
    assert len(CHANGED.validation) == 2 * len(DATA.validation)
    assert plain.unshifted_accuracy is None
    assert ended.unshifted_accuracy == accuracies(plain)[-1]
    settings = tiny.told(words)
    *_, last = train(DATA, settings)
    found = evaluate(make_predictor(last.build_model()), DATA, settings)
    assert accuracies(ended)[-1] == pytest.approx(found.accuracy_under_shift)
    assert ended.test_accuracy == pytest.approx(found.test_accuracy_under_shift)


def test_under_attack_accuracies_are_of_attacked_samples_and_the_plain_one_stands_beside() -> None:
    words = "train.epochs=6 evaluate.attack=fgsm search.objective=accuracy_under_attack"
    settings = tiny.told(words)
    _, ended = done(job(words, read_test=True, measure=settings.measure))
    *_, last = train(DATA, settings)
    model = last.build_model()
    found = evaluate(make_predictor(model), DATA, settings, model)
    assert accuracies(ended)[-1] == found.attacked.validation.value
    assert ended.test_accuracy == found.attacked.test.value
    assert ended.unshifted_accuracy == pytest.approx(found.validation.accuracy)


def test_as_a_further_objective_it_has_a_value_for_each_epoch_and_nothing_is_paused_for_it() -> None:
    words = "train.epochs=4 evaluate.attack=fgsm search.objectives=[accuracy,cost,accuracy_under_attack]"
    rival = Point(1.0, 1e-9, (0.0001,))
    _, ended = done(job(words, further=("accuracy_under_attack",)), [rival])
    assert ended.status == "complete"
    assert len(ended.further["accuracy_under_attack"]) == 4
    assert all(
        low <= high
        for low, high in zip(ended.further["accuracy_under_attack"], accuracies(ended), strict=True)
    )


def test_a_trial_without_hope_is_paused_and_says_why(tmp_path: Path) -> None:
    epochs, ended = done(job("train.epochs=9", tmp_path / "state.npz"), UNBEATABLE)
    assert len(epochs) == 3  # pruning.least_epochs
    assert ended.status == "paused"
    assert ended.reason.startswith("at best ")
    assert "where the frontier has 100.00% for 1e-09 device-seconds" in ended.reason
    assert ended.paid_seconds == ended.points[-1].device_seconds


def test_the_frontier_is_asked_for_after_each_epoch() -> None:
    known = iter([(), (), (), UNBEATABLE, UNBEATABLE])
    *epochs, ended = run_job(job("train.epochs=9"), lambda: next(known))
    assert isinstance(ended, TrialOutcome)
    assert (len(epochs), ended.status) == (4, "paused")


def test_nobody_is_paused_where_pruning_is_off() -> None:
    assert done(job("train.epochs=5 pruning=none"), UNBEATABLE)[1].status == "complete"


def test_a_paused_trial_goes_on_and_pays_the_difference(tmp_path: Path) -> None:
    place = tmp_path / "state.npz"
    _, paused = done(job("train.epochs=5", place), UNBEATABLE)
    epochs, ended = done(job("train.epochs=5", place))
    assert [epoch.number for epoch in epochs] == [4, 5]
    assert ended.status == "complete"
    assert ended.points[:3] == paused.points
    assert ended.paid_seconds == pytest.approx(ended.points[-1].device_seconds - paused.paid_seconds)
    assert accuracies(ended) == accuracies(done(job("train.epochs=5"))[1])


def test_a_trial_that_was_trained_before_costs_nothing(tmp_path: Path) -> None:
    place = tmp_path / "state.npz"
    _, first = done(job("train.epochs=3", place))
    epochs, ended = done(job("train.epochs=3", place))
    assert epochs == []
    assert (ended.status, ended.paid_seconds, ended.points) == ("complete", 0.0, first.points)
    assert ended.chosen_epoch == first.chosen_epoch
    assert ended.parameters == PARAMETERS


def test_a_longer_state_is_no_beginning_of_a_shorter_trial(tmp_path: Path) -> None:
    place = tmp_path / "state.npz"
    done(job("train.epochs=4", place))
    _, ended = done(job("train.epochs=2", place))
    assert (ended.status, len(ended.points)) == ("complete", 2)


def test_a_state_under_shift_is_no_beginning_of_one_without(tmp_path: Path) -> None:
    """The words of both are the same; the accuracies are of other samples."""
    place, words = tmp_path / "state.npz", "train.epochs=4 evaluate.shift=noise evaluate.severities=[3,5]"
    _, changed = done(job(words, place, under_shift=True))
    epochs, plain = done(job(words, place))
    assert len(epochs) == 4
    assert accuracies(plain) == accuracies(done(job(words))[1]) != accuracies(changed)


def test_a_damaged_checkpoint_is_a_new_beginning(tmp_path: Path) -> None:
    place = tmp_path / "state.npz"
    told = job("train.epochs=2", place)
    get_keyed_path(place, DATA, told.settings).write_bytes(b"half a file")
    assert len(done(told)[0]) == 2


# ---- what a configuration can do wrong --------------------------------------------------------------------


def test_one_that_diverges_has_failed_with_the_reason() -> None:
    _, ended = done(job("train.epochs=9 optimizer=sgd optimizer.learning_rate=999999 model.activation=relu"))
    assert ended.status == "failed"
    assert ended.reason.startswith("the ")
    assert "loss must stay finite" in ended.reason
    assert "set a smaller optimizer.learning_rate" in ended.reason
    # The epoch that diverged was trained, and paid.
    assert ended.paid_seconds > (ended.points[-1].device_seconds if ended.points else 0.0)


def test_one_that_diverges_after_a_pause_pays_the_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "state.npz"
    told = job("train.epochs=2", place)
    done(told)
    before = checkpoints.load(get_keyed_path(place, DATA, told.settings))
    assert before is not None
    train_trial = job_module.train_trial

    def breaking(data: Prepared, settings: Settings, *more: object) -> Iterator[object]:
        for trained in train_trial(data, settings, *more):  # type: ignore[arg-type]
            yield trained
            raise DataMissing("gone")

    monkeypatch.setattr(job_module, "train_trial", breaking)
    _, ended = done(job("train.epochs=4", place))
    assert (ended.status, ended.reason, len(ended.points)) == ("failed", "gone", 3)
    assert 0 < ended.paid_seconds < ended.points[-1].device_seconds
    assert ended.paid_seconds == pytest.approx(
        ended.points[-1].device_seconds - before.curve.last.device_seconds
    )


@pytest.mark.parametrize("error", [MemoryError(), MemoryError("cannot allocate 9 TiB\nwhat a pity")])
def test_one_that_runs_out_of_memory_has_failed(error: MemoryError, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(job_module, "train_trial", train)
    _, ended = done(job())
    assert ended.status == "failed"
    assert ended.reason.startswith("out of memory: ")
    assert "\n" not in ended.reason


def test_one_that_does_not_fit_the_data_has_failed() -> None:
    _, ended = done(job("train.batch_size=1024"))
    assert ended.status == "failed"
    assert ended.reason.startswith("train.batch_size must be ")
    assert ended.paid_seconds == 0


def test_a_bug_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(job_module, "train_trial", train)
    with pytest.raises(ZeroDivisionError, match="of ours"):
        list(run_job(job(), tuple))


# ---- limits -----------------------------------------------------------------------------------------------


def test_a_network_that_is_too_large_is_not_trained() -> None:
    epochs, ended = done(job(limits=Limits(max_parameters=PARAMETERS - 1)))
    assert epochs == []
    assert (ended.status, ended.parameters) == ("failed", PARAMETERS)
    assert ended.reason == f"infeasible: {PARAMETERS} parameters, search.max_parameters={PARAMETERS - 1}"
    assert done(job(limits=Limits(max_parameters=PARAMETERS)))[1].status == "complete"


def test_one_that_was_trained_before_is_still_too_slow(tmp_path: Path) -> None:
    words, place = "profile.repeats=10 profile.warmup=1 train.epochs=1", tmp_path / "state.npz"
    for _ in range(2):
        _, ended = done(job(words, place, limits=Limits(max_latency_ms=1e-6)))
        assert ended.status == "failed"
        assert ended.reason.startswith("infeasible: ")


def test_a_network_that_is_too_slow_fails_with_its_latency() -> None:
    words = "profile.repeats=10 profile.warmup=1 train.epochs=1"
    _, ended = done(job(words, limits=Limits(max_latency_ms=1e-6)))
    assert ended.status == "failed"
    assert ended.latency_p99_ms is not None
    assert ended.reason == (
        f"infeasible: {ended.latency_p99_ms:.3g} ms for one sample (p99), search.max_latency_ms=1e-06"
    )
    _, ended = done(job(words, limits=Limits(max_latency_ms=1e6)))
    assert ended.status == "complete"
    assert ended.latency_p99_ms is not None


def test_the_test_split_is_read_where_it_is_asked_for() -> None:
    _, ended = done(job("train.epochs=2", read_test=True))
    assert ended.test_accuracy is not None
    assert 0 <= ended.test_accuracy <= 1


# ---- further objectives -------------------------------------------------------------------------------

FURTHER = ("latency_ms", "parameters", "size_mb")


@pytest.mark.parametrize("words", ["model.dropout=0.5", "engine=keras model.dropout=0.5"])
def test_further_objectives_are_measured_and_change_nothing_of_the_curve(words: str) -> None:
    _, plain = done(job(words))
    _, measured = done(job(f"{words} profile.repeats=10 profile.warmup=1", further=FURTHER))
    assert accuracies(measured) == accuracies(plain)
    assert [each.train_loss for each in measured.curve.epochs] == [  # type: ignore[union-attr]
        each.train_loss
        for each in plain.curve.epochs  # type: ignore[union-attr]
    ]
    assert plain.further == {}
    assert tuple(measured.further) == FURTHER
    assert measured.further["parameters"] == (PARAMETERS,)
    assert all(value > 0 for (value,) in measured.further.values())


def test_a_trial_is_paused_only_by_what_is_as_good_in_all_that_is_known() -> None:
    small = (Point(1.0, 1e-9, (PARAMETERS,)),)
    large = (Point(1.0, 1e-9, (PARAMETERS + 1,)),)
    told = job("train.epochs=9 pruning.least_epochs=1", further=("parameters",))
    assert done(told, small)[1].status == "paused"
    assert done(told, large)[1].status == "complete"


class Counter:
    """A gauge that counts a joule for each reading."""

    def __init__(self) -> None:
        self.joules = 0.0

    def read(self) -> energy.EnergyReading:
        self.joules += 1
        return energy.EnergyReading(joules=self.joules)

    def strangers(self) -> None:
        return None


def test_energy_adds_up_also_over_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "open_gauge", lambda *_: Counter())
    told = job("train.epochs=2", tmp_path / "a.npz", further=("energy_joules",))
    _, first = done(told)
    one, two = first.further["energy_joules"]
    assert 0 < one < two
    _, further = done(job("train.epochs=3", tmp_path / "a.npz", further=("energy_joules",)))
    assert further.further["energy_joules"][:2] == (one, two)
    assert further.further["energy_joules"][2] > two


def test_epsilon_counts_all_epochs_also_over_a_pause(tmp_path: Path) -> None:
    words = "privacy=dp_sgd privacy.noise_multiplier=2"
    spent = []
    for epochs in (2, 3):
        told = job(f"{words} train.epochs={epochs}", tmp_path / "a.npz", further=("epsilon",))
        _, ended = done(told)
        assert ended.curve is not None
        spent.append(ended.further["epsilon"])
        assert [epoch.epsilon for epoch in ended.curve.epochs] == list(spent[-1])
    assert 0 < spent[0][0] < spent[0][1] < spent[1][2]
    assert spent[1][:2] == spent[0]


def test_energy_that_nobody_reads_fails_the_trial_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "open_gauge", lambda *_: energy.SilentGauge())
    _, ended = done(job(further=("energy_joules",)))
    assert ended.status == "failed"
    assert ended.reason == "energy_joules could not be read; leave it out of search.objectives"
    assert ended.curve is not None
    assert ended.paid_seconds > 0


@pytest.mark.parametrize("model", ["mlp", "custom model.build=tests.support.my_models:build"])
def test_a_state_that_cannot_be_kept_is_not_the_trials_failure(model: str, tmp_path: Path) -> None:
    """As on a full disk: the next trial would fare alike, until all of a study had failed."""
    (tmp_path / "file").write_text("")
    told = job(f"model={model} train.epochs=2", tmp_path / "file" / "state.npz")
    *_, ended = catch_crash(run_job(told, lambda: ()))
    assert isinstance(ended, TrialOutcome)
    assert ended.status == "refused"
    assert ended.reason.startswith(f"cache_dir must be a writable folder with room, got {tmp_path / 'file'}")
