"""`python -m benchmarks.clock`: whether a device-second repeats, alone and beside others.

The product's own `train` runs in processes of its own, each bound to cores; one trial is trained again and
again in one process, so compiling does not blur it. The neighbour is bound to no core.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from rich.console import Console

from benchmarks import machine, report
from benchmarks.engine import KEPT
from benchmarks.report import number
from benchmarks.results import Goal

TRIALS = {
    "digits": ("data=digits", "model.hidden=128", "train.batch_size=32", "train.epochs=40", "device=cpu"),
    "mnist": ("data=mnist", "model.hidden=500", "train.batch_size=128", "train.epochs=1", "device=cpu"),
}
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Repeats:
    """One trial trained `n` times: what each line of `benchmarks.trials` said."""

    trial: str
    how: str
    laps: tuple[dict[str, float], ...]

    def of(self, key: str) -> list[float]:
        return [lap[key] for lap in self.laps]

    @property
    def variation(self) -> float:
        """Standard deviation as a share of the mean."""
        seconds = self.of("device_seconds")
        return stdev(seconds) / mean(seconds)

    @property
    def cost(self) -> float:
        """Median device-seconds."""
        return median(self.of("device_seconds"))

    @property
    def throughput(self) -> float:
        """Trials a second of training."""
        return 1 / mean(self.of("train_seconds"))

    def row(self) -> list[str]:
        seconds = self.of("device_seconds")
        return [
            self.trial,
            self.how,
            f"{self.cost:.4f} ({min(seconds):.4f}-{max(seconds):.4f})",
            f"{self.variation:.1%}",
            f"{mean(self.of('contended')):.0%}",
            f"{min(self.of('core_share')):.0%}",
        ]


HEAD = ["trial", "how", "device-seconds: median (min-max)", "CV", "epochs contended", "least core share"]


# ---- running ------------------------------------------------------------------------------------------


@contextmanager
def child(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has said `ready`; killed at the end."""
    command = [sys.executable, "-m", "benchmarks.trials", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError(f"benchmarks.trials {' '.join(words)} did not get ready")
            yield process
        finally:
            process.kill()


def go(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[dict[str, float], ...]]:
    """Start all at once; the lines of each."""
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    found = []
    for process in processes:
        assert process.stdout
        found.append(tuple(json.loads(line) for line in process.stdout))
    return found


def repeat(name: str, how: str, cores: Sequence[int], repeats: int, *more: str) -> Repeats:
    with child(",".join(map(str, cores)), str(repeats), *TRIALS[name], *more) as process:
        return Repeats(name, how, go([process])[0])


def side_by_side(name: str, cores: Sequence[int], repeats: int) -> list[Repeats]:
    """One trial a core, all at the same time."""
    with ExitStack() as open_ones:
        processes = [open_ones.enter_context(child(str(core), str(repeats), *TRIALS[name])) for core in cores]
        return [
            Repeats(name, f"side by side, core {core}", laps)
            for core, laps in zip(cores, go(processes), strict=True)
        ]


def measure(name: str, cores: Sequence[int], repeats: int) -> Iterator[Repeats]:
    """Alone, beside a neighbour, and where there are two cores side by side and with two threads."""
    yield repeat(name, "quiet", cores[-1:], repeats)
    with child("busy"):
        yield repeat(name, "busy neighbour", cores[-1:], repeats)
    if len(cores) > 1:
        yield from side_by_side(name, cores[-2:], repeats)
        yield repeat(name, "two threads", cores[-2:], repeats, "device.threads=2")


# ---- judging ------------------------------------------------------------------------------------------


def goals(found: Sequence[Repeats]) -> list[Goal]:
    """The goals of the clock, for each trial."""
    judged: list[Goal] = []
    for name in dict.fromkeys(each.trial for each in found):
        by_how = {each.how: each for each in found if each.trial == name}
        for how, most in (("quiet", 2), ("busy neighbour", 4)):
            if how in by_how:
                text, percent = f"{name}: variation of device-seconds, {how}", 100 * by_how[how].variation
                judged.append(Goal(text, most, percent, " %", at_most=True))
        pair = [each for how, each in by_how.items() if how.startswith("side by side")]
        if pair and "two threads" in by_how and "quiet" in by_how:
            judged += _pair_goals(name, pair, by_how["two threads"], by_how["quiet"])
    return judged


def _pair_goals(name: str, pair: Sequence[Repeats], threads: Repeats, alone: Repeats) -> list[Goal]:
    gain = sum(each.throughput for each in pair) / threads.throughput
    off = max(abs(each.cost / alone.cost - 1) for each in pair)
    return [
        Goal(f"{name}: throughput of two one-core trials against one with two threads", 1.6, gain),
        Goal(f"{name}: cost side by side off the cost alone", 4, 100 * off, " %", at_most=True),
    ]


def markdown(found: Sequence[Repeats], about: dict[str, Any]) -> str:
    told = (
        f"{about['date']}, {about['device']}, {about['cores']} cores; load before {about['load']}, "
        f"after {about['load_after']}; steal {about['steal_seconds']} s; n = {len(found[0].laps)} repeats."
    )
    trials = [f"- {name}: `{' '.join(words)}`" for name, words in TRIALS.items()]
    rows = [each.row() for each in found]
    return report.page("The clock", HEAD, rows, goals(found), told, "\n".join(trials))


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.clock", description=__doc__)
    parser.add_argument("--repeats", type=int, default=10, help="times a trial is trained (10)")
    parser.add_argument("--only", choices=tuple(TRIALS), nargs="*", default=tuple(TRIALS))
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    told, console = parser.parse_args(words), Console(width=130)
    about, stolen = machine.about(), machine.steal()
    found = []
    for name in told.only:
        for each in measure(name, machine.cores(), told.repeats):
            found.append(each)
            console.print("  ".join(each.row()), highlight=False)
    about |= {"load_after": machine.about()["load"], "steal_seconds": number(machine.steal() - stolen)}
    raw = [{"trial": each.trial, "how": each.how, "laps": each.laps} for each in found]
    folder = machine.keep(told.out, about, "clock", {"repeats": raw}, markdown(found, about))
    console.print(report.goal_table(goals(found)))
    console.print(f"kept in {folder}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
