"""What a server takes before it is warm, and for one request at a time once it is."""

import asyncio
import time
from dataclasses import dataclass

import numpy as np

from pipeline.errors import BadRequest
from pipeline.measures import Latency
from pipeline.profiling.load.requests import Connections, HttpRequest, NoAnswer

FIRST_SECONDS = 120.0
"""A first answer may load and compile what later ones find ready."""
MOST_CALLS, SECONDS = 500, 2.0


@dataclass(frozen=True, slots=True)
class FirstAnswers:
    """`cold_ms`: of the very first request; `warm`: of requests one after the other."""

    cold_ms: float
    warm: Latency


def ask_in_turn(request: HttpRequest, seconds: float = SECONDS) -> FirstAnswers:
    """Ask once, then again and again for `seconds`, each time after the last answer.

    Raises:
        BadRequest: the server does not answer this request.
    """
    try:
        return asyncio.run(_ask_in_turn(request, seconds))
    except NoAnswer as error:
        raise BadRequest(
            f"the request must be one that the model answers within {FIRST_SECONDS:.0f} s, got {error}; "
            "send another with --request FILE"
        ) from None


async def _ask_in_turn(request: HttpRequest, seconds: float) -> FirstAnswers:
    connections = Connections(request)
    try:
        start = time.perf_counter()
        await connections.ask(FIRST_SECONDS)
        cold, times = time.perf_counter() - start, list[float]()
        until = time.perf_counter() + seconds
        while len(times) < MOST_CALLS and (time.perf_counter() < until or len(times) < 10):
            start = time.perf_counter()
            await connections.ask(FIRST_SECONDS)
            times.append(time.perf_counter() - start)
    finally:
        connections.close()
    warm = 1000 * np.array(times[len(times) // 10 :])
    return FirstAnswers(1000 * cold, Latency.summarise(warm))
