"""Requests to a server over connections that stay open, with the standard library alone."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

IDLE_SECONDS = 2.0
"""A connection that was idle for longer is not used again: servers close them, and that would be an error."""
LATE = "no answer in time"
LISTS = ("instances", "dataframe_records")


class NoAnswer(Exception):
    """A request was not answered as it should be; the text says why in some words."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to answer samples: where to, and its body in JSON."""

    host: str
    port: int
    body: bytes
    path: str = "/invocations"

    def to_bytes(self) -> bytes:
        """Return what is sent."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


def repeat_rows(body: dict[str, Any], rows: int) -> dict[str, Any] | None:
    """Return a request of MLflow's with so many samples, the given ones in turns; None: of another form."""
    for name in LISTS:
        if isinstance(body.get(name), list) and body[name]:
            return {**body, name: _repeat(body[name], rows)}
    if isinstance(split := body.get("dataframe_split"), dict) and split.get("data"):
        kept = {name: value for name, value in split.items() if name != "index"}
        return {**body, "dataframe_split": {**kept, "data": _repeat(split["data"], rows)}}
    match body.get("inputs"):
        case list() as samples if samples:
            return {**body, "inputs": _repeat(samples, rows)}
        case dict() as columns if columns:
            cells = {name: value if isinstance(value, list) else [value] for name, value in columns.items()}
            return {**body, "inputs": {name: _repeat(value, rows) for name, value in cells.items()}}
    return None


def _repeat(values: list[Any], count: int) -> list[Any]:
    return [values[number % len(values)] for number in range(count)] if values else []


@dataclass(slots=True)
class Connections:
    """Connections to one server; as many are opened as requests are under way at once."""

    request: HttpRequest
    idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def ask(self, timeout: float) -> bytes:
        """Send the request and return the body of its answer; `timeout`: seconds.

        Raises:
            NoAnswer: the answer is late, is no HTTP 200, or the connection broke.
        """
        writer = None
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await self._connect()
                writer.write(self.request.to_bytes())
                await writer.drain()
                status, body = await read_answer(reader)
        except TimeoutError:
            _close(writer)
            raise NoAnswer(LATE) from None
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            _close(writer)
            raise NoAnswer(f"connection: {type(error).__name__}") from None
        except BaseException:
            _close(writer)
            raise
        self.idle.append((asyncio.get_running_loop().time(), reader, writer))
        if status != 200:
            raise NoAnswer(f"HTTP {status}: {_read_message(body)}")
        return body

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self.idle:
            since, reader, writer = self.idle.pop()
            if asyncio.get_running_loop().time() - since < IDLE_SECONDS and not reader.at_eof():
                return reader, writer
            _close(writer)
        return await asyncio.open_connection(self.request.host, self.request.port)

    def close(self) -> None:
        """Close all connections."""
        for _, _, writer in self.idle:
            _close(writer)
        self.idle.clear()


def _close(writer: asyncio.StreamWriter | None) -> None:
    if writer is not None:
        with suppress(RuntimeError, OSError):
            writer.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read an HTTP answer that says its length, as servers of JSON do: status and body.

    Raises:
        ValueError: it is no such answer.
        asyncio.LimitOverrunError: its head does not end.
        asyncio.IncompleteReadError: the connection ended within it.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    fields = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    status, length = first.partition(" ")[2].partition(" ")[0], fields.get("content-length", "")
    return int(status), await reader.readexactly(int(length))


def _read_message(body: bytes) -> str:
    """Return what a server of MLflow says is wrong, in one short line."""
    try:
        text = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        text = body.decode(errors="replace")
    return " ".join(text.split())[:200]
