"""Says that the head of the cluster is gone: Ray then ends this process a minute later, without a word."""

import threading
import time
from collections.abc import Callable
from typing import Any

from pipeline.search.workers.cluster.address import has_head

LOOK_SECONDS = 5.0
"""Between two looks; a head that misses two of them is gone, or as good as."""


def watch_head(ray: Any, address: str, say: Callable[[str], None]) -> threading.Thread:
    """Watch the head from a thread while `ray` is connected: calls of Ray wait for a head for ever."""
    thread = threading.Thread(target=_watch, args=(ray, address, say), name="head-watch", daemon=True)
    thread.start()
    return thread


def _watch(ray: Any, address: str, say: Callable[[str], None]) -> None:
    missed = 0
    while ray.is_initialized():
        is_there = has_head(address)
        if is_there and missed > 1:
            say(f"the head of the cluster at {address} answers again")
        missed = 0 if is_there else missed + 1
        if missed == 2:
            say(
                f"the head of the cluster at {address} does not answer; if it stays away, Ray ends this "
                "command within a minute: start the cluster anew, and the same command goes on with it"
            )
        time.sleep(LOOK_SECONDS)
