"""The single point: the one bottleneck that a breakdown shows, its worth, and the remedies for it. Pure."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from pipeline.formatting import format_count, format_roughly
from pipeline.profiling.breakdown import Breakdown, Part
from pipeline.profiling.roofline import AT_THE_ROOF, Bound, DevicePeaks, Roofline
from pipeline.settings.diagnosis import Aim
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine

Words = tuple[str, ...]
"""Overrides, as on a command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that is known about one command line.

    `epochs`: how many it trains for; `enough_epochs`: after how many it had the required accuracy (fewer only
    where the schedule makes every epoch a fair point); `rows`: of the training split; `images`: whether the
    samples are images.
    """

    settings: Settings
    aim: Aim
    breakdown: Breakdown
    epochs: int
    enough_epochs: int
    rows: int
    loop: Engine
    kind: str
    roofline: Roofline | None = None
    ceilings: DevicePeaks | None = None
    images: bool = False

    def compute_shares(self) -> dict[Part, float]:
        """Return the share 0..1 of the cost that each component takes, the surplus epochs among them."""
        surplus = 1 - self.enough_epochs / self.epochs
        epoch_shares = {name: self.breakdown.share(name) for name in self.breakdown.parts}
        return {Part.surplus: surplus} | {name: (1 - surplus) * share for name, share in epoch_shares.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A change of settings that may help.

    `cures`: the components it shrinks; `words`: its overrides, None where it does not apply;
    `remaining_share`: the share of the cost that is expected to remain (the measurement decides); `risk`:
    what it might cost; `gives_up`: by its nature it buys its gain with accuracy, so it is tried last.
    """

    name: str
    aim: Aim
    cures: frozenset[Part]
    words: Callable[[Case], Words | None]
    remaining_share: Callable[[Case], float]
    risk: str
    gives_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedRemedy:
    """A remedy applied to a case; `gain`: how many times cheaper it is expected to make it."""

    remedy: str
    words: Words
    gain: float
    risk: str
    for_bottleneck: bool
    gives_up: bool = False


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """The single point: the component that takes the largest share (0..1) of the cost.

    `limit`: how many times cheaper everything would be without it (Amdahl 1967); `proposals`: the remedies,
    best first, and behind all others those that give up accuracy.
    """

    component: Part
    share: float
    limit: float
    sentence: str
    proposals: tuple[ProposedRemedy, ...]


def find_bottleneck(case: Case, remedies: Sequence[Remedy], failed: Collection[str] = ()) -> Bottleneck:
    """Find the bottleneck; leave out the remedies whose name is in `failed`."""
    shares = case.compute_shares()
    component = max(shares, key=lambda name: shares[name])
    share = min(1.0, shares[component])
    limit = 1 / (1 - share) if share < 1 else float("inf")
    proposals = [_propose(case, remedy, component) for remedy in remedies if remedy.name not in failed]
    useful = [proposal for proposal in proposals if proposal is not None and proposal.gain > 1]
    useful.sort(key=lambda proposal: (proposal.gives_up, not proposal.for_bottleneck, -proposal.gain))
    return Bottleneck(component, share, limit, _describe(case, component, share, limit), tuple(useful))


def _propose(case: Case, remedy: Remedy, bottleneck: Part) -> ProposedRemedy | None:
    if remedy.aim is not case.aim:
        return None
    words = remedy.words(case)
    if words is None:
        return None
    gain = 1 / max(remedy.remaining_share(case), 1e-6)
    return ProposedRemedy(
        remedy=remedy.name,
        words=words,
        gain=gain,
        risk=remedy.risk,
        for_bottleneck=bottleneck in remedy.cures,
        gives_up=remedy.gives_up,
    )


# ---- in words ---------------------------------------------------------------------------------------

EXPLAINED = {
    Part.input: "fetching and preparing samples",
    Part.forward: "the forward pass",
    Part.backward: "the backward pass",
    Part.update: "writing the new weights",
    Part.overhead: "overhead (starting steps and kernels, no arithmetic)",
    Part.compute: "the network's arithmetic",
}


def _describe(case: Case, component: Part, share: float, limit: float) -> str:
    worth = f"if it vanished, {limit:.1f}x" if limit < 1000 else "without it next to nothing would be left"
    if component is Part.surplus:
        return (
            f"{case.epochs - case.enough_epochs} of {format_count(case.epochs, 'epoch')} came "
            f"after the {case.settings.measure.label} was reached: {format_roughly(share)} of the cost; "
            f"without them {limit:.1f}x cheaper"
        )
    subject = (
        "an answer"
        if case.aim is Aim.latency
        else "an epoch"
        if case.epochs == case.enough_epochs
        else "the cost"
    )
    return (
        f"{EXPLAINED[component]} is {format_roughly(share)} of {subject}{_explain(case, component)}; {worth}"
    )


def _explain(case: Case, component: Part) -> str:
    """Return the reason in brackets, or nothing where the measurements show none."""
    roofline, steps = case.roofline, case.breakdown.steps
    if roofline is None or case.aim is Aim.latency:
        return ""
    size = case.settings.train.batch_size
    samples = format_count(size, "sample")
    if component is Part.update:
        return f" (all weights, {steps:,} times an epoch, at {samples} a step)"
    if component in (Part.forward, Part.backward) and roofline.bound is not Bound.overhead:
        far = f"{roofline.slowdown:.1f}x slower than" if roofline.slowdown > AT_THE_ROOF else "as fast as"
        share = f"{format_roughly(roofline.peak_share)} of the peak in {roofline.precision} products"
        return f" ({roofline.bound}: {samples} a step, {share}, {far} its roof allows)"
    if component is Part.overhead:
        return f" ({format_count(steps, 'step')} of {samples})"
    return ""
