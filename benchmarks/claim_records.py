"""Figures of the recorded results by their names: median, lowest and highest, recomputed from the raw values.

Nothing is measured here, and no library is needed: `make claims` takes a second.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from pipeline.frontier.hypervolume import Bounds, compute_log_hypervolume
from pipeline.measures import Point

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True, slots=True)
class Figure:
    """A recorded figure: None where a contestant did not get so far; `low` and `high` are its spread."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, values: Sequence[float | None], scale: float = 1.0) -> "Figure":
        """Return median, lowest and highest; what is None counts as endless."""
        known = [math.inf if value is None else scale * value for value in values]
        found = median(known), min(known), max(known)
        return cls(*(None if math.isinf(value) else value for value in found))


Figures = dict[str, Figure]


def read_replay(data: dict[str, Any]) -> Figures:
    """Read device-seconds to shares of the area, with thinking as well, and parts of one worker's gain."""
    figures: Figures = {}
    for name, found in data["strategies"].items():
        figures[f"{name} seeds"] = Figure(found["seeds"])
        for index, share in enumerate(data["shares"]):
            figures[f"{name} to {share:.0%}"] = Figure.of([costs[index] for costs in found["costs"]])
        for share, cost in found.get("whole_cost_to", {}).items():
            figures[f"{name} whole to {float(share):.0%}"] = Figure(cost)
    for workers, parts in data.get("parts_of_gain", {}).items():
        for share, part in parts.items():
            figures[f"part of {workers} workers to {float(share):.0%}"] = Figure(100 * part)
    return figures


def read_live(data: dict[str, Any]) -> Figures:
    """Read the hypervolume of each sampler, as a share of that of all points together."""
    planes = [
        (each["sampler"], [Point(accuracy, seconds) for accuracy, seconds in each["points"]])
        for each in data["sweeps"]
    ]
    together = [point for _, points in planes for point in points]
    bounds = Bounds.enclose(together)
    whole = compute_log_hypervolume(together, bounds)
    figures: Figures = {}
    for sampler in dict.fromkeys(name for name, _ in planes):
        shares = [
            compute_log_hypervolume(points, bounds) / whole for name, points in planes if name == sampler
        ]
        figures[sampler] = Figure.of(shares)
        figures[f"{sampler} seeds"] = Figure(len(shares))
    return figures


def read_engine(data: dict[str, Any]) -> Figures:
    """Read seconds of an epoch by cell and contestant, how many times ours that is, and the core's floor."""
    figures: Figures = {}
    for each in data["timings"]:
        cell = _name_cell(each["cell"])
        figures[f"{cell} {each['name']}"] = Figure.of(each["seconds"])
        figures[f"{cell} rounds"] = Figure(len(each["seconds"]))
    for each in data["floors"]:
        figures[f"{_name_cell(each['cell'])} floor"] = Figure(each["float32"]["seconds"])
    return figures | dict(_compare_with_ours(figures))


def _name_cell(cell: dict[str, Any]) -> str:
    return "article" if cell["article"] else f"{cell['batch']} {cell['optimizer']}"


def _compare_with_ours(figures: Figures) -> Iterator[tuple[str, Figure]]:
    """Yield how many times as long as ours each contestant takes, by the medians."""
    for name, figure in figures.items():
        for cell in {key.removesuffix(" ours") for key in figures if key.endswith(" ours")}:
            ours = figures[f"{cell} ours"].value
            if name.startswith(f"{cell} ") and figure.value is not None and ours:
                yield f"{name} by ours", Figure(figure.value / ours)


def read_networks(data: dict[str, Any]) -> Figures:
    """Read seconds of an epoch by network, batch and contestant, and how many times ours that is."""
    figures: Figures = {}
    for each in data["rows"]:
        cell = each["cell"].replace(", batch", "")
        figures[f"{cell} {each['name']}"] = Figure.of(each["seconds"])
        figures[f"{cell} rounds"] = Figure(len(each["seconds"]))
    return figures | dict(_compare_with_ours(figures))


def read_reached(data: dict[str, Any]) -> Figures:
    """Read test accuracy in per cent, device-seconds and, where it has them, losses over seeds, by name."""
    figures: Figures = {}
    for each in data["reached"]:
        figures[f"{each['name']} accuracy"] = Figure.of(each["accuracies"], 100)
        figures[f"{each['name']} seconds"] = Figure.of(each["device_seconds"])
        figures[f"{each['name']} seeds"] = Figure(len(each["accuracies"]))
        if "losses" in each:
            figures[f"{each['name']} loss"] = Figure.of(each["losses"])
    return figures


def read_overhead(data: dict[str, Any]) -> Figures:
    """Read the seconds of a trial beside training, by the trials before it."""
    figures: Figures = {}
    for each in data["overhead"]:
        figures[f"after {each['before']}"] = Figure.of(each["seconds"])
        figures[f"after {each['before']} trials"] = Figure(len(each["seconds"]))
    return figures


def read_tables(data: dict[str, Any]) -> Figures:
    """Read how far our mean accuracy lies from the best rival's, in points: in the median and worst table."""
    reached: dict[str, dict[str, list[float]]] = {}
    for each in data["scores"]:
        of_table = reached.setdefault(each["table"], {})
        of_table.setdefault(each["contestant"], []).append(100 * each["accuracy"])
    behind = [
        max(mean(found) for name, found in scores.items() if name != "ours") - mean(scores["ours"])
        for scores in reached.values()
    ]
    seeds = {each["seed"] for each in data["scores"]}
    return {
        "median ahead": Figure(-median(behind)),
        "worst behind": Figure(max(behind)),
        "tables": Figure(len(reached)),
        "seeds": Figure(len(seeds)),
    }


def read_scale(data: dict[str, Any]) -> Figures:
    """Read what a driver takes for a trial by the number of slots, what that feeds, and what is found."""
    figures: Figures = {}
    for slots in dict.fromkeys(each["slots"] for each in data["scale"]):
        found = [each for each in data["scale"] if each["slots"] == slots]
        costs = [each["cpu_seconds"] for each in found]
        figures |= {
            f"{slots} cpu": Figure.of(costs),
            f"{slots} rate": Figure.of([1 / cost for cost in costs]),
            f"{slots} feeds 5 s": Figure.of([5 / cost for cost in costs]),
            f"{slots} feeds 300 s": Figure.of([300 / cost for cost in costs]),
            f"{slots} idle of 5 s": Figure.of([max(0.0, 100 - 500 / cost / slots) for cost in costs]),
            f"{slots} seconds for 10 % idle": Figure.of([0.9 * slots * cost for cost in costs]),
            f"{slots} repeats": Figure(len(found)),
        }
        for key in ("trials", "area", "device_seconds", "second_of_most"):
            figures[f"{slots} {key}"] = Figure.of([each[key] for each in found])
    return figures


READERS: dict[str, Callable[[dict[str, Any]], Figures]] = {
    "strategies": read_replay,
    "scores": read_tables,
    "scale": read_scale,
    "sweeps": read_live,
    "timings": read_engine,
    "rows": read_networks,
    "reached": read_reached,
    "overhead": read_overhead,
}
"""By what a record has, in this order: that of the engine has `rows`, too."""


def read_record(path: Path) -> Figures:
    """Return the figures of a record by their names.

    Raises:
        ValueError: it is of no known kind.
    """
    data = json.loads(path.read_text())
    for key, read in READERS.items():
        if key in data:
            return read(data)
    raise ValueError(f"a record must have one of {', '.join(READERS)}, got {path}")
