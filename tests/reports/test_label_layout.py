"""Labels touch neither each other nor a point."""

from pipeline.reports import label_layout


def test_labels_touch_neither_each_other_nor_a_point() -> None:
    places = [(0.5 + 0.2 * step, 1.0 + 0.1 * step) for step in range(20)]
    boxes = label_layout.arrange_labels(places, ["64 adam 0.01"] * 20, range(20), (0.0, 5.0))
    found = list(boxes.values())
    assert 3 <= len(found) < 20
    assert not any(one.overlaps(other) for one in found for other in found if one is not other)
    assert not any(box.covers(place) for box in found for place in places)
    assert all(box.left > 0 and box.right < 5 for box in found)


def test_who_comes_first_is_named() -> None:
    crowded = [(1.0, 1.0), (1.01, 1.01), (1.02, 1.02)]
    assert 2 in label_layout.arrange_labels(crowded, ["a label"] * 3, [2, 0, 1], (0.0, 5.0))
    assert 0 in label_layout.arrange_labels(crowded, ["a label"] * 3, [0, 1, 2], (0.0, 5.0))
