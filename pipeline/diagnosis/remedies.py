"""What may help, one small entry each: which parts it cures, its overrides, what is expected of it.

Expected gains are estimates from the breakdown, the ceilings or experience; they order the attempts and
decide nothing else. Rates follow a batch m times larger by m (Goyal et al. 2017, arXiv 1706.02677) or by the
square root of m (Krizhevsky 2014, arXiv 1404.5997).
"""

import math
from collections.abc import Callable

from pipeline.diagnosis.bottleneck import Case, Remedy, Words
from pipeline.profiling.breakdown import Part
from pipeline.search.epoch_work import WIDTHS
from pipeline.settings.diagnosis import Aim
from pipeline.settings.measuring import Runtime
from pipeline.settings.model import Mlp
from pipeline.settings.optimizer import Adam, Constant, Sgd
from pipeline.settings.preprocess import Standardise, Storage
from pipeline.settings.training import Engine, Policy

STEP = frozenset({Part.overhead, Part.update, Part.forward, Part.backward, Part.input})
WORK = frozenset({Part.update, Part.forward, Part.backward})
FEWEST_STEPS = 40
"""Steps an epoch that a larger batch must leave: the optimizer needs some."""
LARGEST_BATCH = 512
WORTH = 0.87
"""What each doubling of the batch must bring the cost down to: it has its price, too."""
HALF_SPEED = 8
"""Batch at which matrix products reach half of their ceiling (seen on CPUs: thin products move memory)."""
STEEPEST = {Sgd: 0.5, Adam: 0.01}
"""Learning rates that no remedy goes beyond."""


# ---- a larger batch -----------------------------------------------------------------------------------


def _left_of_batch(case: Case, factor: int) -> float:
    """Per step costs shrink by the factor; arithmetic goes on at what products of that batch reach."""
    share, roofline = case.breakdown.share, case.roofline
    per_step = share(Part.overhead) + share(Part.update)
    products = share(Part.forward) + share(Part.backward)
    least = products / factor
    if roofline is not None:
        batch = case.settings.train.batch_size * factor
        work = roofline.work
        ideal = (work.flops - work.update_flops) / roofline.peak / roofline.seconds
        least = min(products, max(least, ideal * (1 + HALF_SPEED / batch)))
    return share(Part.input) + per_step / factor + least


def _factor(case: Case, most: int) -> int:
    """The power of two up to `most` that is best where each doubling has its price; 1 where none is.

    Not step by step: the first doublings may bring nothing, as thin products move memory all the same.
    """
    batch = case.settings.train.batch_size
    factors = [1 << power for power in range(int(math.log2(most)) + 1)]
    allowed = [
        factor
        for factor in factors
        if factor == 1 or (case.rows // (batch * factor) >= FEWEST_STEPS and batch * factor <= LARGEST_BATCH)
    ]
    return min(allowed, key=lambda factor: _left_of_batch(case, factor) * factor ** -math.log2(WORTH))


def _batch(most: int, power: float) -> Callable[[Case], Words | None]:
    def words(case: Case) -> Words | None:
        factor, rate = _factor(case, most), case.settings.optimizer.learning_rate
        if factor == 1:
            return None
        scaled = min(rate * factor**power, max(rate, _steepest(case)))
        batch = case.settings.train.batch_size * factor
        return (f"train.batch_size={batch}", f"optimizer.learning_rate={_number(scaled)}")

    return words


def _steepest(case: Case) -> float:
    return STEEPEST.get(type(case.settings.optimizer), 0.01)


def _left_of_most(most: int, doubt: float) -> Callable[[Case], float]:
    return lambda case: doubt * _left_of_batch(case, _factor(case, most))


# ---- fewer epochs -------------------------------------------------------------------------------------


def _enough(case: Case) -> Words | None:
    return (f"train.epochs={case.enough}",) if case.enough < case.epochs else None


def _falling(case: Case) -> Words | None:
    """A falling rate settles what a constant one keeps shaking; it must know its end beforehand."""
    if not isinstance(case.settings.schedule, Constant) or case.epochs < 2:
        return None
    return ("schedule=warmup_linear", f"train.epochs={math.ceil(case.enough / 2)}")


def _shorter(share: float) -> Callable[[Case], Words | None]:
    def words(case: Case) -> Words | None:
        fewer = max(1, round(share * case.epochs))
        fair = case.settings.schedule.fair_midway
        return None if fair or fewer == case.epochs else (f"train.epochs={fewer}",)

    return words


def _standardised(case: Case) -> Words | None:
    """Samples of unit variance bring larger gradients in the first layer, so the rate is halved."""
    if case.settings.preprocess.standardise is not Standardise.none:
        return None
    rate = _number(case.settings.optimizer.learning_rate / 2)
    return ("preprocess.standardise=overall", f"optimizer.learning_rate={rate}")


def _standardised_and_falling(case: Case) -> Words | None:
    standard, falling = _standardised(case), _falling(case)
    return (*standard, *falling) if standard and falling else None


def _adam(case: Case) -> Words | None:
    if not isinstance(case.settings.optimizer, Sgd):
        return None
    rate = min(0.001 * math.sqrt(case.settings.train.batch_size / 64), 0.005)
    return ("optimizer=adam", f"optimizer.learning_rate={_number(rate)}")


def _momentum(case: Case) -> Words | None:
    optimizer = case.settings.optimizer
    if not isinstance(optimizer, Sgd) or optimizer.momentum or case.settings.train.batch_size < 32:
        return None
    rate = _number(optimizer.learning_rate / 3)
    return ("optimizer.momentum=0.8", "optimizer.nesterov=true", f"optimizer.learning_rate={rate}")


def _steeper(case: Case) -> Words | None:
    rate = 2 * case.settings.optimizer.learning_rate
    return (f"optimizer.learning_rate={_number(rate)}",) if rate <= _steepest(case) else None


# ---- cheaper steps ------------------------------------------------------------------------------------


LEAST_HALVED = {"hidden": 32, "filters": 8, "width": 16}


def _narrower(case: Case) -> Words | None:
    model = case.settings.model
    key = WIDTHS[type(model)]
    width = getattr(model, key)
    if width < LEAST_HALVED[key] or getattr(model, "pretrained", None):
        return None
    return (f"model.{key}={width // 2}",)


def _shifted_and_narrower(case: Case) -> Words | None:
    """Images that are never twice the same teach a smaller network as much."""
    narrower = _narrower(case) if case.images and not case.settings.augment.active else None
    return ("augment=shift", "augment.shift=0.04", *narrower) if narrower else None


def _left_of_half(*parts: Part) -> Callable[[Case], float]:
    return lambda case: 1 - sum(case.breakdown.share(part) for part in parts) / 2


def _half(policy: Policy, kinds: tuple[str, ...]) -> Callable[[Case], Words | None]:
    def words(case: Case) -> Words | None:
        if case.kind not in kinds or case.settings.precision.policy is not Policy.float32:
            return None
        return (f"precision={policy}",)

    return words


def _left_of_half_precision(name: str) -> Callable[[Case], float]:
    def left(case: Case) -> float:
        """Products at that type's own ceiling; 1 or more, so not worth a try, where that is none."""
        known = case.ceilings.flops if case.ceilings else {}
        if name not in known or "float32" not in known:
            return 1.0
        products = case.breakdown.share(Part.forward) + case.breakdown.share(Part.backward)
        return 1 - products * (1 - known["float32"] / known[name])

    return left


def _other_loop(case: Case) -> Words | None:
    if case.loop is Engine.keras:
        compiles = isinstance(case.settings.model, Mlp) and case.settings.engine is Engine.keras
        return ("engine=auto",) if compiles else None
    if case.kind == "gpu" or case.settings.precision.policy is not Policy.float32:
        return None
    return ("engine=xla",) if case.loop is Engine.graph else ("engine=graph",)


def _left_of_other_loop(case: Case) -> float:
    """A graph has the quicker products and updates, XLA next to no overhead."""
    share = case.breakdown.share
    if case.loop is Engine.xla:
        return 0.93 * (1 - share(Part.overhead)) + 6 * share(Part.overhead)
    return 1 - 0.9 * share(Part.overhead) + 0.07 * (share(Part.forward) + share(Part.backward))


def _bytes(case: Case) -> Words | None:
    plain = case.settings.preprocess.storage is Storage.float32
    return ("preprocess.storage=uint8",) if plain and case.kind == "gpu" else None


def _fewer_threads(case: Case) -> Words | None:
    threads = case.settings.device.threads
    return (f"device.threads={threads // 2}",) if case.kind == "cpu" and threads > 1 else None


# ---- quicker answers ----------------------------------------------------------------------------------


def _runtime(runtime: Runtime, after: tuple[Runtime, ...]) -> Callable[[Case], Words | None]:
    return lambda case: (f"profile.runtime={runtime}",) if case.settings.profile.runtime in after else None


def _fixed(left: float) -> Callable[[Case], float]:
    return lambda _: left


PLAIN = (Runtime.keras, Runtime.compiled)

REMEDIES: tuple[Remedy, ...] = (
    # ---- device-seconds
    Remedy("stop when it is reached", Aim.train, frozenset({Part.surplus}), _enough,
           lambda case: case.enough / case.epochs, "none: the same epochs, fewer of them"),
    Remedy("larger batch, rate in proportion", Aim.train, STEP, _batch(512, 1.0), _left_of_most(512, 1.0),
           "may diverge or need more epochs"),
    Remedy("larger batch, rate by the root", Aim.train, STEP, _batch(512, 0.5), _left_of_most(512, 1.1),
           "may need more epochs"),
    Remedy("batch up to eight times larger", Aim.train, STEP, _batch(8, 0.9), _left_of_most(8, 1.1),
           "may need more epochs"),
    Remedy("standardised samples", Aim.train, STEP, _standardised, _fixed(0.6),
           "the best learning rate may change"),
    Remedy("standardised samples, falling rate, half the epochs", Aim.train, STEP, _standardised_and_falling,
           lambda case: 0.95 * math.ceil(case.enough / 2) / case.enough, "the best rate may change"),
    Remedy("falling learning rate, half the epochs", Aim.train, STEP, _falling,
           lambda case: math.ceil(case.enough / 2) / case.enough, "only the last epoch is a fair point"),
    Remedy("a third fewer epochs", Aim.train, STEP, _shorter(0.67), _fixed(0.67), "less accuracy",
           gives_up=True),
    Remedy("a few epochs less", Aim.train, STEP, _shorter(0.85), _fixed(0.85), "less accuracy",
           gives_up=True),
    Remedy("small shifts of the images, half as wide a network", Aim.train, WORK, _shifted_and_narrower,
           lambda case: 1.15 * _left_of_half(*WORK)(case), "a shifted image may be another class"),
    Remedy("half as wide a network", Aim.train, WORK, _narrower,
           _left_of_half(Part.forward, Part.backward, Part.update), "less accuracy", gives_up=True),
    Remedy("Adam", Aim.train, STEP, _adam, lambda case: 0.7 + 2 * case.breakdown.share(Part.update),
           "dearer updates"),
    Remedy("Nesterov momentum", Aim.train, STEP, _momentum,
           lambda case: 0.75 + case.breakdown.share(Part.update), "dearer updates, may diverge"),
    Remedy("twice the learning rate", Aim.train, STEP, _steeper, _fixed(0.8), "may diverge"),
    Remedy("bfloat16", Aim.train, WORK, _half(Policy.mixed_bfloat16, ("cpu", "gpu")),
           _left_of_half_precision("bfloat16"), "three digits in the hidden layers"),
    Remedy("float16", Aim.train, WORK, _half(Policy.mixed_float16, ("gpu",)),
           _left_of_half_precision("float16"), "overflow where the loss scale is too high"),
    Remedy("another loop", Aim.train, STEP, _other_loop, _left_of_other_loop, "none: the same arithmetic"),
    Remedy("samples as bytes on the device", Aim.train, frozenset({Part.input}), _bytes,
           lambda case: 1 - case.breakdown.share(Part.input) / 2, "none: scaled in each step"),
    Remedy("half the cores", Aim.train, STEP, _fewer_threads, _fixed(0.6), "twice the wall time at worst"),
    # ---- latency
    Remedy("LiteRT", Aim.latency, frozenset({Part.overhead, Part.compute}),
           _runtime(Runtime.litert, PLAIN), _fixed(0.05), "none: float32 as before"),
    Remedy("LiteRT with 8-bit weights", Aim.latency, frozenset({Part.compute}),
           _runtime(Runtime.litert_int8, (*PLAIN, Runtime.litert)),
           lambda case: 1 - case.breakdown.share(Part.compute) / 2, "weights rounded to 8 bits"),
    Remedy("half as wide a network, answering", Aim.latency, frozenset({Part.compute}), _narrower,
           _left_of_half(Part.compute), "less accuracy", gives_up=True),
)  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.3g}"
