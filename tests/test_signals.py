"""Signals take effect at once, or at the end of what must not be torn apart."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType

import pytest

from pipeline import signals
from pipeline.errors import Stopped
from tests.conftest import CHECKOUT
from tests.support.signalled import stop_at_each_line

PROGRAM = """
import os, signal
from pipeline import signals
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under `nohup` it would stay ignored
signals.listen()
try:
    with signals.hold_back():
        os.kill(os.getpid(), signal.{signal})
        print("whole")
    print("never")
except BaseException as error:
    print(type(error).__name__, signals.read_requested().name)
for number in signals.STOPPING:
    try:
        os.kill(os.getpid(), number)
        print("never")
    except BaseException as error:
        print(type(error).__name__)
"""

TORN = """
import signal, sys, time
from mlflow.entities import RunTag
from pipeline import signals
from pipeline.tracking import mlflow_store
from pipeline.errors import Stopped
signals.listen()
client = mlflow_store.open_store()
run = client.create_run("0").info.run_id

def write():
    client.log_batch(run, tags=[RunTag("now", str(time.time_ns()))])

def signalled(at):
    seen = 0
    def watch(*_):
        nonlocal seen
        seen += 1
        if seen == at:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGTERM)
    sys.setprofile(watch)
    try:
        write()
        sys.setprofile(None)
        time.sleep(at and 1)
    except Stopped:
        write()
        return "stopped"
    return seen

calls = [signalled(0) for _ in range(4)][-1]  # the first ones fill caches
print(*sorted({signalled(calls * share // 16) for share in range(1, 16)}))
"""


SWALLOWED = """
import signal, time, weakref
from pipeline import signals

class Thing: pass

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored
{hear}
thing = Thing()
reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
try:
    del thing
    print("swallowed")
    time.sleep(20)
except KeyboardInterrupt:
    print("heard")
"""


@pytest.mark.parametrize(("name", "raised"), [("SIGTERM", "Stopped"), ("SIGINT", "KeyboardInterrupt")])
def test_a_signal_waits_for_the_end_of_a_held_block(name: str, raised: str) -> None:
    code = PROGRAM.replace("{signal}", name)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["whole", f"{raised} {name}", "KeyboardInterrupt", *["Stopped"] * 5]


@pytest.mark.slow
def test_a_signal_in_a_transaction_leaves_the_store_open_to_who_writes_the_end() -> None:
    """At every sixteenth of a write; a transaction torn apart locks SQLite until the exception is gone."""
    done = subprocess.run(
        [sys.executable, "-c", TORN], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr


@pytest.mark.parametrize("hear", ["signals.listen()", "block = signals.hear_interrupt(); block.__enter__()"])
def test_a_stop_that_python_swallows_is_asked_again(hear: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED.replace("{hear}", hear)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("swallowed\nheard\n", "")


def test_a_signal_between_two_blocks_leaves_none_without_its_end() -> None:
    """Though the exception is kept, as notebooks do, and with it all that was under way."""
    ends = list[str]()

    @contextmanager
    def begun() -> Iterator[None]:
        try:
            yield
        finally:
            ends.append("end")

    def enter() -> None:
        with begun():
            ends.append("within")

    for place, error in stop_at_each_line(enter, "/contextlib.py"):
        assert isinstance(error, Stopped), place
        assert ends in ([], ["end"], ["within", "end"]), place
        ends.clear()


class Thing:
    """Something that is begun and ended by a block, in steps."""

    def __init__(self) -> None:
        self.steps = list[str]()

    def __enter__(self) -> None:
        self.steps.append("begin")
        self.steps.append("has begun")

    def __exit__(self, *_: object) -> None:
        self.steps.append("end")
        self.steps.append("has ended")


@contextmanager
def changed_without_try(things: list[str]) -> Iterator[None]:
    before = things[:]
    things.append("changed")
    try:
        yield
    finally:
        things.remove("changed")
        assert things == before


def test_a_signal_on_the_way_into_a_block_or_out_of_it_waits_for_the_block() -> None:
    made, things, seen = list[Thing](), list[str](), set[int]()

    def enter() -> None:
        with made[0], changed_without_try(things):
            str(things)

    made.append(Thing())
    for place, error in stop_at_each_line(enter, "/test_signals.py"):
        assert isinstance(error, Stopped), place
        assert made[0].steps in ([], ["begin", "has begun", "end", "has ended"]), place
        assert things == [], place
        seen.add(len(made[0].steps))
        made[0] = Thing()
    assert seen == {0, 4}


def test_a_way_into_a_block_that_waits_for_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "PATIENCE_SECONDS", 0.01)

    class Waiting:
        def __enter__(self) -> None:
            signal.raise_signal(signal.SIGTERM)
            time.sleep(20)  # less, as it is asked again

        def __exit__(self, *_: object) -> None:
            pytest.fail("never entered")

    signals.listen()
    with pytest.raises(Stopped), Waiting():
        pass


def wait_for_server() -> None:
    signal.raise_signal(signal.SIGTERM)
    time.sleep(20)  # less, as it is asked again
    pytest.fail("it was held back to the end")


def test_a_server_that_has_gone_holds_no_signal_back_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "PATIENCE_SECONDS", 0.01)
    request = FunctionType(wait_for_server.__code__, {**globals(), "__name__": "urllib3.a"})
    signals.listen()
    with pytest.raises(Stopped), signals.hold_back():
        request()


def test_a_signal_is_let_through_within_what_holds_it_back_and_no_further() -> None:
    done = list[str]()

    def be_stopped(by: str) -> None:
        signal.raise_signal(signal.SIGTERM)
        done.append(by)

    def work() -> None:
        with signals.hold_back():
            try:
                with signals.let_through():
                    be_stopped("nobody")
            finally:
                be_stopped("hold_back")

    def work_within() -> None:
        with signals.hold_back():
            work()

    signals.listen()
    with pytest.raises(Stopped):
        work()
    with pytest.raises(Stopped):
        work_within()
    assert done == ["hold_back", "nobody", "hold_back"]


def test_nothing_was_requested_where_nothing_came() -> None:
    with signals.hold_back():
        pass
    assert signals.read_requested() is None
