"""What `serve-bench` was asked for and has found: for programs, and for a person."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from pipeline.cli.console import Console
from pipeline.formatting import format_count, format_number
from pipeline.profiling.load.first_answers import FirstAnswers
from pipeline.profiling.load.open_loop import LoadLevel, find_best

HEADINGS = ("offered", "answered", "at once", "p50", "p90", "p99", "longest", "errors", "")
"""Rates are requests a second, times milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """What is asked for: 99 of 100 answers within `bound_ms`, in requests of `rows` samples.

    `seconds`: for each rate; `workers`: processes that answer; `file`: the body of a request, None: the
    model's own example.
    """

    bound_ms: float
    seconds: float
    rows: int
    workers: int
    file: Path | None
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What was found: seconds until the server answered, the first answers, and each rate.

    `end`: why the server answered no more, "" where it did until the end.
    """

    asked: LoadRequest
    load_seconds: float
    first: FirstAnswers
    levels: tuple[LoadLevel, ...]
    end: str = ""

    @property
    def best(self) -> LoadLevel | None:
        """Return the level of the highest rate that kept the bound; None where none did."""
        return find_best(self.levels, self.asked.bound_ms)

    @property
    def failure(self) -> str:
        """Return what was wrong with the server, and not with its speed; "" for nothing."""
        if self.end:
            rate = format_number(self.levels[-1].offered)
            return f"the served model must answer until the end, at {rate} requests a second: {self.end}"
        least = min(self.levels, key=lambda level: level.offered)
        if self.best is not None or not least.refusals:
            return ""
        error, count = max(least.refusals.items(), key=lambda pair: pair[1])
        return (
            f"the served model must answer what it has answered before, got {error} for {count:,} of "
            f"{least.requests:,} requests at the lowest rate; see its log with: mlflow models serve"
        )


def to_json(result: LoadResult) -> dict[str, Any]:
    """Return what was found for programs; a time that nobody waited for is null."""
    asked, best = result.asked, result.best
    levels = [
        {name: None if value != value else value for name, value in asdict(level).items()}
        | {"keeps": level.keeps(asked.bound_ms)}
        for level in result.levels
    ]
    return {
        "p99_bound_ms": asked.bound_ms,
        "rows": asked.rows,
        "workers": asked.workers,
        "requests_per_second": None if best is None else best.answered,
        "load_seconds": result.load_seconds,
        "cold_ms": result.first.cold_ms,
        "warm": asdict(result.first.warm),
        "levels": levels,
        "failure": result.failure or None,
    }


def show_result(result: LoadResult, model: str, run_id: str) -> None:
    """Print what was found, for a person."""
    asked, first, best = result.asked, result.first, result.best
    rows = format_count(asked.rows, "sample")
    processes = format_count(asked.workers, "process")
    print(f"model     {model}, {rows} a request, {processes}")
    print(f"load      {result.load_seconds:.2f} s until the server answered")
    print(f"cold      {first.cold_ms:.1f} ms for the first answer")
    print(f"warm      {_format_warm(first)}")
    Console().print_table(_make_table(result))
    if best is None and not result.failure:
        print(f"answer    no rate that was offered kept p99 <= {asked.bound_ms:g} ms")
    elif best is not None:
        rate = format_number(best.answered)
        print(f"answer    {rate} requests a second with p99 {best.p99_ms:.1f} <= {asked.bound_ms:g} ms")
    if late := [level for level in result.levels if level.late_ms > asked.bound_ms / 10]:
        least = format_number(min(level.offered for level in late))
        print(f"          from {least} requests a second the client itself was late, on the same machine")
    for error, count in _count_errors(result.levels):
        print(f"errors    {count:,} {error}")
    print(f"run       {run_id}")


def _format_warm(first: FirstAnswers) -> str:
    warm = first.warm
    return f"{warm.p50_ms:.2f} ms median, p99 {warm.p99_ms:.2f}, one request at a time ({warm.repeats})"


def _make_table(result: LoadResult) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        caption="requests a second; times in ms, from when a request was due",
        caption_justify="left",
    )
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for level in sorted(result.levels, key=lambda level: level.offered):
        times = (level.p50_ms, level.p90_ms, level.p99_ms, level.longest_ms)
        table.add_row(
            format_number(level.offered),
            format_number(level.answered),
            f"{level.under_way:.1f}",
            *("-" if time != time else f"{time:.1f}" for time in times),
            f"{sum(level.errors.values()):,}",
            "kept" if level.keeps(result.asked.bound_ms) else "",
        )
    return table


def _count_errors(levels: Sequence[LoadLevel]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for level in levels:
        for error, count in level.errors.items():
            counts[error] = counts.get(error, 0) + count
    return sorted(counts.items(), key=lambda pair: -pair[1])[:5]
