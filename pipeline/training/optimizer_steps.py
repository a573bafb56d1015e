"""How parameters move: learning rates over a run, and one step of each optimizer as Keras defines it."""

import math
from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.settings.optimizer import Adam, Cosine, Optimizer, Schedule, Sgd, WarmupLinear


class Rule(StrEnum):
    """The forms of an update; each is code of its own."""

    sgd = "sgd"
    momentum = "momentum"
    nesterov = "nesterov"
    adam = "adam"
    adamw = "adamw"

    @property
    def memories(self) -> int:
        """Tensors kept a parameter, of its shape and zero at first."""
        match self:
            case Rule.sgd:
                return 0
            case Rule.momentum | Rule.nesterov:
                return 1
            case Rule.adam | Rule.adamw:
                return 2


def rule(optimizer: Optimizer) -> Rule:
    match optimizer:
        case Sgd(momentum=0):
            return Rule.sgd
        case Sgd(nesterov=nesterov):
            return Rule.nesterov if nesterov else Rule.momentum
        case Adam(weight_decay=decay):
            return Rule.adamw if decay else Rule.adam
        case _:
            raise NotImplementedError(f"no update rule for {type(optimizer).__name__}")


# ---- learning rates: on the host, ahead of the clock ------------------------------------------------


def learning_rates(schedule: Schedule, peak: float, steps: int) -> np.ndarray:
    """The rate of each of `steps` steps, float64 [steps]; `peak` is the optimizer's own rate."""
    return peak * _shares(schedule, np.arange(steps), steps)


def _shares(schedule: Schedule, step: np.ndarray, steps: int) -> np.ndarray:
    """The rates as shares of the highest."""
    match schedule:
        case Cosine(final=final):
            return np.asarray(final + (1 - final) * 0.5 * (1 + np.cos(math.pi * step / steps)))
        case WarmupLinear(warmup=warmup, final=final):
            rise = round(warmup * steps)
            falling = final + (1 - final) * (steps - step) / max(steps - rise, 1)
            return np.where(step < rise, (step + 1) / max(rise, 1), falling)
        case _:
            return np.ones(steps)


def strides(optimizer: Optimizer, rates: np.ndarray, first: int) -> np.ndarray:
    """What a step multiplies its direction by, [steps].

    The learning rate; for Adam with the bias correction of its two means (arXiv 1412.6980, end of
    section 2). `first`: steps that the run took before these.
    """
    if not isinstance(optimizer, Adam):
        return rates
    taken = np.arange(first + 1, first + 1 + len(rates), dtype=np.float64)
    return np.asarray(rates * np.sqrt(1 - optimizer.beta2**taken) / (1 - optimizer.beta1**taken))


def shrinks(optimizer: Optimizer, rates: np.ndarray) -> np.ndarray:
    """The share of itself that decoupled weight decay takes from every parameter, [steps]."""
    return rates * (optimizer.weight_decay if isinstance(optimizer, Adam) else 0.0)


# ---- one step ---------------------------------------------------------------------------------------


def update(
    how: Rule,
    amounts: Sequence[Tensor],
    stride: Tensor,
    shrink: Tensor,
    parameter: Tensor,
    memory: Sequence[Tensor],
    gradient: Tensor,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A parameter and its memory after one step.

    `amounts`: (momentum,) for SGD, (beta1, beta2, epsilon) for Adam; `stride`, `shrink`: of this step.
    """
    match how:
        case Rule.sgd:
            return parameter - stride * gradient, ()
        case Rule.momentum | Rule.nesterov:
            moved, velocity = _momentum(how, amounts[0], stride, memory[0], gradient)
            return parameter + moved, (velocity,)
        case Rule.adam | Rule.adamw:
            kept = parameter if how is Rule.adam else parameter - shrink * parameter
            moved, means = _adam(amounts, stride, memory, gradient)
            return kept - moved, means


def update_in_place(
    how: Rule,
    amounts: Sequence[Tensor],
    stride: Tensor,
    shrink: Tensor,
    parameter: Tensor,
    memory: Sequence[Tensor],
    gradient: Tensor,
) -> None:
    """The same step on `tf.Variable`s by TensorFlow's fused kernels: one pass over memory outside XLA."""
    match how:
        case Rule.sgd:
            _descend(parameter, stride, gradient)
        case Rule.momentum | Rule.nesterov:
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=parameter.handle,
                accum=memory[0].handle,
                lr=stride,
                grad=gradient,
                momentum=amounts[0],
                use_nesterov=how is Rule.nesterov,
            )
        case Rule.adam | Rule.adamw:
            if how is Rule.adamw:
                _descend(parameter, shrink, parameter.read_value())
            beta1, beta2, epsilon = amounts
            zero = tf.zeros_like(stride)  # powers of zero: the stride already holds the bias correction
            tf.raw_ops.ResourceApplyAdam(
                var=parameter.handle,
                m=memory[0].handle,
                v=memory[1].handle,
                beta1_power=zero,
                beta2_power=zero,
                lr=stride,
                beta1=beta1,
                beta2=beta2,
                epsilon=epsilon,
                grad=gradient,
            )


def _descend(parameter: Tensor, rate: Tensor, gradient: Tensor) -> None:
    tf.raw_ops.ResourceApplyGradientDescent(var=parameter.handle, alpha=rate, delta=gradient)


def _momentum(
    how: Rule, momentum: Tensor, rate: Tensor, velocity: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    pull = rate * gradient
    velocity = momentum * velocity - pull
    return (momentum * velocity - pull if how is Rule.nesterov else velocity), velocity


def _adam(
    amounts: Sequence[Tensor], stride: Tensor, memory: Sequence[Tensor], gradient: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    beta1, beta2, epsilon = amounts
    mean = memory[0] + (gradient - memory[0]) * (1 - beta1)
    square = memory[1] + (gradient * gradient - memory[1]) * (1 - beta2)
    return stride * mean / (tf.sqrt(square) + epsilon), (mean, square)
