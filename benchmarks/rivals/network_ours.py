"""The product's compiled epoch of any network, by graph and XLA, and a custom model of the same layers."""

from dataclasses import replace

from benchmarks.network_cells import NetworkProblem
from benchmarks.rivals import Unfit
from pipeline.hardware import device
from pipeline.settings.model import Custom
from pipeline.settings.training import Engine, Policy
from pipeline.training import engine_choice
from pipeline.training.network.network_loop import NetworkLoop


class Ours:
    """`engine`: None is the one that the product chooses."""

    def __init__(
        self,
        problem: NetworkProblem,
        steps: int,
        engine: Engine | None = None,
        policy: Policy = Policy.float32,
        custom: bool = False,
    ) -> None:
        settings = problem.settings
        settings = replace(settings, precision=replace(settings.precision, policy=policy))
        if custom:
            build = f"benchmarks.rivals.network_keras:build_{problem.cell.kind}"
            settings = replace(settings, model=Custom(build=build, hidden=64, output=settings.model.output))
        held = device.claim_device(settings.device)
        chosen = engine or engine_choice.pick_engine(settings, held, problem.prepared)
        self.kind = chosen.value
        self._loop = NetworkLoop(settings, problem.prepared, problem.weights, held, chosen)
        self._steps = steps
        self._loop.prepare(1)

    def reset(self) -> None:
        """Do nothing: `run_steps` leaves the run's state as it was."""

    def go(self) -> float:
        return float(self._loop.run_steps(self._steps)[1])


def choose(problem: NetworkProblem, steps: int) -> Ours:
    return Ours(problem, steps)


def by_xla(problem: NetworkProblem, steps: int) -> Ours:
    if problem.cell.kind == "cnn":
        raise Unfit("XLA needs twenty times as long for a convolution in a loop")
    return Ours(problem, steps, Engine.xla)


def by_graph(problem: NetworkProblem, steps: int) -> Ours:
    if problem.cell.kind == "cnn":
        raise Unfit("it is what the product chooses")
    return Ours(problem, steps, Engine.graph)


def bfloat16(problem: NetworkProblem, steps: int) -> Ours:
    return Ours(problem, steps, policy=Policy.mixed_bfloat16)


def custom(problem: NetworkProblem, steps: int) -> Ours:
    if problem.cell.kind == "text":
        raise Unfit("a custom model of the CNN's layers is compared")
    return Ours(problem, steps, custom=True)


CONTESTANTS = {
    "ours": choose,
    "ours by xla": by_xla,
    "ours by graph": by_graph,
    "ours bf16": bfloat16,
    "ours custom": custom,
}
