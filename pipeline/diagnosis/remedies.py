"""What may help, one small entry each: which parts it cures, its overrides, what is expected of it.

Expected gains are estimates from the breakdown, the ceilings or experience; they order the attempts and
decide nothing else. Rates follow a batch m times larger by m (Goyal et al. 2017, arXiv 1706.02677) or by the
square root of m (Krizhevsky 2014, arXiv 1404.5997).
"""

import math
from collections.abc import Callable

from pipeline.diagnosis.bottleneck import Case, Remedy, Words
from pipeline.models.architectures import architecture_of
from pipeline.profiling.breakdown import Part
from pipeline.settings.diagnosis import Aim
from pipeline.settings.measuring import Runtime
from pipeline.settings.optimizer import Constant, Sgd
from pipeline.settings.preprocess import Standardise, Storage
from pipeline.settings.training import Engine, Policy
from pipeline.training.optimizers import rule_class

STEP = frozenset({Part.overhead, Part.update, Part.forward, Part.backward, Part.input})
WORK = frozenset({Part.update, Part.forward, Part.backward})
MIN_STEPS = 40
"""Steps an epoch that a larger batch must leave: the optimizer needs some."""
MAX_BATCH = 512
DOUBLING_PAYS_BELOW = 0.87
"""What each doubling of the batch must bring the cost down to: it has its price, too."""
HALF_SPEED_BATCH = 8
"""Batch at which matrix products reach half of their ceiling (seen on CPUs: thin products move memory)."""


# ---- a larger batch -----------------------------------------------------------------------------------


def _estimate_batch(case: Case, factor: int) -> float:
    """Estimate the share of the cost that a batch `factor` times larger leaves.

    What each step costs shrinks by the factor; arithmetic runs as fast as products of that batch do.
    """
    share, roofline = case.breakdown.share, case.roofline
    per_step = share(Part.overhead) + share(Part.update)
    products = share(Part.forward) + share(Part.backward)
    arithmetic = products / factor
    if roofline is not None:
        batch = case.settings.train.batch_size * factor
        work = roofline.work
        ideal = (work.flops - work.update_flops) / roofline.peak / roofline.seconds
        arithmetic = min(products, max(arithmetic, ideal * (1 + HALF_SPEED_BATCH / batch)))
    return share(Part.input) + per_step / factor + arithmetic


def _choose_factor(case: Case, limit: int) -> int:
    """Return the power of two up to `limit` that is best where each doubling has its price; 1 if none pays.

    All are compared: the first doublings alone may bring nothing, as thin products move as much memory.
    """
    batch = case.settings.train.batch_size
    factors = [1 << power for power in range(int(math.log2(limit)) + 1)]
    allowed = [
        factor
        for factor in factors
        if factor == 1 or (case.rows // (batch * factor) >= MIN_STEPS and batch * factor <= MAX_BATCH)
    ]
    power = -math.log2(DOUBLING_PAYS_BELOW)
    return min(allowed, key=lambda factor: _estimate_batch(case, factor) * factor**power)


def _enlarge_batch(limit: int, power: float) -> Callable[[Case], Words | None]:
    def words(case: Case) -> Words | None:
        factor, rate = _choose_factor(case, limit), case.settings.optimizer.learning_rate
        if factor == 1:
            return None
        scaled = min(rate * factor**power, max(rate, _get_steepest_rate(case)))
        batch = case.settings.train.batch_size * factor
        return (f"train.batch_size={batch}", f"optimizer.learning_rate={_format_number(scaled)}")

    return words


def _get_steepest_rate(case: Case) -> float:
    return rule_class(case.settings.optimizer).steepest_rate


def _estimate_largest(limit: int, doubt: float) -> Callable[[Case], float]:
    return lambda case: doubt * _estimate_batch(case, _choose_factor(case, limit))


# ---- fewer epochs -------------------------------------------------------------------------------------


def _stop_when_reached(case: Case) -> Words | None:
    return (f"train.epochs={case.enough_epochs}",) if case.enough_epochs < case.epochs else None


def _let_rate_fall(case: Case) -> Words | None:
    """Let the learning rate fall to zero: training settles sooner, but must know its end beforehand."""
    if not isinstance(case.settings.schedule, Constant) or case.epochs < 2:
        return None
    return ("schedule=warmup_linear", f"train.epochs={math.ceil(case.enough_epochs / 2)}")


def _shorten(share: float) -> Callable[[Case], Words | None]:
    def words(case: Case) -> Words | None:
        fewer = max(1, round(share * case.epochs))
        fair = case.settings.schedule.fair_midway
        return None if fair or fewer == case.epochs else (f"train.epochs={fewer}",)

    return words


def _standardise(case: Case) -> Words | None:
    """Standardise the samples; their larger gradients in the first layer need half the rate."""
    if case.settings.preprocess.standardise is not Standardise.none:
        return None
    rate = _format_number(case.settings.optimizer.learning_rate / 2)
    return ("preprocess.standardise=overall", f"optimizer.learning_rate={rate}")


def _standardised_and_falling(case: Case) -> Words | None:
    words, more = _standardise(case), _let_rate_fall(case)
    return (*words, *more) if words and more else None


def _use_adam(case: Case) -> Words | None:
    if not isinstance(case.settings.optimizer, Sgd):
        return None
    rate = min(0.001 * math.sqrt(case.settings.train.batch_size / 64), 0.005)
    return ("optimizer=adam", f"optimizer.learning_rate={_format_number(rate)}")


def _use_momentum(case: Case) -> Words | None:
    optimizer = case.settings.optimizer
    if not isinstance(optimizer, Sgd) or optimizer.momentum or case.settings.train.batch_size < 32:
        return None
    rate = _format_number(optimizer.learning_rate / 3)
    return ("optimizer.momentum=0.8", "optimizer.nesterov=true", f"optimizer.learning_rate={rate}")


def _double_rate(case: Case) -> Words | None:
    rate = 2 * case.settings.optimizer.learning_rate
    return (f"optimizer.learning_rate={_format_number(rate)}",) if rate <= _get_steepest_rate(case) else None


# ---- cheaper steps ------------------------------------------------------------------------------------


def _halve_width(case: Case) -> Words | None:
    model, architecture = case.settings.model, architecture_of(case.settings.model)
    key = architecture.width_key
    width = getattr(model, key)
    is_linear = getattr(model, "layers", 1) == 0
    if is_linear or width < architecture.smallest_halved or getattr(model, "pretrained", None):
        return None
    return (f"model.{key}={width // 2}",)


def _shift_and_halve_width(case: Case) -> Words | None:
    """Halve the width on shifted images: a smaller network learns as much where no image comes twice."""
    narrower = _halve_width(case) if case.images and not case.settings.augment.active else None
    return ("augment=shift", "augment.shift=0.04", *narrower) if narrower else None


def _estimate_half(*components: Part) -> Callable[[Case], float]:
    return lambda case: 1 - sum(case.breakdown.share(component) for component in components) / 2


def _use_half_precision(policy: Policy, kinds: tuple[str, ...]) -> Callable[[Case], Words | None]:
    def words(case: Case) -> Words | None:
        if case.kind not in kinds or case.settings.precision.policy is not Policy.float32:
            return None
        return (f"precision={policy}",)

    return words


def _estimate_half_precision(name: str) -> Callable[[Case], float]:
    def estimate(case: Case) -> float:
        """Estimate from the ceiling of that type; 1 or more, so no try, where it is not faster."""
        ceilings = case.ceilings.flops if case.ceilings else {}
        if name not in ceilings or "float32" not in ceilings:
            return 1.0
        products = case.breakdown.share(Part.forward) + case.breakdown.share(Part.backward)
        return 1 - products * (1 - ceilings["float32"] / ceilings[name])

    return estimate


def _use_other_loop(case: Case) -> Words | None:
    if case.loop is Engine.keras or not architecture_of(case.settings.model).is_perceptron:
        # Of any other network, auto has measured the loops; a rule says which ones are too slow to be tried.
        return ("engine=auto",) if case.settings.engine is not Engine.auto else None
    if case.kind == "gpu" or case.settings.precision.policy is not Policy.float32:
        return None
    return ("engine=xla",) if case.loop is Engine.graph else ("engine=graph",)


def _estimate_other_loop(case: Case) -> float:
    """Estimate from where they differ: a graph has faster products and updates, XLA almost no overhead."""
    share = case.breakdown.share
    if case.loop is Engine.keras:
        return 1 - 0.9 * share(Part.overhead)
    if case.loop is Engine.xla:
        return 0.93 * (1 - share(Part.overhead)) + 6 * share(Part.overhead)
    return 1 - 0.9 * share(Part.overhead) + 0.07 * (share(Part.forward) + share(Part.backward))


def _store_bytes(case: Case) -> Words | None:
    plain = case.settings.preprocess.storage is Storage.float32
    return ("preprocess.storage=uint8",) if plain and case.kind == "gpu" else None


def _halve_threads(case: Case) -> Words | None:
    threads = case.settings.device.threads
    return (f"device.threads={threads // 2}",) if case.kind == "cpu" and threads > 1 else None


# ---- quicker answers ----------------------------------------------------------------------------------


def _use_runtime(runtime: Runtime, after: tuple[Runtime, ...]) -> Callable[[Case], Words | None]:
    return lambda case: (f"profile.runtime={runtime}",) if case.settings.profile.runtime in after else None


def _estimate_fixed(share: float) -> Callable[[Case], float]:
    return lambda _: share


PLAIN = (Runtime.keras, Runtime.compiled)

REMEDIES: tuple[Remedy, ...] = (
    # ---- device-seconds
    Remedy(name="stop when it is reached", aim=Aim.train, cures=frozenset({Part.surplus}),
           words=_stop_when_reached, remaining_share=lambda case: case.enough_epochs / case.epochs,
           risk="none: the same epochs, fewer of them"),
    Remedy(name="larger batch, rate in proportion", aim=Aim.train, cures=STEP,
           words=_enlarge_batch(512, 1.0), remaining_share=_estimate_largest(512, 1.0),
           risk="may diverge or need more epochs"),
    Remedy(name="larger batch, rate by the root", aim=Aim.train, cures=STEP,
           words=_enlarge_batch(512, 0.5), remaining_share=_estimate_largest(512, 1.1),
           risk="may need more epochs"),
    Remedy(name="batch up to eight times larger", aim=Aim.train, cures=STEP,
           words=_enlarge_batch(8, 0.9), remaining_share=_estimate_largest(8, 1.1),
           risk="may need more epochs"),
    Remedy(name="standardised samples", aim=Aim.train, cures=STEP,
           words=_standardise, remaining_share=_estimate_fixed(0.6),
           risk="the best learning rate may change"),
    Remedy(name="standardised samples, falling rate, half the epochs", aim=Aim.train, cures=STEP,
           words=_standardised_and_falling,
           remaining_share=lambda case: 0.95 * math.ceil(case.enough_epochs / 2) / case.enough_epochs,
           risk="the best rate may change"),
    Remedy(name="falling learning rate, half the epochs", aim=Aim.train, cures=STEP,
           words=_let_rate_fall,
           remaining_share=lambda case: math.ceil(case.enough_epochs / 2) / case.enough_epochs,
           risk="only the last epoch is a fair point"),
    Remedy(name="a third fewer epochs", aim=Aim.train, cures=STEP,
           words=_shorten(0.67), remaining_share=_estimate_fixed(0.67),
           risk="less accuracy", gives_up=True),
    Remedy(name="a few epochs less", aim=Aim.train, cures=STEP,
           words=_shorten(0.85), remaining_share=_estimate_fixed(0.85),
           risk="less accuracy", gives_up=True),
    Remedy(name="small shifts of the images, half as wide a network", aim=Aim.train, cures=WORK,
           words=_shift_and_halve_width, remaining_share=lambda case: 1.15 * _estimate_half(*WORK)(case),
           risk="a shifted image may be another class"),
    Remedy(name="half as wide a network", aim=Aim.train, cures=WORK,
           words=_halve_width, remaining_share=_estimate_half(Part.forward, Part.backward, Part.update),
           risk="less accuracy", gives_up=True),
    Remedy(name="Adam", aim=Aim.train, cures=STEP,
           words=_use_adam, remaining_share=lambda case: 0.7 + 2 * case.breakdown.share(Part.update),
           risk="dearer updates"),
    Remedy(name="Nesterov momentum", aim=Aim.train, cures=STEP,
           words=_use_momentum, remaining_share=lambda case: 0.75 + case.breakdown.share(Part.update),
           risk="dearer updates, may diverge"),
    Remedy(name="twice the learning rate", aim=Aim.train, cures=STEP,
           words=_double_rate, remaining_share=_estimate_fixed(0.8),
           risk="may diverge"),
    Remedy(name="bfloat16", aim=Aim.train, cures=WORK,
           words=_use_half_precision(Policy.mixed_bfloat16, ("cpu", "gpu")),
           remaining_share=_estimate_half_precision("bfloat16"),
           risk="three digits in the hidden layers"),
    Remedy(name="float16", aim=Aim.train, cures=WORK,
           words=_use_half_precision(Policy.mixed_float16, ("gpu",)),
           remaining_share=_estimate_half_precision("float16"),
           risk="overflow where the loss scale is too high"),
    Remedy(name="another loop", aim=Aim.train, cures=STEP,
           words=_use_other_loop, remaining_share=_estimate_other_loop,
           risk="none: the same arithmetic"),
    Remedy(name="samples as bytes on the device", aim=Aim.train, cures=frozenset({Part.input}),
           words=_store_bytes, remaining_share=lambda case: 1 - case.breakdown.share(Part.input) / 2,
           risk="none: scaled in each step"),
    Remedy(name="half the cores", aim=Aim.train, cures=STEP,
           words=_halve_threads, remaining_share=_estimate_fixed(0.6),
           risk="twice the wall time at worst"),
    # ---- latency
    Remedy(name="LiteRT", aim=Aim.latency, cures=frozenset({Part.overhead, Part.compute}),
           words=_use_runtime(Runtime.litert, PLAIN), remaining_share=_estimate_fixed(0.05),
           risk="none: float32 as before"),
    Remedy(name="LiteRT with 8-bit weights", aim=Aim.latency, cures=frozenset({Part.compute}),
           words=_use_runtime(Runtime.litert_int8, (*PLAIN, Runtime.litert)),
           remaining_share=lambda case: 1 - case.breakdown.share(Part.compute) / 2,
           risk="weights rounded to 8 bits"),
    Remedy(name="half as wide a network, answering", aim=Aim.latency, cures=frozenset({Part.compute}),
           words=_halve_width, remaining_share=_estimate_half(Part.compute),
           risk="less accuracy", gives_up=True),
)  # fmt: skip


def _format_number(value: float) -> str:
    return f"{value:.3g}"
