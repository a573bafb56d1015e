"""`python -m benchmarks.scale --slots 1 16 256 4096`: how many slots one driver can keep busy.

The command `sweep` as it is, with SQLite and MLflow, the frontier sampler and the screen; only the slots
are simulated: a trial is the recorded curve (`--table`) nearest to its settings, stretched so that the
median row takes `--trial-seconds`. There is one clock: it counts the CPU-seconds of the driver's process, so
that neighbours on a shared machine are not measured with it, and where the driver would wait, it jumps to the
next event. So what the driver takes for one trial is time in which other slots stand idle, as it would be,
and nothing is slept through. Each number of slots gets `--seconds` of the driver's CPU; then no trial begins,
and what those that run still cost is not counted: a driver that is busy handles many together, that one few.

Told are the driver's CPU-seconds a trial, the wall seconds beside it (with waits for the disk and for
neighbours), the trials a second that it can feed, how many slots of such trials these are, the idle share of
the slots from their first trial on, the share of the area that the table's points dominate at the
device-seconds that all numbers of slots have spent, and the simulated seconds until nine tenths of the least
of these shares were reached.
"""

import argparse
import heapq
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, ParamSpec, TypeVar
from unittest.mock import patch

from rich.console import Console

from benchmarks import machine, report
from benchmarks.engine import KEPT
from benchmarks.results import Goal
from benchmarks.table import Table, read, select_searched
from pipeline.frontier.dominance import select_frontier
from pipeline.frontier.hypervolume import compute_log_hypervolume
from pipeline.hardware.device import ClaimedDevice
from pipeline.measures import Curve, Epoch, Point
from pipeline.search.workers.job import Job, Progress, TrialOutcome
from pipeline.search.workers.pool import Event
from pipeline.settings.kinds import option_name
from pipeline.settings.settings import Settings, flatten

P = ParamSpec("P")
T = TypeVar("T")
DEVICE = ClaimedDevice("cpu", "simulated, 1 core", 1, "/CPU:0")
WORDS = ("search=standard", "search.enqueue=[]", "search.confirm=0", "pruning=none", "device=cpu")
HEAD = [
    "slots",
    "n",
    "trials",
    "mean seconds of a trial",
    "driver's CPU-seconds a trial",
    "wall",
    "trials a second",
]
HEAD += ["slots that it feeds", "idle", "area at equal device-seconds", "seconds to 90 % of it"]
SLOTS_WANTED, SECONDS_WANTED, IDLE_WANTED = 1000, 5.0, 0.10


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial that has ended, at a simulated second; its points are (device-seconds, accuracy)."""

    second: float
    paid: float
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What `trials` have cost: CPU-seconds of the driver (`busy`), which took `wall` seconds."""

    trials: float
    busy: float
    wall: float


@dataclass
class SimulatedPool:
    """Slots whose trials are rows of a table; `stretch`: simulated seconds by recorded ones."""

    table: Table
    slots: int
    stretch: float
    started: float | None = None
    wall_started: float = 0.0
    skipped: float = 0.0
    own: float = 0.0
    idle: float = 0.0
    events_to_come: list[tuple[float, int, Job, Any]] = field(default_factory=list)
    free_since: list[float] = field(default_factory=list)
    in_use: int = 0
    begun: int = 0
    ended: list[Ended] = field(default_factory=list)
    cost: "Cost | None" = None

    @property
    def now(self) -> float:
        return self.busy + self.skipped

    @property
    def busy(self) -> float:
        """CPU-seconds of the driver since it first asked for a free slot, without those of this pool."""
        return time.process_time() - self.started - self.own if self.started is not None else 0.0

    def take_stock(self) -> "Cost":
        """Note, once, what the driver has done so far; a trial that runs is half of one."""
        if self.cost is None:
            wall = time.perf_counter() - self.wall_started
            self.cost = Cost((self.begun + len(self.ended)) / 2, self.busy, wall)
        return self.cost

    def count_free(self) -> int:
        if self.started is None:
            self.started, self.wall_started = time.process_time(), time.perf_counter()
        return self.slots - self.in_use

    def start(self, job: Job) -> None:
        now, began = self.now, time.process_time()
        if self.free_since:  # a slot that never had a trial is not there yet
            self.idle += now - heapq.heappop(self.free_since)
        self.in_use += 1
        self.begun += 1
        for second, event in self._train(job, now):
            heapq.heappush(
                self.events_to_come, (second, len(self.events_to_come) + self.begun * 1000, job, event)
            )
        self.own += time.process_time() - began

    def _train(self, job: Job, now: float) -> Iterator[tuple[float, Any]]:
        row = self.table.rows[
            self.table.nearest(select_searched(describe(job.settings), self.table.parameters))
        ]
        epochs = tuple(
            Epoch(
                number=number,
                device_seconds=seconds * self.stretch,
                train_loss=1.0 - accuracy,
                validation_loss=1.0 - accuracy,
                validation_accuracy=accuracy,
            )
            for number, seconds, accuracy in row.until(job.settings.train.epochs)
        )
        for epoch in epochs:
            yield now + epoch.device_seconds, Progress(epoch, epoch.device_seconds)
        curve = Curve(DEVICE.name, job.settings.schedule.fair_midway, epochs)
        paid = curve.last.device_seconds
        yield (
            now + paid,
            TrialOutcome(status="complete", curve=curve, chosen_epoch=curve.last, paid_seconds=paid),
        )

    def has_events(self) -> bool:
        return bool(self.events_to_come) and self.events_to_come[0][0] <= self.now

    def events(self, frontier: Sequence[Point]) -> Iterator[Event]:
        del frontier
        if self.events_to_come:
            self.skipped += max(0.0, self.events_to_come[0][0] - self.now)
        while self.events_to_come and self.events_to_come[0][0] <= self.now:
            second, _, job, event = heapq.heappop(self.events_to_come)
            if isinstance(event, TrialOutcome):
                self.in_use -= 1
                heapq.heappush(self.free_since, second)
                self.ended.append(
                    Ended(
                        second,
                        event.paid_seconds,
                        tuple((p.device_seconds, p.accuracy) for p in event.points),
                    )
                )
            yield job, event

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    call_here = call

    def close(self) -> None:
        self.events_to_come.clear()


def describe(settings: Settings) -> dict[str, Any]:
    """Settings under the names of a table's rows."""
    values = dict(flatten(settings))
    values |= {
        "optimizer": option_name(type(settings.optimizer)),
        "precision": settings.precision.policy.value,
    }
    return values


@dataclass(frozen=True, slots=True)
class Scale:
    """What one number of slots came to; `cost`: of the driver, as long as it began trials."""

    slots: int
    begun: int
    cost: Cost
    simulated: float
    idle_seconds: float
    ended: tuple[Ended, ...]

    @property
    def seconds_a_trial(self) -> float:
        return self.cost.busy / self.cost.trials

    @property
    def is_filled(self) -> bool:
        """Return whether each slot has had a trial, and half of them a second one."""
        return self.begun >= 1.5 * self.slots

    @property
    def trial_seconds(self) -> float:
        """Of the mean trial: most train for fewer epochs than the row has."""
        return sum(trial.paid for trial in self.ended) / max(1, len(self.ended))

    @property
    def idle_share(self) -> float:
        """Of the slots: as simulated, or what the rate of the driver leaves, where that is more.

        The simulation knows how long a slot has waited once it gets a trial; one that gets none waits, too.
        """
        by_rate = max(0.0, 1 - self.trial_seconds / self.seconds_a_trial / self.slots)
        if not self.is_filled:
            return by_rate
        worked = sum(trial.paid for trial in self.ended)
        return max(by_rate, self.idle_seconds / (self.idle_seconds + worked))

    def area_at(self, paid: float, table: Table, stretch: float) -> float:
        """Share of the table's area that the trials dominate which had ended when so much was paid."""
        spent, points = 0.0, list[Point]()
        for trial in self.ended:
            spent += trial.paid
            if spent > paid:
                break
            points = select_frontier([*points, *(Point(gain, cost / stretch) for cost, gain in trial.points)])
        return compute_log_hypervolume(points, table.bounds) / table.whole if points else 0.0

    def second_of(self, share: float, table: Table, stretch: float) -> float | None:
        """Simulated second at which a share of the area was reached."""
        points = list[Point]()
        for trial in self.ended:
            points = select_frontier([*points, *(Point(gain, cost / stretch) for cost, gain in trial.points)])
            if compute_log_hypervolume(points, table.bounds) / table.whole >= share:
                return trial.second
        return None


def measure(
    table: Table, slots: int, stretch: float, seconds: float, trials: int, study: str = "many-slots"
) -> Scale:
    """Run the command for so many of the driver's seconds, or trials."""
    from pipeline.cli.sweep import command as sweep_command
    from pipeline.cli.sweep.observer import StudyObserver
    from pipeline.search.sweep import Sweep

    made = list[SimulatedPool]()

    def open_pool(_: Settings) -> tuple[SimulatedPool, ClaimedDevice]:
        made.append(SimulatedPool(table, slots, stretch))
        return made[-1], DEVICE

    def explain_end(_: Sweep) -> str:
        if made[0].busy <= seconds:
            return ""
        made[0].take_stock()
        return "the slots have been busy for long enough"

    ends = list[float]()

    words = [*WORDS, f"train.epochs={table.epochs}", f"search.study={study}", f"search.trials={trials}"]
    with (
        patch.object(sweep_command, "open_pool", open_pool),
        patch.object(sweep_command, "check_network", lambda *_: None),
        patch.object(StudyObserver, "finish", lambda *_: ends.append(made[0].now)),
        patch.object(Sweep, "explain_end", explain_end),
        redirect_stdout(io.StringIO()),
    ):
        sweep_command.run(words)
    (pool,), (simulated,) = made, ends
    return Scale(
        slots=slots,
        begun=pool.begun,
        cost=pool.take_stock(),
        simulated=simulated,
        idle_seconds=pool.idle,
        ended=tuple(pool.ended),
    )


def add_quality(found: Sequence[Scale], table: Table, stretch: float) -> list[dict[str, Any]]:
    """Return what is kept of each measurement: its figures, and those that need all of them."""
    common = min(sum(trial.paid for trial in scale.ended) for scale in found)
    areas = [scale.area_at(common, table, stretch) for scale in found]
    wanted = 0.9 * min(areas)
    return [
        {
            "slots": scale.slots,
            "trials": scale.begun,
            "trial_seconds": scale.trial_seconds,
            "cpu_seconds": scale.seconds_a_trial,
            "wall_seconds": scale.cost.wall / scale.cost.trials,
            "idle": scale.idle_share,
            "is_filled": scale.is_filled,
            "area": area,
            "device_seconds": common,
            "second_of_most": scale.second_of(wanted, table, stretch),
        }
        for scale, area in zip(found, areas, strict=True)
    ]


def tabulate(kept: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A row for each number of slots: medians, with lowest and highest where there are several."""
    rows = []
    for slots in dict.fromkeys(each["slots"] for each in kept):
        found = [each for each in kept if each["slots"] == slots]
        idle = _spread([each["idle"] for each in found], ".0%")
        seconds = [each["second_of_most"] for each in found]
        rows.append(
            [
                f"{slots:,}",
                str(len(found)),
                _spread([each["trials"] for each in found], ",.0f"),
                _spread([each["trial_seconds"] for each in found], ".2f"),
                _spread([each["cpu_seconds"] for each in found], ".4f"),
                _spread([each["wall_seconds"] for each in found], ".3f"),
                _spread([1 / each["cpu_seconds"] for each in found], ".0f"),
                _spread([each["trial_seconds"] / each["cpu_seconds"] for each in found], ",.0f"),
                f"{idle}{'' if all(each['is_filled'] for each in found) else ' (by its rate)'}",
                _spread([each["area"] for each in found], ".3f"),
                _spread(seconds, ",.1f") if None not in seconds else "-",
            ]
        )
    return rows


def _spread(values: Sequence[float], form: str) -> str:
    middle = f"{median(values):{form}}"
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}} - {max(values):{form}})"


def make_goal(kept: Sequence[dict[str, Any]], trial_seconds: float = SECONDS_WANTED) -> Goal:
    """One driver for 1,000 slots, by its median rate at the number of slots that is nearest."""
    nearest = min((each["slots"] for each in kept), key=lambda slots: abs(slots - SLOTS_WANTED))
    cost = median(each["cpu_seconds"] for each in kept if each["slots"] == nearest)
    idle = max(0.0, 1 - trial_seconds / cost / SLOTS_WANTED)
    text = f"idle share of {SLOTS_WANTED:,} slots with trials of {trial_seconds:g} s, one driver"
    return Goal(text, IDLE_WANTED, idle, "", at_most=True)


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 16, 256, 4096])
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="of the driver's CPU for each number of slots (60)"
    )
    parser.add_argument("--repeats", type=int, default=1, help="of all numbers of slots, in turns (1)")
    parser.add_argument("--trials", type=int, default=100_000, help="most for each number of slots")
    parser.add_argument("--trial-seconds", type=float, default=20.0, help="of the median row, whole (20)")
    parser.add_argument("--table", type=Path, default=Path("benchmarks/tables/mnist-12k.jsonl"))
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    told, console, about = parser.parse_args(words), Console(width=150), machine.about()
    table = read(told.table)
    stretch = told.trial_seconds / median(row.curve[-1][1] for row in table.rows)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FULCRUM_CACHE"] = f"{folder}/cache/prepared"
        for repeat, slots in product(range(told.repeats), told.slots):
            os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/{slots}-{repeat}.db"
            found.append(measure(table, slots, stretch, told.seconds, told.trials, f"{slots}-slots-{repeat}"))
            latest = tabulate(add_quality(found[-1:], table, stretch))[0]
            console.print("  ".join(latest), highlight=False)
    about |= {"load_after": machine.about()["load"]}
    kept = add_quality(found, table, stretch)
    goal = make_goal(kept)
    load = f"load before {about['load']}, after {about['load_after']}"
    where = f"{about['date']}, {about['device']}; {load}; medians (lowest - highest)."
    text = report.page(
        "Slots that one driver feeds", HEAD, tabulate(kept), [goal], where, f"`{' '.join(WORDS)}`"
    )
    machine.keep(told.out, about, "scale", {"scale": kept}, text)
    console.print(report.goal_table([goal]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
