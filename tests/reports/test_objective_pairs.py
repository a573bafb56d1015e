"""Objectives in pairs."""

from dataclasses import replace

import numpy as np

from pipeline.reports.objective_pairs import find_pair_frontier, list_pairs
from pipeline.settings.searching.objectives import OBJECTIVES
from tests.support.studies import study_over_three

THREE = study_over_three()


def test_each_two_of_the_objectives_are_a_pair() -> None:
    pairs = [(up.heading, across.heading) for up, across in list_pairs(THREE)]
    assert pairs == [
        ("validation accuracy", "device-seconds"),
        ("validation accuracy", "latency (ms)"),
        ("device-seconds", "latency (ms)"),
    ]
    four = replace(THREE, further=(*THREE.further, OBJECTIVES["parameters"]))
    assert len(list_pairs(four)) == 6


def test_the_line_of_a_pair_is_of_points_that_none_beats_in_both() -> None:
    points = [member.point for member in THREE.frontier]
    for up, across in list_pairs(THREE):
        on = find_pair_frontier(points, up, across)
        costs = np.array([[up.read(point), across.read(point)] for point in points])
        for index, own in enumerate(costs):
            beaten = ((costs <= own).all(1) & (costs < own).any(1)).any()
            first = next(place for place, each in enumerate(costs.tolist()) if each == own.tolist())
            assert (index in on) == (not beaten and first == index)
