"""Measurement of where the seconds of a training epoch, or of one answer, go (see `breakdown`)."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from pipeline.data.prepared import Prepared
from pipeline.data.samples import Batch
from pipeline.hardware.device import ClaimedDevice, claim_device
from pipeline.hardware.stopwatch import WALL, Clock, choose_clock
from pipeline.models import keras_models
from pipeline.models.architectures import architecture_of
from pipeline.profiling import ablation_keras, ablation_mlp
from pipeline.profiling.breakdown import (
    Breakdown,
    Part,
    Rung,
    Span,
    split_answer,
    split_epoch,
    summarise_seconds,
)
from pipeline.profiling.profile import Predict, take_single_samples
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine
from pipeline.training import engine_choice
from pipeline.training.keras_loop import KerasLoop
from pipeline.training.loop import start_loop
from pipeline.training.network.network_loop import NetworkLoop
from pipeline.training.perceptron.compiled_loop import CompiledLoop

MIN_ROUNDS, MAX_ROUNDS = 7, 25
SECONDS = 8.0
"""All rounds together take no longer, but `MIN_ROUNDS` are always made."""
CHUNK_SECONDS = 0.12
"""A rung is timed over so many steps as take about this long, or over a whole epoch where that is less."""
FIRST_STEPS = 16
"""Steps of a first short measurement of how long a step is."""
KERAS_SECONDS = 0.5
"""The same where Keras trains: each call of `fit` has a cost of its own, which an epoch has once."""


def measure_epoch(settings: Settings, prepared: Prepared) -> Breakdown:
    """Measure an epoch of training by components, and also the seconds of compilation and validation.

    The same steps are timed up to each rung on the network and on its twin, all rungs in turns, so that a
    machine that slows down slows all of them. The product's own epoch is timed among them, as the whole.

    Raises:
        BadInput: as `train_trial`.
    """
    device = claim_device(settings.device)
    kind, clock = engine_choice.pick_engine(settings, device, prepared), choose_clock(device)
    loop, extra = _start_loop(settings, prepared, device, kind, clock)
    calls = _make_calls(loop, settings, prepared, device)
    seconds = KERAS_SECONDS if isinstance(loop, KerasLoop) else CHUNK_SECONDS
    steps = _choose_steps(calls["real", Rung.input], seconds, loop.steps)
    rounds = _time_rounds(calls, partial(loop.run_steps, steps), steps, loop.steps / steps, clock)
    nothing = [0.0] * len(rounds["whole"])
    spans = split_epoch(
        {rung: rounds["real", rung] for rung in Rung},
        {rung: rounds.get(("twin", rung), nothing) for rung in Rung},
    )
    epoch = summarise_seconds(rounds["whole"], f"the training loop itself, {clock.name}")
    if not isinstance(loop, CompiledLoop):
        spans = _add_rest(spans, rounds["whole"], epoch)
    return Breakdown(
        of="epoch",
        whole=epoch,
        parts=spans,
        beside=extra,
        steps=loop.steps,
        loop=kind.value,
        device=device.name,
    )


def _time_rounds(
    calls: Mapping[tuple[str, Rung], Callable[[int], None]],
    run_epoch: Callable[[], object],
    steps: int,
    factor: float,
    clock: Clock,
) -> dict[object, list[float]]:
    """Return the seconds of an epoch in every round, by what was done; the first round is not counted."""
    rounds: dict[object, list[float]] = {key: [] for key in ["whole", *calls]}
    turn, end, limit = 0, time.monotonic() + SECONDS, MAX_ROUNDS
    while turn < MIN_ROUNDS or (turn < limit and time.monotonic() < end):
        turn_seconds: dict[object, float] = {"whole": clock.time(run_epoch)}
        turn_seconds |= {key: clock.time(partial(call, steps)) for key, call in calls.items()}
        for key, seconds in turn_seconds.items() if turn else ():
            rounds[key].append(seconds * factor)
        turn += 1
    return rounds


Calls = dict[tuple[str, Rung], Callable[[int], None]]


def _make_calls(
    loop: CompiledLoop | NetworkLoop | KerasLoop,
    settings: Settings,
    prepared: Prepared,
    device: ClaimedDevice,
) -> Calls:
    """Make the functions that take steps, by side ("real", "twin") and rung.

    A perceptron has a twin, also where Keras trains it; other networks have none.
    """
    is_perceptron = architecture_of(settings.model).is_perceptron
    if isinstance(loop, NetworkLoop) or (isinstance(loop, KerasLoop) and not is_perceptron):
        return {("real", rung): ablation_keras.make_step_caller(loop, rung) for rung in Rung}
    shadow = loop if isinstance(loop, CompiledLoop) else _start_compiled_loop(settings, prepared, device)
    sides = {"real": shadow.epoch_arguments, "twin": ablation_mlp.make_twin(shadow.epoch_arguments)}
    return {(side, rung): ablation_mlp.make_step_caller(sides[side], rung) for side in sides for rung in Rung}


def _choose_steps(call: Callable[[int], None], seconds: float, limit: int) -> int:
    few = min(FIRST_STEPS, limit)
    call(few)
    step_seconds = max(WALL.time(partial(call, few)) / few, 1e-7)
    return int(min(limit, max(few, seconds / step_seconds)))


# ---- the loop itself --------------------------------------------------------------------------------


def _start_loop(
    settings: Settings, prepared: Prepared, device: ClaimedDevice, kind: Engine, clock: Clock
) -> tuple[CompiledLoop | NetworkLoop | KerasLoop, Mapping[str, Span]]:
    """Return the product's loop at its first epoch, and the seconds that a run needs outside its epochs."""
    weights = keras_models.draw_initial_weights(settings, prepared)
    loop = start_loop(settings, prepared, weights, device, kind)
    input_seconds = [clock.time(partial(loop.prepare, 1)) for _ in range(3)]
    compile_seconds = clock.time(loop.compile)
    loop.warm_up()
    validate = [clock.time(loop.score) for _ in range(3)]
    extra = {
        "compile": summarise_seconds(
            [compile_seconds], "the first call, once a run (next to nothing if done before)"
        ),
        "order of samples": summarise_seconds(input_seconds, "each epoch, outside the clock"),
        "validation": summarise_seconds(validate, "each epoch, outside the clock"),
    }
    return loop, extra


def _start_compiled_loop(settings: Settings, prepared: Prepared, device: ClaimedDevice) -> CompiledLoop:
    """Start the compiled loop that does what Keras' loop does; what Keras needs beyond it is overhead."""
    policy, size = settings.precision.policy, settings.train.batch_size
    kind = engine_choice.choose_engine(device.kind, policy, size, settings.model)
    loop = CompiledLoop(
        settings, prepared, keras_models.draw_initial_weights(settings, prepared), device, kind
    )
    loop.prepare(1)
    return loop


def _add_rest(spans: Mapping[Part, Span], rounds: Sequence[float], epoch: Span) -> dict[Part, Span]:
    """Return the components of a loop that calls a network: overhead is what is not the steps' work.

    Work that was measured longer than the whole epoch, as noise will have it, counts in proportion.
    """
    work = {component: span for component, span in spans.items() if component is not Part.overhead}
    work_seconds = sum(span.seconds for span in work.values())
    work = {component: span.scale(min(1.0, epoch.seconds / work_seconds)) for component, span in work.items()}
    rest = summarise_seconds(
        [max(0.0, seconds - work_seconds) for seconds in rounds],
        "the epoch less the work of its steps",
    )
    return {Part.overhead: replace(rest, seconds=max(0.0, epoch.seconds - work_seconds))} | work


# ---- answers ----------------------------------------------------------------------------------------


def measure_answer(
    answer: Predict, twin_answer: Predict, prepared: Prepared, repeats: int, how: str, device: str
) -> Breakdown:
    """Measure one answer to one sample by overhead and compute.

    `answer`, `twin_answer`: the network and its twin of one unit, served alike; `repeats`: calls of either;
    `how`: how it is served, in words.
    """
    samples = take_single_samples(prepared.test.samples, repeats)
    for predict in (answer, twin_answer):
        for sample in samples[:20]:
            predict(sample)
    real, twin = [], []
    for turn in range(MIN_ROUNDS):
        turn_samples = samples[turn::MIN_ROUNDS] or samples[:1]
        real.append(_time_median_call(answer, turn_samples))
        twin.append(_time_median_call(twin_answer, turn_samples))
    answer_span = summarise_seconds(real, "median of single calls")
    return Breakdown(
        of="answer",
        whole=answer_span,
        parts=split_answer(real, twin),
        beside={},
        steps=1,
        loop=how,
        device=device,
    )


def _time_median_call(predict: Predict, samples: Sequence[Batch]) -> float:
    nanoseconds = []
    for sample in samples:
        start = time.perf_counter_ns()
        predict(sample)
        nanoseconds.append(time.perf_counter_ns() - start)
    return float(np.median(nanoseconds)) / 1e9


def make_twin_settings(settings: Settings) -> Settings:
    """Return the same settings with a network whose layers have one unit."""
    return replace(settings, model=architecture_of(settings.model).shrink_to_one_unit(settings.model))
