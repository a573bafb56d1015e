"""The product's own compiled loop, as `train` runs it with engine=auto."""

from dataclasses import replace

from benchmarks.cells import Problem
from benchmarks.rivals import Unfit
from pipeline.hardware import device
from pipeline.settings.training import Policy
from pipeline.training import engine_choice
from pipeline.training.perceptron import compiled_loop


class Ours:
    """`engine` chosen by the product's rule; starts from the same weights every time."""

    def __init__(self, problem: Problem, steps: int, policy: Policy) -> None:
        precision = replace(problem.settings.precision, policy=policy)
        settings = replace(problem.settings, precision=precision)
        held = device.claim_device(settings.device)
        self.kind = engine_choice.pick_engine(settings, held, problem.prepared)
        self._loop = compiled_loop.CompiledLoop(settings, problem.prepared, problem.weights, held, self.kind)
        self._steps = steps
        self._loop.prepare(1)

    def reset(self) -> None:
        """Nothing to do: `take` leaves the run's state as it was."""

    def go(self) -> float:
        return float(self._loop.run_steps(self._steps)[1])


def float32(problem: Problem, steps: int) -> Ours:
    return Ours(problem, steps, Policy.float32)


def bfloat16(problem: Problem, steps: int) -> Ours:
    if problem.cell.article:
        raise Unfit("the article trains in float32")
    return Ours(problem, steps, Policy.mixed_bfloat16)


CONTESTANTS = {"ours": float32, "ours bf16": bfloat16}
