"""How far a sweep is: trials and what they have spent, phases after its search, the wall seconds to go."""

import time
from dataclasses import dataclass

from pipeline.formatting import format_count, format_duration
from pipeline.search.ends.standstill import MODELS, PICTURES
from pipeline.search.results import Results
from pipeline.settings.measuring import Price

MODEL_SECONDS, PICTURE_SECONDS = 2.0, 6.0
"""What a model and all pictures take on a usual machine, until they are measured."""


@dataclass(slots=True)
class Phase:
    """A part of a sweep after its search: `done` of `total` steps, begun at `started` (monotonic seconds)."""

    name: str
    total: int
    started: float
    done: int = 0

    def describe(self) -> str:
        """Return the name, with the steps where there are several."""
        return f"{self.name} {self.done}/{self.total}" if self.total > 1 else self.name

    def forecast_left(self) -> float | None:
        """Return the wall seconds that the other steps will take; None before the first is done."""
        return (time.monotonic() - self.started) / self.done * (self.total - self.done) if self.done else None


class SweepProgress:
    """How far a sweep is, and a forecast of the wall seconds to go by what its trials have taken so far."""

    def __init__(
        self, trials: int | None, budget: float | None, unit: str, seeds: int | None, price: Price | None
    ) -> None:
        """Begin to count; the arguments: see `screen.Screen`."""
        self._trials, self._budget, self._unit = trials, budget, unit
        self._seeds, self._price = seeds, price
        self._phase: Phase | None = None
        self._results: Results | None = None
        self._started = time.monotonic()
        self._trials_at_start, self._paid_at_start = 0, 0.0

    def update(self, results: Results) -> None:
        """Take what the study has now; what it has the first time was there before this start of it."""
        if self._results is None:
            self._trials_at_start, self._paid_at_start = len(results.trials), results.paid_seconds
        self._results = results

    def begin_phase(self, name: str, total: int) -> None:
        """Begin what follows the search, in so many steps."""
        self._phase = Phase(name, total, time.monotonic())

    def advance_phase(self) -> None:
        """Count a step of the phase as done."""
        if self._phase:
            self._phase.done += 1

    def count_fresh(self) -> int:
        """Count the trials that have ended since this start of the study."""
        return len(self._results.trials) - self._trials_at_start if self._results else 0

    def describe(self) -> str:
        """Return one line: trials, device time and money of those planned, the phase, the time to go."""
        done, paid = self._count_done()
        phrases = [
            f"{done}/{format_count(self._trials, 'trial')}" if self._trials else format_count(done, "trial")
        ]
        budget = f" of {format_duration(self._budget)}" if self._budget else ""
        money = self._price.format(paid) if self._price else ""
        phrases.append(f"{self._unit} time {format_duration(paid)}{budget}{money}")
        if self._phase:
            phrases.append(self._phase.describe())
            left = self._phase.forecast_left()
        else:
            left = self.forecast_left()
        if left is not None:
            phrases.append(f"about {format_duration(left + self.forecast_afterwards())} to go")
        return ", ".join(phrases)

    def forecast_left(self) -> float | None:
        """Return the seconds until trials or budget are used up, whichever is first; None: not known yet."""
        fresh = self.count_fresh()
        if fresh < 2:
            return None
        done, paid = self._count_done()
        elapsed, left = time.monotonic() - self._started, list[float]()
        if self._trials:
            left.append(elapsed / fresh * (self._trials - done))
        if self._budget and paid > self._paid_at_start:
            left.append(elapsed / (paid - self._paid_at_start) * (self._budget - paid))
        return max(0.0, min(left)) if left else None

    def forecast_afterwards(self) -> float:
        """Return the wall seconds of the phases after the present one, for the frontier as it is now."""
        results = self._results
        if self._seeds is None or results is None or (self._phase and self._phase.name == PICTURES):
            return 0.0
        seconds = PICTURE_SECONDS
        if self._phase is None or self._phase.name != MODELS:
            seconds += MODEL_SECONDS * len(results.trials_on_frontier)
        if self._phase is None:
            fresh = results.paid_seconds - self._paid_at_start
            rate = (time.monotonic() - self._started) / fresh if fresh > 0 else 1.0
            seconds += rate * sum(
                member.estimate.device_seconds * max(0, self._seeds - len(member.new_seeds))
                for member in results.representatives
            )
        return seconds

    def _count_done(self) -> tuple[int, float]:
        """Return how many trials have ended in all, and what they have spent in device-seconds."""
        return (len(self._results.trials), self._results.paid_seconds) if self._results else (0, 0.0)
