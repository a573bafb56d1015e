"""Pictures of a diagnosis follow its numbers. How they look was looked at."""

from dataclasses import replace

from pipeline.diagnosis.attempt import Attempt
from pipeline.diagnosis.improve import Conclusion
from pipeline.diagnosis.measured_command import MeasuredCommand
from pipeline.reports import diagnosis_plots, palette
from tests.diagnosis.test_bottleneck import case
from tests.diagnosis.test_improve import Replay, attempts, end, events, remedy
from tests.support.pictures import ink, size


def improvement(attempted: list[Attempt], baseline: MeasuredCommand, conclusion: Conclusion) -> bytes:
    return diagnosis_plots.draw_improvement(baseline, attempted, conclusion, 0.97, "CPU-seconds", "a CPU")


def test_a_bar_for_each_command_line() -> None:
    first, second = case().breakdown, case(forward=0.6, backward=0.4).breakdown
    one = diagnosis_plots.draw_breakdown([("baseline", first)])
    two = diagnosis_plots.draw_breakdown([("baseline", first), ("$result$", second)])
    assert size(two)[1] > size(one)[1]
    assert ink(one, palette.ORANGE) > ink(one, palette.BLUE), "overhead is the largest component"
    assert one == diagnosis_plots.draw_breakdown([("baseline", first)])


def test_a_step_is_drawn_under_its_roof() -> None:
    roofline = case().roofline
    assert roofline is not None
    png = diagnosis_plots.draw_roofline([("baseline", roofline)], "a CPU")
    assert ink(png, palette.BLUE) > 20
    assert png == diagnosis_plots.draw_roofline([("baseline", roofline)], "a CPU")
    faster = replace(roofline, seconds=roofline.seconds / 2)
    assert png != diagnosis_plots.draw_roofline([("baseline", faster)], "a CPU")


def test_kept_attempts_are_blue_and_reverted_ones_orange() -> None:
    found = events(Replay(), remedy("half", "times=0.5"), remedy("idle", "idle=1", left=0.3))
    made, conclusion = list(attempts(found).values()), end(found)
    baseline = made[0].before
    png = improvement(made, baseline, conclusion)
    assert ink(png, palette.BLUE) > 500
    assert ink(png, palette.ORANGE) > 5
    assert png == improvement(made, baseline, conclusion)
    kept = [attempt for attempt in made if attempt.kept]
    assert ink(improvement(kept, baseline, conclusion), palette.ORANGE) == 0
