"""Whose a second is."""

from collections.abc import Iterator

import pytest

from pipeline.backend import tf
from pipeline.hardware import stopwatch
from pipeline.hardware.contention import ContentionVerdict
from pipeline.hardware.counters import Reading
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
    """A CPU that draws 30 W, and a process that gets half of its core in the second of three epochs.

    The readings take a second each, in which another process has the core.
    """

    def __init__(self) -> None:
        rows = ((0, 0), (3, 1), (5, 2), (10, 5), (9, 4), (11, 5))  # wall, delayed
        self._readings = iter([Reading(wall=wall, cpu=0.0, idle=0.0, delayed=wait) for wall, wait in rows])
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
    now, computed = iter([0.0, 2.0, 5.0, 9.0, 9.0, 11.0]), iter([0.0, 2.0, 2.0, 4.0, 4.0, 6.0])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(stopwatch.time, "process_time", lambda: next(computed))
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
