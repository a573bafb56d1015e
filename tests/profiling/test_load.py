"""Load on a small server of this process: what is due is asked for, whatever became of what came before."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from pipeline import signals
from pipeline.errors import BadRequest, Stopped
from pipeline.profiling.load import open_loop
from pipeline.profiling.load.first_answers import ask_in_turn
from pipeline.profiling.load.open_loop import LoadLevel, draw_moments, find_best, offer, raise_load
from pipeline.profiling.load.requests import LATE, Connections, HttpRequest, NoAnswer, repeat_rows


class Answers:
    """What a server does: it answers `status` after `seconds`, the first request once `hold` more came."""

    def __init__(self, status: int = 200, hold: int = 0, seconds: float = 0.0) -> None:
        self.status, self.hold, self.seconds, self.came = status, hold, seconds, 0
        self.bodies: set[bytes] = set()
        self._lock, self._enough = threading.Lock(), threading.Event()

    def handle(self, body: bytes) -> int:
        with self._lock:
            self.came += 1
            self.bodies.add(body)
            is_first = self.came == 1
            if self.came > self.hold:
                self._enough.set()
        if is_first:
            assert self._enough.wait(8)
        time.sleep(self.seconds)
        return self.status


@contextmanager
def serving(answers: Answers) -> Iterator[HttpRequest]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status = answers.handle(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"predictions": []} if status == 200 else {"message": "too\nwide"}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256  # callers that find the queue full try again a second later

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield HttpRequest("127.0.0.1", server.server_port, b'{"inputs": [1]}')
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_slow_answer_puts_off_no_later_request() -> None:
    # A client that waits for the first answer would never send the five without which it does not come.
    answers = Answers(hold=5)
    with serving(answers) as request:
        level = offer(request, rate=400.0, seconds=0.025)
    assert (level.requests, answers.came, level.errors) == (40, 40, {})
    assert answers.bodies == {b'{"inputs": [1]}'}
    assert 0 < level.p50_ms <= level.p90_ms <= level.p99_ms <= level.longest_ms
    assert level.under_way > 0
    assert level.offered == 400.0


def test_what_is_within_the_bound_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_loop, "TIMEOUT_SECONDS", 0.05)
    with serving(Answers(seconds=0.3)) as request:
        level = offer(request, rate=1000.0, seconds=0.01, bound_ms=4000.0)
        assert (level.errors, level.p50_ms >= 300) == ({}, True)
        assert offer(request, rate=1000.0, seconds=0.01).errors == {LATE: 40}


def test_what_is_wrong_is_counted_by_its_reason() -> None:
    with serving(Answers(status=400)) as request:
        level = offer(request, rate=1000.0, seconds=0.01)
        assert level.errors == {"HTTP 400: too wide": 40}
        assert not level.keeps(1e9)
        with pytest.raises(BadRequest, match="within 120 s, got HTTP 400: too wide; send another"):
            ask_in_turn(request, 0.0)
    level = offer(request, rate=1000.0, seconds=0.01)  # nobody listens any more
    assert (sum(level.errors.values()), level.answered) == (40, 0.0)
    assert next(iter(level.errors)).startswith("connection: ")


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}", b"hello\r\n\r\n", b"x" * 70_000],
)
def test_what_is_no_whole_answer_is_an_error_of_the_connection(answer: bytes) -> None:
    class Writer:
        def write(self, _: bytes) -> None: ...

        async def drain(self) -> None: ...

        def close(self) -> None: ...

    async def ask() -> None:
        reader, connections = asyncio.StreamReader(), Connections(HttpRequest("host", 1, b"{}"))
        reader.feed_data(answer)
        connections.idle.append((asyncio.get_running_loop().time(), reader, Writer()))  # type: ignore[arg-type]
        await connections.ask(5.0)

    with pytest.raises(NoAnswer, match=r"^connection: "):
        asyncio.run(ask())


def test_more_than_a_server_can_ever_answer_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_loop, "MOST_UNDER_WAY", 1)
    monkeypatch.setattr(open_loop, "TIMEOUT_SECONDS", 0.5)
    with serving(Answers(hold=10**6)) as request:  # one connection stays without an answer for ever
        level = offer(request, rate=1000.0, seconds=0.01)
    assert level.errors == {"no answer in time": 1, "not sent: 512 wait already": 39}


def test_a_request_to_stop_ends_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Answers()) as request:
        monkeypatch.setattr(signals, "read_requested", lambda: 15)
        with pytest.raises(Stopped):
            offer(request, rate=100.0, seconds=60.0)


def test_the_first_answer_is_apart_from_the_warm_ones() -> None:
    answers = Answers()
    with serving(answers) as request:
        first = ask_in_turn(request, 0.0)
    assert answers.came == 11
    assert first.warm.repeats == 9
    assert first.cold_ms > 0
    assert first.warm.p50_ms <= first.warm.p95_ms <= first.warm.p99_ms


def test_moments_are_those_of_independent_callers() -> None:
    moments = draw_moments(1000.0, 20.0, 3)
    gaps = np.diff(moments)
    assert gaps.mean() == pytest.approx(1e-3, rel=0.05)
    assert gaps.std() == pytest.approx(1e-3, rel=0.05)  # of an exponential distribution it is the mean
    assert len(draw_moments(50.0, 1.0, 0)) == 100  # at least so many, for a p99
    assert len(draw_moments(1.0, 5.0, 0)) == 20  # but no longer than four times as long
    assert np.array_equal(draw_moments(50.0, 1.0, 1), draw_moments(50.0, 1.0, 1))


def make_level(rate: float, capacity: float) -> LoadLevel:
    """The level of a server that waits longer and longer up to `capacity` requests a second."""
    time = 10 / (1 - rate / capacity) if rate < capacity else 1e4
    return LoadLevel(
        offered=rate,
        answered=min(rate, capacity),
        requests=1000,
        under_way=1.0,
        p50_ms=time / 2,
        p90_ms=time,
        p99_ms=time,
        longest_ms=time,
        late_ms=0.0,
    )


@pytest.mark.parametrize(("capacity", "first"), [(1000.0, 10.0), (1000.0, 700.0), (5e4, 300.0)])
def test_the_highest_rate_within_the_bound_is_found(capacity: float, first: float) -> None:
    limit = 0.8 * capacity  # where p99 is 50 ms
    levels = raise_load(lambda rate: make_level(rate, capacity), first, 50.0)
    best = find_best(levels, 50.0)
    assert best is not None
    assert 0.9 * limit < best.offered <= limit
    assert len(levels) <= 14


def test_a_server_that_never_keeps_the_bound_is_given_up() -> None:
    levels = raise_load(lambda rate: make_level(rate, 1000.0), 800.0, 5.0)
    assert find_best(levels, 5.0) is None
    assert [level.offered for level in levels] == [800.0, 400.0, 200.0]


def test_a_queue_that_grows_is_no_answer() -> None:
    level = LoadLevel(
        offered=100.0,
        answered=80.0,
        requests=500,
        under_way=9.0,
        p50_ms=1.0,
        p90_ms=1.0,
        p99_ms=1.0,
        longest_ms=1.0,
        late_ms=0.0,
    )
    assert not level.keeps(50.0)


@pytest.mark.parametrize(
    ("body", "repeated"),
    [
        ({"inputs": [[1], [2]]}, {"inputs": [[1], [2], [1]]}),
        ({"inputs": {"a": [1, 2], "b": "x"}}, {"inputs": {"a": [1, 2, 1], "b": ["x", "x", "x"]}}),
        ({"instances": [5], "params": {"k": 1}}, {"instances": [5, 5, 5], "params": {"k": 1}}),
        ({"dataframe_records": [{"a": 1}]}, {"dataframe_records": [{"a": 1}] * 3}),
        (
            {"dataframe_split": {"columns": ["a"], "index": [0], "data": [[1]]}},
            {"dataframe_split": {"columns": ["a"], "data": [[1], [1], [1]]}},
        ),
        ({"inputs": []}, None),
        ({"other": [1]}, None),
    ],
)
def test_a_request_has_as_many_rows_as_are_asked_for(body: dict[str, Any], repeated: Any) -> None:
    assert repeat_rows(body, 3) == repeated
