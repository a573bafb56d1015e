"""Pictures of an inspection are PNGs that follow its figures. How they look was looked at."""

import numpy as np

from pipeline.evaluation.inspection import Inspection
from pipeline.evaluation.permutation_importance import ColumnImportance
from pipeline.evaluation.subgroups import score_group_errors, score_groups
from pipeline.reports import inspection_plots, palette
from tests.support.pictures import NAMES, ink, size


def test_no_picture_of_what_was_not_looked_at() -> None:
    assert inspection_plots.draw_inspection(Inspection(), "accuracy") == {}


def test_importances_of_any_number_of_columns() -> None:
    one = inspection_plots.draw_importances((ColumnImportance("$size$", 0.2, 0.01),), "accuracy")
    many = tuple(ColumnImportance(f"{NAMES[n % 5]}{n}", 0.3 / (n + 1) - 0.01, 0.02) for n in range(40))
    assert ink(one, palette.BLUE) > 100
    assert size(inspection_plots.draw_importances(many, "R2"))[1] > size(one)[1]


def test_groups_that_are_clearly_worse_are_orange() -> None:
    groups = np.array(["north"] * 200 + ["south"] * 200 + ["*west*"] * 5, object)
    fair = np.arange(405) % 10 > 0
    unfair = fair & ~((groups == "south") & (np.arange(405) % 3 == 0))
    assert ink(inspection_plots.draw_subgroups(score_groups("site", groups, fair)), palette.ORANGE) == 0
    assert ink(inspection_plots.draw_subgroups(score_groups("site", groups, unfair)), palette.ORANGE) > 20
    errors = np.where(groups == "south", 4.0, 1.0) * np.where(np.arange(405) % 2, 1, -1)
    made = inspection_plots.draw_inspection(
        Inspection(subgroups=score_group_errors("site", groups, errors)), "R2"
    )
    assert ink(made["pictures/subgroups.png"], palette.ORANGE) > 20
