"""Studies for tests: by hand, and from recorded curves."""

import json
import random
from dataclasses import replace
from pathlib import Path

from pipeline.measures import Point
from pipeline.search.estimation.estimates import RepeatedPoint
from pipeline.search.results import Results
from pipeline.search.study_trial import Confirmation, StudyTrial
from pipeline.settings.searching.objectives import OBJECTIVES

CURVES = Path(__file__).with_name("curves")
DEVICE = "AMD EPYC 9B45, 1 core"


def tried(number: int, *curve: tuple[float, float], **more: object) -> StudyTrial:
    """A trial whose curve is (accuracy, device_seconds) pairs."""
    parts: dict[str, object] = {
        "run_id": f"run{number}",
        "command": f"python -m pipeline run model.hidden={16 * (number + 1)} train.epochs={len(curve)}",
        "params": {"model.hidden": 16 * (number + 1)},
        "curve": tuple(Point(*pair) for pair in curve),
        "fair_midway": True,
        "state": "complete",
        "reason": "",
        "paid_seconds": curve[-1][1] if curve else 0.0,
        "device": DEVICE,
    }
    return StudyTrial(number=number, **{**parts, **more})  # type: ignore[arg-type]


def repeat_costs(*costs: tuple[float, ...]) -> RepeatedPoint:
    """A point of accuracy 0.9 whose seeds cost this: device-seconds, then further costs."""
    searched, *repeats = (Point(0.9, seconds, tuple(further)) for seconds, *further in costs)
    return RepeatedPoint(searched, tuple(repeats))


def recorded(data: str) -> list[tuple[dict[str, object], tuple[Point, ...]]]:
    """Searched values and curve of every trial of a recorded table: see test_pruning."""
    table = [json.loads(line) for line in (CURVES / f"{data}.jsonl").read_text().splitlines()]
    return [
        (row["params"], tuple(Point(accuracy, cost) for _, cost, accuracy in row["curve"])) for row in table
    ]


def study(data: str = "mnist") -> Results:
    """A recorded table as a study: a third of the trials paused, one failed, the frontier confirmed."""
    draw, found = random.Random(0), []
    for number, (params, whole) in enumerate(recorded(data)):
        paused = draw.random() < 0.33
        curve = whole[:4] if paused else whole
        words = [f"{key}={value}" for key, value in params.items()]
        found.append(
            StudyTrial(
                number=number,
                run_id=f"{number:032x}",
                command=" ".join(["python -m pipeline run", *words, f"train.epochs={len(whole)}"]),
                params=params,
                curve=curve,
                fair_midway=True,
                state="paused" if paused else "failed" if number == 5 else "complete",
                reason="at best 91.00%" if paused else "",
                paid_seconds=curve[-1].device_seconds,
                device=DEVICE,
            )
        )
    bare = Results(study=f"{data} sweep", data=data, trials=tuple(found))
    new: dict[int, dict[int, Confirmation]] = {}
    for member in bare.frontier:
        new.setdefault(member.trial.number, {})[member.epoch] = _confirmed(member.point, draw)
    return replace(
        bare, trials=tuple(replace(each, confirmations=new.get(each.number, {})) for each in bare.trials)
    )


def _confirmed(point: Point, draw: random.Random) -> Confirmation:
    again = tuple(point.accuracy + draw.gauss(0, 0.001) for _ in range(2))
    seconds = (point.device_seconds, 1.02 * point.device_seconds)
    return Confirmation((1, 2), again, tuple(each - 0.002 for each in again), seconds)


def study_over_three(data: str = "mnist", split_after: int = 3) -> Results:
    """The same study with a made-up latency, by the width of the network, as a third objective."""
    two = study(data)

    def answer(trial: StudyTrial) -> float:
        return float(f"{0.1 + 0.001 * float(str(trial.params.get('model.hidden', 64))):.{split_after - 1}g}")

    trials = tuple(
        replace(
            trial,
            curve=tuple(replace(point, further=(answer(trial),)) for point in trial.curve),
            confirmations={},
        )
        for trial in two.trials
    )
    bare = replace(two, study=f"{data} over three", trials=trials, further=(OBJECTIVES["latency_ms"],))
    draw, new = random.Random(1), dict[int, dict[int, Confirmation]]()
    for member in bare.representatives:
        latencies = tuple((member.point.further[0] * factor,) for factor in (0.98, 1.03))
        again = replace(_confirmed(member.point, draw), further=latencies)
        new.setdefault(member.trial.number, {})[member.epoch] = again
    return replace(
        bare, trials=tuple(replace(each, confirmations=new.get(each.number, {})) for each in trials)
    )
