"""A study, to choose from."""

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.cli.library.values import StudyPoint, make_point
from pipeline.errors import BadSetting
from pipeline.formatting import format_count

if TYPE_CHECKING:
    from pipeline.cli.frontier.refusal import Request
    from pipeline.search.results import Results


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Study:
    """A search and what it has found, as it was when it was read; `open_study` reads it again.

    In a notebook it shows its frontier as a picture and a table.
    """

    _results: "Results"

    @property
    def name(self) -> str:
        """Return the name, under which `open_study` and the command `frontier` find it."""
        return self._results.study

    @property
    def trials(self) -> int:
        """Return how many trials have ended."""
        return len(self._results.trials)

    @property
    def device_seconds(self) -> float:
        """Return what all trials have spent, those too that came to nothing."""
        return self._results.paid_seconds

    @property
    def measure(self) -> str:
        """Return what its accuracies are: `accuracy`, or for instance `R2`."""
        return self._results.accuracy_name

    def frontier(self) -> tuple[StudyPoint, ...]:
        """Return the points that no other point beats, cheapest first; none where nothing was learnt."""
        return tuple(make_point(member, self._results) for member in self._results.frontier)

    def knee(self) -> StudyPoint:
        """Return the point where the frontier bends most: behind it, more accuracy costs much more.

        Raises:
            FulcrumError: the frontier does not bend.
        """
        from pipeline.cli.frontier.refusal import Request

        return self._choose(Request(knee=True))

    def at_least(self, accuracy: float) -> StudyPoint:
        """Return the cheapest point with that accuracy (0.975 is 97.5 %).

        Raises:
            FulcrumError: there is none, or the test split contradicts it; the text names the nearest.
        """
        from pipeline.cli.frontier.refusal import Request

        return self._choose(Request(at_least=_check_number("at_least", accuracy)))

    def within(self, device_seconds: float) -> StudyPoint:
        """Return the most accurate point that costs at most that.

        Raises:
            FulcrumError: there is none; the text names the cheapest.
        """
        from pipeline.cli.frontier.refusal import Request

        return self._choose(Request(within=_check_number("within", device_seconds)))

    def best(self) -> StudyPoint:
        """Return the most accurate point.

        Raises:
            FulcrumError: there is no point.
        """
        return self.within(float("inf"))

    def show(self, interactive: bool = False) -> None:
        """Show the frontier: as picture and table in a notebook, else printed as a table.

        `interactive`: in a notebook as the page on which one chooses a point: 5 MB that need no network.
        """
        if _is_in_notebook():
            from IPython.display import HTML, display  # type: ignore[import-not-found, unused-ignore]

            from pipeline.cli.library import rendering

            if interactive:
                page = HTML(rendering.render_page(self._results))  # type: ignore[no-untyped-call, unused-ignore]
                display(page)  # type: ignore[no-untyped-call, unused-ignore]
            else:
                display(self)  # type: ignore[no-untyped-call, unused-ignore]
            return
        from pipeline.cli.frontier.output import print_frontier

        print_frontier(self._results)

    def _choose(self, request: "Request") -> StudyPoint:
        from pipeline.cli.frontier import choice

        choice.check_request(request)
        (member,) = choice.choose_points(request, self._results)
        return make_point(member, self._results, tuple(choice.list_doubts(member, request, self._results)))

    def __repr__(self) -> str:
        points = len(self._results.frontier)
        return (
            f"Study({self.name!r}, {format_count(self.trials, 'trial')}, "
            f"{format_count(points, 'point')} on the frontier)"
        )

    def _repr_html_(self) -> str:
        from pipeline.cli.library import rendering

        return rendering.render_study(self._results)


def _check_number(name: str, value: float) -> float:
    """Return a number as a float.

    Raises:
        BadSetting: it is none.
    """
    try:
        if isinstance(value, str | bool):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise BadSetting(f"{name} must be a number, got {value!r}; write it as 0.5")
    return number


def _is_in_notebook() -> bool:
    """Return whether what is displayed appears in a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
