"""Names of metrics where several things could have one: classes, and energy that is measured or estimated."""

import re
from collections.abc import Sequence
from itertools import chain, count

from pipeline.settings.measuring import Price
from pipeline.settings.searching.objectives import ESTIMATED_ENERGY, MEASURED_ENERGY, OBJECTIVES

MAX_CLASS_LETTERS = 120


def name_energy(joules: float | None, estimated: bool, price: Price) -> dict[str, float | None]:
    """Return energy and its carbon dioxide by metric: an estimate has names of its own, everywhere."""
    if estimated:
        names = OBJECTIVES[ESTIMATED_ENERGY].metric, "train/estimated_carbon_grams"
    else:
        names = OBJECTIVES[MEASURED_ENERGY].metric, "train/carbon_grams"
    return dict(zip(names, (joules, price.weigh_carbon(joules)), strict=True))


def make_metric_names(classes: Sequence[str]) -> list[str]:
    """Return a part of a metric's name for each class: different, also for a database without capitals.

    MLflow allows letters, digits, `_-. :` and 250 letters in all, and no part that is a path of its own.
    """
    names, used = list[str](), set[str]()
    for text in classes:
        name = re.sub(r"[^\w\-. :]", "_", text)[:MAX_CLASS_LETTERS].strip()
        base = re.sub(r"^\.+$", lambda dots: "_" * len(dots[0]), name) or "_"
        choices = chain([base], (f"{base}_{number}" for number in count(2)))
        names.append(next(choice for choice in choices if choice.casefold() not in used))
        used.add(names[-1].casefold())
    return names
