"""Whose a second is."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from pipeline.backend import tf
from pipeline.hardware import stopwatch
from pipeline.hardware.contention import ContentionVerdict, Reading
from pipeline.hardware.device import ClaimedDevice
from pipeline.hardware.energy import EnergyReading, SilentGauge
from pipeline.hardware.stopwatch import Stopwatch
from pipeline.measures import PowerDraw, Seconds


def test_stopwatch_adds_up_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    now = iter([10.0, 11.0, 20.0, 22.5, 30.0, 30.25])
    monkeypatch.setattr(tf.test.experimental, "sync_devices", lambda: events.append("wait"))
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: events.append("read") or next(now))
    watch = Stopwatch(ClaimedDevice("cpu", "x", 2, "/CPU:0"))
    for part in ("train", "train", "validate"):
        with watch.time(part):
            events.append("work")
    assert watch.seconds == Seconds(train=3.5, validate=0.25)
    assert watch.device_seconds == 7.0
    assert events[:5] == ["wait", "read", "work", "wait", "read"]


def test_a_block_that_raises_is_not_counted() -> None:
    watch = Stopwatch(ClaimedDevice("cpu", "x", 1, "/CPU:0"))
    with pytest.raises(ValueError, match="no"), watch.time("train"):
        raise ValueError("no")
    assert watch.seconds == Seconds()


class Recorded:
    """A CPU that draws 30 W, and a process that gets half of its core in the second of three epochs."""

    def __init__(self) -> None:
        self._readings = iter(
            [
                Reading(wall=0.0, cpu=0.0, busy=0.0, delayed=0.0),
                Reading(wall=0.0, cpu=0.0, busy=0.0, delayed=0.0),
                Reading(wall=2.0, cpu=2.0, busy=2.0, delayed=0.0),
                Reading(wall=5.0, cpu=2.0, busy=2.0, delayed=0.0),
                Reading(wall=9.0, cpu=4.0, busy=6.0, delayed=2.0),
                Reading(wall=9.0, cpu=4.0, busy=6.0, delayed=2.0),
                Reading(wall=11.0, cpu=6.0, busy=8.0, delayed=2.0),
            ]
        )
        self._joules = iter([0.0, 60.0, 60.0, 180.0, 180.0, 240.0])

    def read(self) -> Reading:
        return next(self._readings)

    def gauge(self) -> "RecordedGauge":
        return RecordedGauge(self._joules)


class RecordedGauge:
    def __init__(self, joules: Iterator[float]) -> None:
        self._joules = joules

    def read(self) -> EnergyReading:
        return EnergyReading(joules=next(self._joules))

    def strangers(self) -> None:
        return None


def test_what_others_took_is_measured_but_no_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 2.0, 5.0, 9.0, 9.0, 11.0])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(now))
    recorded = Recorded()
    watch = Stopwatch(ClaimedDevice("cpu", "x", 1, "/CPU:0"), recorded, recorded.gauge())
    told = []
    for _ in range(3):
        with watch.time_epoch():
            pass
        told.append((watch.verdict, watch.device_seconds, watch.lost_seconds))
    assert told == [
        (ContentionVerdict(False, 1.0), 2.0, 0.0),
        (ContentionVerdict(True, 0.5), 4.0, 2.0),
        (ContentionVerdict(False, 1.0), 6.0, 2.0),
    ]
    assert watch.seconds.train == 8.0
    assert watch.drawn.joules == 240.0


def test_a_gpu_that_tells_nothing_is_a_device_like_any_other() -> None:
    watch = Stopwatch(ClaimedDevice("gpu", "x", 1, "/GPU:0"), gauge=SilentGauge())
    with watch.time_epoch():
        pass
    assert (watch.verdict, watch.drawn, watch.lost_seconds) == (
        ContentionVerdict(False, None),
        PowerDraw(),
        0.0,
    )


class Neighbour:
    """An epoch of one second that got half of its core, then laps of which two in three are clean."""

    def __init__(self) -> None:
        self.now, self.delayed, self._lap = 0.0, 0.0, 0

    def read(self) -> Reading:
        return Reading(wall=self.now, cpu=self.now - self.delayed, busy=self.now, delayed=self.delayed)

    def epoch(self) -> None:
        self.now, self.delayed = self.now + 1.0, self.delayed + 0.5

    def lap(self, steps: int) -> None:
        self._lap += 1
        taken = 0.01 if self._lap % 3 == 0 else 0.0
        self.now, self.delayed = self.now + 0.001 + 0.004 * steps + taken, self.delayed + taken


def test_short_repeats_tell_what_a_disturbed_epoch_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    neighbour = Neighbour()
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: neighbour.now)
    watch = Stopwatch(ClaimedDevice("cpu", "x", 1, "/CPU:0"), neighbour, SilentGauge())
    with watch.time_epoch():
        neighbour.epoch()
    assert watch.device_seconds == pytest.approx(0.5)  # by the share of the core
    watch.repeat_if_contended(neighbour.lap, steps=100)
    assert watch.device_seconds == pytest.approx(0.4)  # 100 steps of 4 ms, without what a call costs
    assert watch.seconds.train == 1.0


def test_an_epoch_that_nobody_disturbed_is_not_repeated() -> None:
    neighbour = Neighbour()
    watch = Stopwatch(ClaimedDevice("cpu", "x", 1, "/CPU:0"), neighbour, SilentGauge())
    with watch.time_epoch():
        neighbour.now += 1.0
    watch.repeat_if_contended(lambda _: pytest.fail("repeated"), steps=100)


class Busy:
    """A clock of epochs of 1/32 s of which the process gets a quarter, while others keep its core busy."""

    def __init__(self) -> None:
        self.wall = 0.0

    def read(self) -> Reading:
        return Reading(wall=self.wall, cpu=self.wall / 4, busy=self.wall, delayed=self.wall * 3 / 4)


def test_what_the_first_short_epochs_lost_is_made_up_for_once_it_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings = Busy()
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: readings.wall)
    monkeypatch.setattr(stopwatch.time, "process_time", lambda: readings.wall / 4)
    watch = Stopwatch(ClaimedDevice("cpu", "x", 1, "/CPU:0"), readings, SilentGauge())
    costs = []
    for _ in range(40):
        with watch.time_epoch():
            readings.wall += 1 / 32
        costs.append(watch.device_seconds)
    assert costs[0] == 1 / 32  # too short to tell
    assert all(before < after for before, after in pairwise(costs))
    assert costs[-1] == pytest.approx(40 / 128)


def test_nobody_can_have_taken_what_the_process_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 2.0, 5.0, 9.0, 9.0, 11.0])
    computed = iter([0.0, 2.0, 2.0, 5.0, 5.0, 7.0])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(stopwatch.time, "process_time", lambda: next(computed))
    recorded = Recorded()
    watch = Stopwatch(ClaimedDevice("cpu", "x", 1, "/CPU:0"), recorded, recorded.gauge())
    for _ in range(2):
        with watch.time_epoch():
            pass
    assert (watch.lost_seconds, watch.device_seconds) == (1.0, 5.0)
