"""An open loop: requests become due at random moments that nobody's answer can put off.

Clients that wait for an answer before they ask again stop asking while a server is slow, so the requests that
would have waited longest are never made ("coordinated omission"). Here a request's time counts from the
moment at which it was due, whether or not it could be sent then. Moments are those of a Poisson process, as
of many independent callers (Schroeder et al. 2006, "Open versus closed: a cautionary tale").
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline import signals
from pipeline.errors import Stopped
from pipeline.profiling.load.requests import LATE, Connections, HttpRequest, NoAnswer

TIMEOUT_SECONDS = 10.0
"""After which a request counts as an error, unless the bound asks for more patience."""
BOUNDS = 2
"""Times the bound for which an answer is waited for at least: one of 100 may be later than it."""
MOST_UNDER_WAY = 512
"""Requests under way at once; more are not sent and are errors: the server is hopelessly behind."""
NOT_SENT = f"not sent: {MOST_UNDER_WAY} wait already"
FEWEST = 100
"""Requests at a rate, if need be by going on up to four times as long: fewer have no p99."""
POLL_SECONDS = 0.2
KEEPS_UP = 0.9
"""Share of the offered rate that must be answered: with less, a queue grows until the load ends."""
DOUBLINGS, BISECTIONS, HALVINGS = 10, 3, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadLevel:
    """What became of requests at one rate; times in milliseconds from the moment at which one was due.

    `offered`, `answered`: a second; `requests`: made due; `under_way`: of them at once, on average; `errors`:
    how many, by what was wrong; `late_ms`: 99 of 100 requests began at most so late, because the client
    itself was busy.
    """

    offered: float
    answered: float
    requests: int
    under_way: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    longest_ms: float
    late_ms: float
    errors: Mapping[str, int] = field(default_factory=dict)

    @property
    def refusals(self) -> Mapping[str, int]:
        """Return the errors that are no slowness: answers that are none, and connections that broke."""
        return {error: count for error, count in self.errors.items() if error not in (LATE, NOT_SENT)}

    def keeps(self, bound_ms: float) -> bool:
        """Return whether all were answered, as fast as they came, 99 of 100 within the bound."""
        return not self.errors and self.p99_ms <= bound_ms and self.answered >= KEEPS_UP * self.offered


@dataclass(slots=True)
class _Tally:
    milliseconds: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    under_way: int = 0
    last: float = 0.0


def offer(
    request: HttpRequest, rate: float, seconds: float, seed: int = 0, bound_ms: float = 0.0
) -> LoadLevel:
    """Make requests due at `rate` a second for `seconds`, wait for all, and return what became of them.

    `bound_ms`: within which most should be answered; it is waited for longer than that.

    Raises:
        Stopped: this process was asked to end meanwhile.
    """
    patience = max(TIMEOUT_SECONDS, BOUNDS * bound_ms / 1000)
    return asyncio.run(_offer(request, draw_moments(rate, seconds, seed), rate, patience))


def draw_moments(rate: float, seconds: float, seed: int) -> np.ndarray:
    """Draw the moments of a Poisson process of which n = rate x seconds is known: float64 [n], ascending.

    Given their number they are uniform over the time, in seconds from its beginning; so the rate is exact.
    """
    seconds = min(max(seconds, FEWEST / rate), 4 * seconds)
    count = max(1, round(rate * seconds))
    return np.sort(np.random.default_rng(seed).uniform(0, count / rate, count))


async def _offer(request: HttpRequest, moments: np.ndarray, rate: float, patience: float) -> LoadLevel:
    loop, connections, tally = asyncio.get_running_loop(), Connections(request), _Tally()
    start, tasks = loop.time(), list[asyncio.Task[None]]()
    try:
        for moment in moments:
            due = start + float(moment)
            while (wait := due - loop.time()) > 0:
                await asyncio.sleep(min(wait, POLL_SECONDS))
                _check_stopped()
            tasks.append(asyncio.create_task(_ask(connections, due, due + patience, tally)))
            if len(tasks) % 16 == 0:  # behind its time a loop without a pause would let nobody answer
                await asyncio.sleep(0)
        while waiting := [task for task in tasks if not task.done()]:
            await asyncio.wait(waiting, timeout=POLL_SECONDS)
            _check_stopped()
    finally:
        connections.close()
    for task in tasks:
        task.result()
    return _summarise(tally, len(moments), rate, tally.last - start)


def _check_stopped() -> None:
    if signals.read_requested():  # a handler that raises within a callback is not heard
        raise Stopped


async def _ask(connections: Connections, due: float, until: float, tally: _Tally) -> None:
    loop = asyncio.get_running_loop()
    tally.late.append(1000 * (loop.time() - due))
    if tally.under_way >= MOST_UNDER_WAY:
        tally.errors[NOT_SENT] += 1
        return
    tally.under_way += 1
    try:
        await connections.ask(max(0.0, until - loop.time()))
        tally.milliseconds.append(1000 * (loop.time() - due))
    except NoAnswer as error:
        tally.errors[str(error)] += 1
    finally:
        tally.under_way -= 1
        tally.last = loop.time()


def _summarise(tally: _Tally, requests: int, rate: float, seconds: float) -> LoadLevel:
    """Return what became of the requests. `seconds`: from the beginning to the last answer."""
    times = tally.milliseconds or [math.nan]
    p50, p90, p99 = (float(value) for value in np.percentile(times, [50, 90, 99]))
    # An answer that takes its time comes after the load has ended; that is no queue.
    seconds = max(requests / rate, seconds - (p50 / 1000 if tally.milliseconds else 0.0))
    return LoadLevel(
        offered=rate,
        answered=len(tally.milliseconds) / seconds,
        requests=requests,
        under_way=sum(tally.milliseconds) / 1000 / seconds,  # Little's law
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        longest_ms=float(max(times)),
        late_ms=float(np.percentile(tally.late, 99)),
        errors=dict(tally.errors),
    )


def raise_load(
    offer_rate: Callable[[float], LoadLevel], first: float, bound_ms: float
) -> tuple[LoadLevel, ...]:
    """Offer rising rates until the bound is broken, then rates between the last two; in order of time.

    `first`: requests a second to begin with; it is halved where it breaks the bound already.
    """
    levels, good, bad, rate = list[LoadLevel](), 0.0, math.inf, first
    for _ in range(DOUBLINGS):
        levels.append(offer_rate(rate))
        if levels[-1].keeps(bound_ms):
            good, rate = max(good, rate), rate * 2
        else:
            bad, rate = min(bad, rate), rate / 2
        if (good and bad < math.inf) or bad <= first / 2**HALVINGS:
            break
    for _ in range(BISECTIONS if good and bad < math.inf else 0):
        rate = math.sqrt(good * bad)
        levels.append(offer_rate(rate))
        good, bad = (rate, bad) if levels[-1].keeps(bound_ms) else (good, rate)
    return tuple(levels)


def find_best(levels: tuple[LoadLevel, ...], bound_ms: float) -> LoadLevel | None:
    """Return the level of the highest rate that kept the bound; None where none did."""
    kept = [level for level in levels if level.keeps(bound_ms)]
    return max(kept, key=lambda level: level.offered, default=None)
