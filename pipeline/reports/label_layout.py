"""Where labels of a rising row of points fit without touching each other or a point. Pure; in inches."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LETTER, HEIGHT, GAP = 0.064, 0.16, 0.12  # a letter's width, a line's height, distance from the point
NEAR = 0.05  # half a point


@dataclass(frozen=True, slots=True)
class Box:
    """A label beside its point: above to the left, where no point can be, or below to the right."""

    on_the_left: bool
    left: float
    bottom: float
    right: float

    @classmethod
    def beside(cls, place: tuple[float, float], text: str, on_the_left: bool) -> "Box":
        """The box of `text` at a point."""
        (across, up), width = place, LETTER * len(text)
        if on_the_left:
            return cls(True, across - GAP - width, up + 0.3 * GAP, across - GAP)
        return cls(False, across + GAP, up - 0.3 * GAP - HEIGHT, across + GAP + width)

    def meets(self, other: "Box") -> bool:
        """Whether two labels overlap."""
        across = self.left < other.right and other.left < self.right
        return across and abs(self.bottom - other.bottom) < HEIGHT

    def holds(self, place: tuple[float, float]) -> bool:
        """Whether a point lies under the label."""
        inside = -NEAR < place[1] - self.bottom < HEIGHT + NEAR
        return inside and self.left - NEAR < place[0] < self.right + NEAR


def arrange(
    places: Sequence[tuple[float, float]],
    texts: Sequence[str],
    order: Iterable[int],
    edges: tuple[float, float],
) -> dict[int, Box]:
    """Boxes of the labels that fit between the `edges`, by index; who comes first in `order` wins."""
    found: dict[int, Box] = {}
    for index in dict.fromkeys(order):
        for on_the_left in (True, False):
            box = Box.beside(places[index], texts[index], on_the_left)
            inside = edges[0] < box.left and box.right < edges[1]
            met = any(box.meets(other) for other in found.values()) or any(map(box.holds, places))
            if inside and not met:
                found[index] = box
                break
    return found
