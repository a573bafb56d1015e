"""Where the seconds of a training epoch, or of one answer, go: measured, not guessed (see `breakdown`)."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pipeline.backend import tf
from pipeline.data.prepared import Prepared
from pipeline.data.samples import Batch
from pipeline.hardware.device import Held, claim_device
from pipeline.models import keras_models
from pipeline.profiling import ablation_keras, ablation_mlp
from pipeline.profiling.breakdown import Breakdown, Part, Rung, Span, answered, climbed, span
from pipeline.profiling.profile import Predict, singles
from pipeline.profiling.roofline import Ceilings, Roofline, step_work
from pipeline.settings.model import Activation, Cnn, Init, Mlp, Output, Text
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine
from pipeline.training import compiled_epoch, optimizer_steps
from pipeline.training.device_data import describe
from pipeline.training.keras_loop import KerasLoop
from pipeline.training.loop import CompiledLoop, start_loop

FEWEST_ROUNDS, MOST_ROUNDS = 7, 25
SECONDS = 8.0
"""What all rounds together may take, as far as the fewest rounds allow."""
CHUNK_SECONDS = 0.12
"""A rung is timed over so many steps as take about this long, or over a whole epoch where that is less."""
FIRST_STEPS = 16
"""Steps of the short look that tells how long a step is."""
KERAS_SECONDS = 0.5
"""The same where Keras trains: each call of `fit` has a cost of its own, which an epoch has once."""


def dissect(settings: Settings, prepared: Prepared) -> Breakdown:
    """An epoch of training in shares; beside it the seconds of compilation and validation.

    The same steps are timed up to each rung on the network and on its twin, all rungs in turns, so that a
    machine that slows down slows all of them; and the product's own epoch among them, as the whole.

    Raises:
        BadInput: as `stages.train.train`.
    """
    held = claim_device(settings.device)
    kind, clock = compiled_epoch.pick_engine(settings, held), clock_of(held)
    loop, beside = _ready(settings, prepared, held, kind, clock)
    calls = _calls(loop, settings, prepared, held)
    seconds = CHUNK_SECONDS if isinstance(loop, CompiledLoop) else KERAS_SECONDS
    steps = _chunk(calls["real", Rung.input], seconds, loop.steps)
    rounds = _rounds(calls, partial(loop.take, steps), steps, loop.steps / steps, clock)
    nothing = [0.0] * len(rounds["whole"])
    parts = climbed(
        {rung: rounds["real", rung] for rung in Rung},
        {rung: rounds.get(("twin", rung), nothing) for rung in Rung},
    )
    whole = span(rounds["whole"], f"the training loop itself, {clock.name}")
    if isinstance(loop, KerasLoop):
        parts = _with_rest(parts, rounds["whole"], whole)
    return Breakdown("epoch", whole, parts, beside, loop.steps, kind.value, held.name)


def _rounds(
    calls: Mapping[tuple[str, Rung], Callable[[int], None]],
    whole: Callable[[], object],
    steps: int,
    times: float,
    clock: "Clock",
) -> dict[object, list[float]]:
    """Seconds of an epoch, by what was done, a number a round; the first round is not counted."""
    rounds: dict[object, list[float]] = {key: [] for key in ["whole", *calls]}
    turn, end, most = 0, time.monotonic() + SECONDS, MOST_ROUNDS
    while turn < FEWEST_ROUNDS or (turn < most and time.monotonic() < end):
        found: dict[object, float] = {"whole": clock.time(whole)}
        found |= {key: clock.time(partial(call, steps)) for key, call in calls.items()}
        for key, seconds in found.items() if turn else ():
            rounds[key].append(seconds * times)
        turn += 1
    return rounds


Calls = dict[tuple[str, Rung], Callable[[int], None]]


def _calls(loop: CompiledLoop | KerasLoop, settings: Settings, prepared: Prepared, held: Held) -> Calls:
    """By side and rung; a perceptron has its twin, also where Keras trains it."""
    if isinstance(loop, KerasLoop) and not isinstance(settings.model, Mlp):
        return {("real", rung): ablation_keras.caller(loop, rung) for rung in Rung}
    shadow = loop if isinstance(loop, CompiledLoop) else _compiled(settings, prepared, held)
    sides = {"real": shadow.inside, "twin": ablation_mlp.twin(shadow.inside)}
    return {(side, rung): ablation_mlp.caller(sides[side], rung) for side in sides for rung in Rung}


def _chunk(call: Callable[[int], None], seconds: float, most: int) -> int:
    few = min(FIRST_STEPS, most)
    call(few)
    each = max(WALL.time(partial(call, few)) / few, 1e-7)
    return int(min(most, max(few, seconds / each)))


@dataclass(frozen=True, slots=True)
class Clock:
    """Reads seconds once the device has finished; `name`: whose seconds they are."""

    name: str
    read: Callable[[], float]

    def time(self, call: Callable[[], object]) -> float:
        tf.test.experimental.sync_devices()
        start = self.read()
        call()
        tf.test.experimental.sync_devices()
        return self.read() - start


WALL = Clock("wall seconds", time.perf_counter)


def clock_of(held: Held) -> Clock:
    """On one core the CPU seconds of this process: what others take from the core is not in them."""
    return Clock("CPU seconds", time.process_time) if held.kind == "cpu" and held.count == 1 else WALL


# ---- the loop itself --------------------------------------------------------------------------------


def _ready(
    settings: Settings, prepared: Prepared, held: Held, kind: Engine, clock: Clock
) -> tuple[CompiledLoop | KerasLoop, Mapping[str, Span]]:
    """The product's loop at its first epoch, and what stands beside an epoch, timed once or a few times."""
    weights = keras_models.initial_weights(settings, prepared)
    loop = start_loop(settings, prepared, weights, held, kind)
    input_seconds = [clock.time(partial(loop.prepare, 1)) for _ in range(3)]
    compile_seconds = clock.time(loop.compile)
    loop.warm_up()
    validate = [clock.time(loop.score) for _ in range(3)]
    beside = {
        "compile": span([compile_seconds], "the first call, once a run (next to nothing if done before)"),
        "order of samples": span(input_seconds, "each epoch, outside the clock"),
        "validation": span(validate, "each epoch, outside the clock"),
    }
    return loop, beside


def _compiled(settings: Settings, prepared: Prepared, held: Held) -> CompiledLoop:
    """The compiled loop that does what Keras' loop does; what Keras needs beyond it is overhead."""
    policy, size = settings.precision.policy, settings.train.batch_size
    kind = compiled_epoch.choose_engine(held.kind, policy, size, settings.model)
    loop = CompiledLoop(settings, prepared, keras_models.initial_weights(settings, prepared), held, kind)
    loop.prepare(1)
    return loop


def _with_rest(parts: Mapping[Part, Span], rounds: Sequence[float], whole: Span) -> dict[Part, Span]:
    """Keras' loop: whatever the compiled loop's work does not explain is overhead."""
    work = {part: found for part, found in parts.items() if part is not Part.overhead}
    known = sum(found.seconds for found in work.values())
    rest = span([max(0.0, each - known) for each in rounds], "the epoch less the work of the compiled loop")
    return {Part.overhead: replace(rest, seconds=max(0.0, whole.seconds - known))} | work


# ---- the roof ---------------------------------------------------------------------------------------


def roofline_of(settings: Settings, prepared: Prepared, found: Breakdown, known: Ceilings) -> Roofline | None:
    """The step of `found` under the device's ceilings; None for a network whose arithmetic is not known."""
    if not isinstance(settings.model, Mlp):
        return None
    net = describe(settings, prepared)
    narrow, wide = net.narrow, net.wide
    sample = 1 if prepared.train.features.dtype == np.uint8 and settings.preprocess.storage == "uint8" else 4
    work = step_work(
        net.sizes,
        settings.train.batch_size,
        optimizer_steps.rule(settings.optimizer).memories,
        narrow.size,
        wide.size,
        sample,
    )
    return Roofline(
        work,
        known.flops.get(narrow.name, known.flops["float32"]),
        known.bytes_a_second(work.resident),
        found.whole.seconds / found.steps,
        found.share(Part.overhead),
        narrow.name,
    )


# ---- answers ----------------------------------------------------------------------------------------


def dissect_answer(
    answer: Predict, small: Predict, prepared: Prepared, repeats: int, how: str, device: str
) -> Breakdown:
    """One answer to one sample, in overhead and compute; `small` is the twin of one unit, served likewise."""
    samples = singles(prepared.test.samples, repeats)
    for predict in (answer, small):
        for sample in samples[:20]:
            predict(sample)
    real, twin = [], []
    for turn in range(FEWEST_ROUNDS):
        part = samples[turn::FEWEST_ROUNDS] or samples[:1]
        real.append(_median_call(answer, part))
        twin.append(_median_call(small, part))
    whole = span(real, "median of single calls")
    return Breakdown("answer", whole, answered(real, twin), {}, 1, how, device)


def _median_call(predict: Predict, samples: Sequence[Batch]) -> float:
    spent = []
    for sample in samples:
        start = time.perf_counter_ns()
        predict(sample)
        spent.append(time.perf_counter_ns() - start)
    return float(np.median(spent)) / 1e9


def twin_settings(settings: Settings) -> Settings:
    """The same network with hidden layers of one unit; a custom one's is a perceptron of one unit."""
    match settings.model:
        case Cnn() as cnn:
            return replace(settings, model=replace(cnn, filters=1, hidden=1))
        case Text() as text:
            return replace(settings, model=replace(text, width=1, hidden=min(text.hidden, 1)))
        case Mlp() as mlp:
            return replace(settings, model=replace(mlp, hidden=1))
        case model:
            output = getattr(model, "output", Output.softmax)
            one = Mlp(1, 1, Activation.relu, output, 0.0, Init.glorot, None)
            return replace(settings, model=one)
