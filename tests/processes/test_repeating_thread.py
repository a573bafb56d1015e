"""A thread that does the same again and again."""

import threading

from pipeline.processes.repeating_thread import RepeatingThread


def test_it_calls_again_and_again_and_stops_after_the_call_that_is_under_way() -> None:
    calls, third, may_end = list[int](), threading.Event(), threading.Event()

    def work() -> None:
        calls.append(len(calls))
        if len(calls) == 3:
            third.set()
            may_end.wait()

    thread = RepeatingThread(work, 0.001)
    thread.start()
    third.wait()
    thread.stop(wait_seconds=0)  # it waits no longer than asked for
    may_end.set()
    thread.stop()
    assert calls == [0, 1, 2]


def test_one_that_is_stopped_in_its_first_pause_calls_nothing() -> None:
    calls = list[int]()
    thread = RepeatingThread(lambda: calls.append(1), 3600)
    thread.start()
    thread.stop()
    assert calls == []


def test_a_call_may_stop_its_own_thread() -> None:
    ended = threading.Event()

    def work() -> None:
        thread.stop()
        ended.set()

    thread = RepeatingThread(work, 0.001)
    thread.start()
    ended.wait()
