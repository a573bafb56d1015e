"""`python -m benchmarks.engine`: an epoch of ours against the others, interleaved, one thread, one core."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from benchmarks import ceilings, cells, machine, report, worker
from benchmarks.ceilings import Ceilings
from benchmarks.cells import Cell
from benchmarks.picture import picture
from benchmarks.results import OURS, Results, Timing, disagreeing
from benchmarks.rivals import FAMILIES
from benchmarks.worker import Lap, Share, Worker

KEPT = Path(__file__).parent / "results"


@dataclass(slots=True)
class Bench:
    """A run: one process a family, cell by cell; only one of them computes at a time."""

    core: int | None
    rounds: int
    clock: str
    budget: float
    console: Console
    workers: list[Worker] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def run(self, grid: Sequence[Cell], families: Iterable[str]) -> Results:
        about, widths = machine.about(), tuple(sorted({cell.hidden for cell in grid}))
        for family in families:
            self._open(family)
        about["steal_seconds"] = -machine.steal()
        measured = self._ceilings(widths)
        timings = [timing for cell in grid for timing in self._cell(cell)]
        measured = measured.with_other(self._ceilings(widths))
        about["steal_seconds"] = round(about["steal_seconds"] + machine.steal(), 2)
        about |= {
            "core": self.core,
            "rounds": self.rounds,
            "clock": self.clock,
            "load_after": machine.about()["load"],
        }
        data = "MNIST" if cells.mnist_there() else "random bytes of MNIST's shape"
        rows = len(cells.problem(grid[0]).labels)
        return Results(about, data, rows, measured, tuple(timings), self.absent)

    def close(self) -> None:
        for each in self.workers:
            each.close()

    def _open(self, family: str) -> None:
        opened = Worker(family, self.core)
        if opened.missing:
            self.absent[family] = opened.missing
            self.console.print(f"without {family}: {opened.missing}", highlight=False)
        else:
            self.workers.append(opened)

    def _ceilings(self, widths: tuple[int, ...]) -> Ceilings:
        """In the process of ours, which has TensorFlow and numpy and the same core."""
        found: Ceilings = self.workers[0].call(ceilings.measure, widths)
        return found

    def _cell(self, cell: Cell) -> list[Timing]:
        self.console.print(f"[bold]{cell}[/bold]", highlight=False)
        shares = {(each, name): share for each in self.workers for name, share in self._prepare(each, cell)}
        laps: dict[tuple[Worker, str], list[Lap]] = {key: [] for key in shares}
        for _ in range(self.rounds):
            for each, name in shares:
                laps[each, name].append(each.lap(name))
        found = [self._timing(cell, name, shares[each, name], laps[each, name]) for each, name in shares]
        for each in self.workers:
            each.forget()
        for odd in disagreeing(found):
            self.console.print(f"  {odd.name}: loss {odd.loss:.4f}, ours {odd.ours:.4f}", style="yellow")
        return found

    def _prepare(self, each: Worker, cell: Cell) -> list[tuple[str, Share]]:
        ready = []
        for name in each.names:
            try:
                share = each.prepare(name, cell, self.budget)
            except RuntimeError as error:  # the rival's own failure must not end the run
                self.absent[f"{name}, {cell}"] = str(error)
                self.console.print(f"  without {name}: {error}", highlight=False, markup=False)
                continue
            if isinstance(share, Share):
                ready.append((name, share))
        return ready

    def _timing(self, cell: Cell, name: str, share: Share, laps: Sequence[Lap]) -> Timing:
        ours = self.workers[0].loss(OURS, cell, share.steps)
        clocked = [lap.core_seconds if self.clock == "cpu" else lap.seconds for lap in laps]
        seconds = tuple(map(share.whole, clocked))
        had = sum(lap.core_seconds for lap in laps) / sum(lap.seconds for lap in laps)
        loss = laps[-1].loss
        timing = Timing(cell, name, seconds, had, share.steps, share.of, loss, ours, share.note)
        self.console.print(report.progress(timing), highlight=False, markup=False)
        return timing


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.engine", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="the cells of the goals: hidden 500 (default)")
    size.add_argument("--full", action="store_true", help="batch x hidden x optimizer, 24 cells")
    parser.add_argument("--rounds", type=int, default=3, help="laps of each contestant in a cell (3)")
    parser.add_argument(
        "--budget", type=float, default=1.5, help="seconds a lap (1.5); longer epochs in part"
    )
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: the seconds in which a contestant had its core; where others use the core too (wall)",
    )
    parser.add_argument("--pin", type=int, help="the core to run on (default: the last one); -1: any")
    parser.add_argument("--only", nargs="*", default=FAMILIES, choices=FAMILIES, help="some families only")
    parser.add_argument("--batch", type=int, nargs="*", help="only cells of these batch sizes")
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    told, console = _arguments(words), Console(width=150, soft_wrap=True)
    core = machine.cores()[-1] if told.pin is None else told.pin
    worker.settle(None if core < 0 else core)
    grid = [
        cell
        for cell in (cells.FULL if told.full else cells.QUICK)
        if told.batch is None or (cell.batch in told.batch and not cell.article)
    ]
    families = [name for name in FAMILIES if name == "ours" or name in told.only]
    bench = Bench(None if core < 0 else core, told.rounds, told.clock, told.budget, console)
    try:
        results = bench.run(grid, families)
    finally:
        bench.close()
    name = "engine-full" if told.full else "engine"
    text = report.markdown(results, f"{name}.png")
    folder = machine.keep(told.out, results.about, name, results.as_json(), text)
    (folder / f"{name}.png").write_bytes(picture(results))
    report.show(results, console)
    console.print(f"kept in {folder}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
