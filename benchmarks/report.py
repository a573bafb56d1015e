"""Tables in the terminal and in markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from benchmarks.results import LOSS_TOLERANCE, OURS, OURS_BF16, Goal, Results, Timing, disagreeing, goals

if TYPE_CHECKING:  # it imports TensorFlow, which a table of results does not need
    from benchmarks.cells import Cell

_STYLES = {"met": "green", "level": "yellow", "not met": "red"}


def show(results: Results, console: Console) -> None:
    """What was found, in three tables: times, ceilings, goals."""
    console.print()
    console.print(_times(results))
    console.print(_ceilings(results))
    console.print(goal_table(goals(results)))
    for line in notes(results):
        console.print(line, highlight=False, markup=False)


def progress(timing: Timing) -> str:
    """One line as soon as it is known."""
    low, high = timing.spread
    part = "" if timing.steps == timing.of else f", {timing.steps:,} of {timing.of:,} steps"
    return (
        f"  {timing.name:15} {number(timing.median):>6} s ({number(low)}-{number(high)}), "
        f"had its core {timing.share:.0%}{part}; "
        f"loss {timing.loss:.4f}, ours {timing.ours:.4f} {timing.engine}"
    )


# ---- cells of the tables ------------------------------------------------------------------------------


def time_of(results: Results, cell: Cell, name: str) -> str:
    """`1.02 s (0.98-1.07) 1.9x`; the ratio is to ours, `*` where a part of the epoch was timed."""
    found = results.find(cell, name)
    if found is None:
        return "-"
    low, high = found.spread
    part = "" if found.steps == found.of else "*"
    told = f"{number(found.median)} s{part} ({number(low)}-{number(high)})"
    return told if name == OURS else f"{told} {number(results.ratio(cell, name) or 0)}x"


def floor_of(results: Results, cell: Cell, precision: str) -> str:
    found = results.floor(cell, precision)
    return f"{number(found.seconds)} s ({found.bound})"


def share_of(results: Results, cell: Cell, name: str) -> str:
    share = results.reached(cell, name)
    return "-" if share is None else f"{share:.0%}"


def number(value: float) -> str:
    """Two digits after the point, three figures at least below 1."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 20 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def lines(results: Results) -> list[tuple[str, list[str]]]:
    """The table of times: a name, then a text for each cell."""
    grid = results.cells()
    found = [
        ("floor float32", [floor_of(results, cell, "float32") for cell in grid]),
        ("floor bf16", [floor_of(results, cell, "bfloat16") for cell in grid]),
    ]
    for name in results.names():
        found.append((name, [time_of(results, cell, name) for cell in grid]))
    for name in (OURS, OURS_BF16):
        found.append((f"{name}: of its floor", [share_of(results, cell, name) for cell in grid]))
    return found


def measured(goal: Goal) -> str:
    return f"{number(goal.measured)}{goal.unit}"


def wanted(goal: Goal) -> str:
    return f"{'<=' if goal.at_most else '>='} {goal.wanted:g}{goal.unit}"


def notes(results: Results) -> list[str]:
    """What has to be said beside the tables."""
    about = results.about
    versions = ", ".join(f"{name} {found}" for name, found in about["versions"].items())
    clock = "wall seconds" if about["clock"] == "wall" else "seconds in which the process had its core"
    least = min((each.share for each in results.timings), default=1.0)
    found = [
        f"{about['date']}, {about['device']} ({', '.join(about['instructions'])}), {about['cores']} cores, "
        f"core {about['core']} used; load before {about['load']}, after {about['load_after']}; "
        f"steal {about['steal_seconds']} s; the core was had {least:.0%} of the time or more.",
        f"{results.data}, {results.rows:,} rows; one thread; n = {about['rounds']} rounds in turn, {clock}: "
        f"median (min-max), ratio to ours. {versions}.",
    ]
    return found + _parts(results) + _losses(results) + _absent(results)


def _absent(results: Results) -> list[str]:
    return [f"Absent: {who}: {why}" for who, why in results.absent.items()]


def _parts(results: Results) -> list[str]:
    """Which epochs were timed in part, and which loops ran; a line a cell."""
    found = []
    for cell in results.cells():
        here = [each for each in results.timings if each.cell == cell]
        parts = [f"{each.name} {each.steps:,}" for each in here if each.steps < each.of]
        engines = [f"{each.name} ran {each.engine}" for each in here if each.engine]
        told = f"* {', '.join(parts)} of {here[0].of:,} steps were timed, then scaled; " if parts else ""
        found.append(f"{cell}: {told}{', '.join(engines)}.")
    return found


def _losses(results: Results) -> list[str]:
    odd = [
        f"{each.cell}, {each.name}: {each.loss:.4f}, ours {each.ours:.4f}"
        for each in disagreeing(results.timings)
    ]
    told = f"Mean losses of the timed steps agree with ours within {LOSS_TOLERANCE:.0%}"
    return [f"{told}, but for {'; '.join(odd)}." if odd else f"{told}."]


# ---- terminal -----------------------------------------------------------------------------------------


def _times(results: Results) -> Table:
    table = Table(title="Seconds of one epoch", title_justify="left", title_style="bold")
    table.add_column("")
    for cell in results.cells():
        table.add_column(str(cell).replace(", ", "\n"))
    for name, texts in lines(results):
        style = "bold" if name == OURS else "dim" if "floor" in name and ":" not in name else ""
        table.add_row(name, *(text.replace(" (", "\n(") for text in texts), style=style)
    return table


def _ceilings(results: Results) -> Table:
    table = Table(title="One core of this machine", title_justify="left", title_style="bold")
    for column in ("hidden", "float32 products", "bf16 products", "bandwidth at the weights' size"):
        table.add_column(column, justify="right")
    for row in ceiling_rows(results):
        table.add_row(*row)
    return table


def ceiling_rows(results: Results) -> list[list[str]]:
    found = []
    for hidden in sorted({cell.hidden for cell in results.cells()}):
        rates = [results.ceilings.gemm(hidden, kind) / 1e9 for kind in ("float32", "bfloat16")]
        wide = results.ceilings.bandwidth(hidden) / 1e9
        found.append([str(hidden), *(f"{rate:.0f} GFLOP/s" for rate in rates), f"{wide:.0f} GB/s"])
    return found


def goal_table(found: list[Goal]) -> Table:
    table = Table(title="Goals", title_justify="left", title_style="bold")
    for column, side in (("goal", "left"), ("wanted", "right"), ("measured", "right"), ("", "left")):
        table.add_column(column, justify=side)  # type: ignore[arg-type]
    for goal in found:
        verdict = f"[{_STYLES[goal.verdict]}]{goal.verdict}[/]"
        table.add_row(goal.text, wanted(goal), measured(goal), verdict)
    return table


# ---- markdown -----------------------------------------------------------------------------------------


def markdown(results: Results, picture: str = "engine.png") -> str:
    """The same, for a README; `picture`: its file beside this one."""
    grid = results.cells()
    parts = [
        "# An epoch of 784-H-10, one core",
        markdown_table(["", *map(str, grid)], [[name, *texts] for name, texts in lines(results)]),
        "## One core of this machine",
        markdown_table(["hidden", "float32 products", "bf16 products", "bandwidth"], ceiling_rows(results)),
        "## Goals",
        goal_lines(goals(results)),
        '"level": not met, but the spreads of both overlap.',
        f"![Share of the one-core floor]({picture})",
        "\n".join(f"- {line}" for line in notes(results)),
    ]
    return "\n\n".join(parts) + "\n"


def page(title: str, head: list[str], rows: list[list[str]], found: list[Goal], *below: str) -> str:
    """What most benchmarks keep: a table, its goals, and what is to be said below them."""
    parts = [f"# {title}", markdown_table(head, rows), "## Goals", goal_lines(found), *below]
    return "\n\n".join(parts) + "\n"


def goal_lines(found: list[Goal]) -> str:
    """A markdown table."""
    rows = [[goal.text, wanted(goal), measured(goal), goal.verdict] for goal in found]
    return markdown_table(["goal", "wanted", "measured", ""], rows)


def markdown_table(head: list[str], rows: list[list[Any]]) -> str:
    bar = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, bar, *rows])
