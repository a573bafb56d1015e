"""CPU seconds of this process and of those that it has started, living and ended."""

import multiprocessing
import time

from pipeline.hardware.process_seconds import count_own_seconds, count_tree_seconds

SPIN_SECONDS = 0.1


def spin(ready: "multiprocessing.synchronize.Event", done: "multiprocessing.synchronize.Event") -> None:
    """Compute for a while, say so, and live on."""
    while time.process_time() < SPIN_SECONDS:
        pass
    ready.set()
    done.wait()


def test_what_children_compute_is_counted_while_they_live_and_afterwards() -> None:
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    before, own = count_own_seconds(), time.process_time()
    child = context.Process(target=spin, args=(ready, done))
    child.start()
    ready.wait()
    assert child.pid is not None
    assert count_tree_seconds(child.pid) > 0.9 * SPIN_SECONDS
    assert count_own_seconds() - before - (time.process_time() - own) > 0.9 * SPIN_SECONDS
    done.set()
    child.join()
    assert count_own_seconds() - before - (time.process_time() - own) > 0.8 * SPIN_SECONDS
    assert count_tree_seconds(child.pid) == 0
