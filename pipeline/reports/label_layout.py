"""Layout of labels at a rising row of points, so that none touches another or a point. Pure; in inches."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LETTER, HEIGHT, GAP = 0.064, 0.16, 0.12  # a letter's width, a line's height, distance from the point
NEAR = 0.05  # half a point


@dataclass(frozen=True, slots=True)
class LabelBox:
    """The box of a label: above its point to the left, or below it to the right, where no point can be."""

    on_the_left: bool
    left: float
    bottom: float
    right: float

    @classmethod
    def place_at(cls, point: tuple[float, float], text: str, on_the_left: bool) -> "LabelBox":
        """Return the box of `text` at a point."""
        (across, up), width = point, LETTER * len(text)
        if on_the_left:
            return cls(True, across - GAP - width, up + 0.3 * GAP, across - GAP)
        return cls(False, across + GAP, up - 0.3 * GAP - HEIGHT, across + GAP + width)

    def overlaps(self, box: "LabelBox") -> bool:
        """Return whether two labels overlap."""
        across = self.left < box.right and box.left < self.right
        return across and abs(self.bottom - box.bottom) < HEIGHT

    def covers(self, point: tuple[float, float]) -> bool:
        """Return whether a point lies under the label."""
        inside = -NEAR < point[1] - self.bottom < HEIGHT + NEAR
        return inside and self.left - NEAR < point[0] < self.right + NEAR


def arrange_labels(
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    order: Iterable[int],
    edges: tuple[float, float],
) -> dict[int, LabelBox]:
    """Place the labels that fit between the `edges`; return their boxes by index.

    Where two labels collide, the one that is first in `order` wins.
    """
    boxes: dict[int, LabelBox] = {}
    for index in dict.fromkeys(order):
        for on_the_left in (True, False):
            box = LabelBox.place_at(points[index], texts[index], on_the_left)
            inside = edges[0] < box.left and box.right < edges[1]
            met = any(box.overlaps(rival) for rival in boxes.values()) or any(map(box.covers, points))
            if inside and not met:
                boxes[index] = box
                break
    return boxes
