"""Breakdown in, verdict out: the one bottleneck, what it would be worth, and the remedies for it. Pure."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from pipeline.profiling.breakdown import Breakdown, Part
from pipeline.profiling.roofline import AT_THE_ROOF, Bound, Ceilings, Roofline
from pipeline.settings.diagnosis import Aim
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine

Words = tuple[str, ...]
"""Overrides, as on a command line."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is known about one command line.

    `epochs`: what it trains for; `enough`: epochs after which it had the accuracy that is wanted (fewer only
    where the schedule makes every epoch a fair point); `rows`: of the training split; `images`: whether
    the samples are.
    """

    settings: Settings
    aim: Aim
    breakdown: Breakdown
    epochs: int
    enough: int
    rows: int
    loop: Engine
    kind: str
    roofline: Roofline | None = None
    ceilings: Ceilings | None = None
    images: bool = False

    def shares(self) -> dict[Part, float]:
        """Of the whole cost, 0..1: epochs that bought nothing, and the parts of those that did."""
        surplus = 1 - self.enough / self.epochs
        of_an_epoch = {part: self.breakdown.share(part) for part in self.breakdown.parts}
        return {Part.surplus: surplus} | {part: (1 - surplus) * each for part, each in of_an_epoch.items()}


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing that may help.

    `cures`: the parts it shrinks; `words`: the overrides, None where it does not apply; `left`: the share of
    the cost that is expected to be left (the measurement decides); `risk`: what it might cost; `gives_up`:
    it buys its gain with accuracy by its nature, so it comes last, when others have had their turn.
    """

    name: str
    aim: Aim
    cures: frozenset[Part]
    words: Callable[[Case], Words | None]
    left: Callable[[Case], float]
    risk: str
    gives_up: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """A remedy applied to a case; `gain`: how many times cheaper it is expected to make it."""

    remedy: str
    words: Words
    gain: float
    risk: str
    for_bottleneck: bool
    gives_up: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The single point: `share` of the cost (0..1) that `part` takes, and the remedies, best first; those
    that give up accuracy behind all others.

    `limit`: how many times cheaper all would be if the part vanished (Amdahl 1967).
    """

    part: Part
    share: float
    limit: float
    sentence: str
    proposals: tuple[Proposal, ...]


def diagnose(case: Case, remedies: Sequence[Remedy], spent: Collection[str] = ()) -> Verdict:
    """Name the bottleneck; remedies whose name is in `spent` have failed and are left out."""
    shares = case.shares()
    part = max(shares, key=lambda each: shares[each])
    share = min(1.0, shares[part])
    limit = 1 / (1 - share) if share < 1 else float("inf")
    found = [_proposal(case, remedy, part) for remedy in remedies if remedy.name not in spent]
    useful = [each for each in found if each is not None and each.gain > 1]
    useful.sort(key=lambda each: (each.gives_up, not each.for_bottleneck, -each.gain))
    return Verdict(part, share, limit, _sentence(case, part, share, limit), tuple(useful))


def _proposal(case: Case, remedy: Remedy, bottleneck: Part) -> Proposal | None:
    if remedy.aim is not case.aim:
        return None
    words = remedy.words(case)
    if words is None:
        return None
    gain = 1 / max(remedy.left(case), 1e-6)
    return Proposal(remedy.name, words, gain, remedy.risk, bottleneck in remedy.cures, remedy.gives_up)


# ---- in words ---------------------------------------------------------------------------------------

EXPLAINED = {
    Part.input: "fetching and preparing samples",
    Part.forward: "the forward pass",
    Part.backward: "the backward pass",
    Part.update: "writing the new weights",
    Part.overhead: "overhead (starting steps and kernels, no arithmetic)",
    Part.compute: "the network's arithmetic",
}


def _sentence(case: Case, part: Part, share: float, limit: float) -> str:
    worth = f"if it vanished, {limit:.1f}x" if limit < 1000 else "without it next to nothing would be left"
    if part is Part.surplus:
        return (
            f"{case.epochs - case.enough} of {case.epochs} epochs came after the accuracy was reached: "
            f"{share:.0%} of the cost; without them {limit:.1f}x cheaper"
        )
    whole = (
        "an answer" if case.aim is Aim.latency else "an epoch" if case.epochs == case.enough else "the cost"
    )
    return f"{EXPLAINED[part]} is {share:.0%} of {whole}{_because(case, part)}; {worth}"


def _because(case: Case, part: Part) -> str:
    """The reason, where the measurements tell one."""
    roofline, steps = case.roofline, case.breakdown.steps
    if roofline is None or case.aim is Aim.latency:
        return ""
    size = case.settings.train.batch_size
    samples = "1 sample" if size == 1 else f"{size} samples"
    if part is Part.update:
        return f" (all weights, {steps:,} times an epoch, at {samples} a step)"
    if part in (Part.forward, Part.backward) and roofline.bound is not Bound.overhead:
        far = f"{roofline.far:.1f}x slower than" if roofline.far > AT_THE_ROOF else "as fast as"
        return f" ({roofline.bound}: {samples} a step, {far} its roof allows)"
    if part is Part.overhead:
        return f" ({steps:,} steps of {samples})"
    return ""
