"""What a run of the benchmark found: plain values, so that tables and goals need no contestant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it imports TensorFlow, which a goal does not need
    from benchmarks.ceilings import Ceilings
    from benchmarks.cells import Cell, Floor

OURS, OURS_BF16 = "ours", "ours bf16"
LOSS_TOLERANCE = 0.1
"""Share by which a rival's mean loss may differ: it draws the line at another network, not at rounding."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of an epoch, one a round; `steps` of `of` steps were timed and scaled.

    `share`: of the wall seconds that the process had its core, 0..1, all rounds together; `loss`: mean over
    those steps; `ours`: the mean loss of our loop over as many steps; `engine`: what ran.
    """

    cell: Cell
    name: str
    seconds: tuple[float, ...]
    share: float
    steps: int
    of: int
    loss: float
    ours: float
    engine: str = ""

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        return min(self.seconds), max(self.seconds)

    @property
    def learns_alike(self) -> bool:
        return abs(self.loss - self.ours) <= LOSS_TOLERANCE * abs(self.ours)


@dataclass(frozen=True, slots=True)
class Results:
    """`about`: see `machine.about`; `absent`: contestant -> why it sat out; `rows`: of the training split."""

    about: dict[str, Any]
    data: str
    rows: int
    ceilings: Ceilings
    timings: tuple[Timing, ...]
    absent: dict[str, str]

    def cells(self) -> list[Cell]:
        return list(dict.fromkeys(each.cell for each in self.timings))

    def names(self) -> list[str]:
        return list(dict.fromkeys(each.name for each in self.timings))

    def find(self, cell: Cell, name: str) -> Timing | None:
        return next((each for each in self.timings if (each.cell, each.name) == (cell, name)), None)

    def ratio(self, cell: Cell, name: str) -> float | None:
        """How many times longer than ours; above 1 we are faster."""
        theirs, ours = self.find(cell, name), self.find(cell, OURS)
        return theirs.median / ours.median if theirs and ours else None

    def floor(self, cell: Cell, precision: str = "float32") -> Floor:
        from benchmarks import cells

        gemm = self.ceilings.gemm(cell.hidden, precision)
        return cells.floor(cell, self.rows, gemm, self.ceilings.bandwidth(cell.hidden))

    def reached(self, cell: Cell, name: str) -> float | None:
        """Share 0..1 of the floor of the precision it computes in."""
        found = self.find(cell, name)
        precision = "bfloat16" if name == OURS_BF16 else "float32"
        return self.floor(cell, precision).seconds / found.median if found else None

    def as_json(self) -> dict[str, Any]:
        found = asdict(self)
        found["floors"] = [
            {
                "cell": asdict(cell),
                **{kind: asdict(self.floor(cell, kind)) for kind in ("float32", "bfloat16")},
            }
            for cell in self.cells()
        ]
        return found


# ---- goals --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Goal:
    """`measured` and `wanted` in the same unit; `at_most`: less is better.

    `level`: not met, but the spreads of both overlap.
    """

    text: str
    wanted: float
    measured: float
    unit: str = "x"
    level: bool = False
    at_most: bool = False

    @property
    def verdict(self) -> str:
        if self.measured <= self.wanted if self.at_most else self.measured >= self.wanted:
            return "met"
        return "level" if self.level else "not met"


AHEAD_OF = ("JAX scan", "torch fused", "torch compiled", "numpy", "Keras best")


def goals(results: Results) -> list[Goal]:
    """Every goal of the engine that the cells measured can answer."""
    found: list[Goal] = []
    for cell in results.cells():
        if not cell.article:
            found += _ahead(results, cell)
    for cell in results.cells():
        found += _roofline(results, cell) + _half(results, cell) + _easy(results, cell)
    return found


def _ahead(results: Results, cell: Cell) -> list[Goal]:
    ours = results.find(cell, OURS)
    found = []
    for name in AHEAD_OF:
        theirs, ratio = results.find(cell, name), results.ratio(cell, name)
        if ours and theirs and ratio:
            level = theirs.spread[1] >= ours.spread[0]
            found.append(Goal(f"float32 at or ahead of {name}, {cell}", 1.0, ratio, level=level))
    return found


def _roofline(results: Results, cell: Cell) -> list[Goal]:
    share = results.reached(cell, OURS)
    if share is None or cell.batch < 128:
        return []
    return [Goal(f"float32 share of the one-core floor, {cell} (aim 75 %)", 60, 100 * share, " %")]


def _half(results: Results, cell: Cell) -> list[Goal]:
    ratio, wanted = results.ratio(cell, OURS_BF16), {128: 1.7, 512: 2.8}.get(cell.batch)
    if not ratio or not wanted:
        return []
    return [Goal(f"bf16 faster than float32, {cell}", wanted, 1 / ratio)]


def _easy(results: Results, cell: Cell) -> list[Goal]:
    wanted = {(1, "sgd"): 30.0, (128, "adam"): 3.0, (128, "sgd"): 3.0}.get((cell.batch, cell.optimizer))
    told = (("Keras fit", wanted, f"Keras fit takes longer, {cell}"),)
    if cell.article:
        told = (("article's loop", 15.0, "the article's own Python loop takes longer"),)
    found = []
    for name, least, text in told:
        ratio = results.ratio(cell, name)
        if ratio and least:
            found.append(Goal(text, least, ratio))
    return found


def disagreeing(timings: Sequence[Timing]) -> list[Timing]:
    """Those whose loss says that they trained something else."""
    return [each for each in timings if not each.learns_alike]
