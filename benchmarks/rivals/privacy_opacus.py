"""Opacus: the same perceptron, private; it is given its batches, so its loader costs it nothing."""

import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch.nn.functional import cross_entropy

from benchmarks.cells import Problem
from benchmarks.rivals.torch_loops import Eager, network


class Private(Eager):
    """Gradients of single rows by hooks, clipped and noised by its optimizer."""

    def __init__(self, problem: Problem, steps: int) -> None:
        super().__init__(problem, steps)
        self._plain = self._network
        self._network = GradSampleModule(network(problem))  # type: ignore[assignment]

    def reset(self) -> None:
        super().reset()
        self._optimizer = DPOptimizer(
            self._optimizer,
            noise_multiplier=1.1,
            max_grad_norm=1.0,
            expected_batch_size=self._problem.cell.batch,
        )

    def go(self) -> float:
        total = torch.zeros(())
        for rows in self._order:
            self._optimizer.zero_grad(set_to_none=True)
            loss = cross_entropy(self._network(self._features[rows]), self._labels[rows])
            loss.backward()
            self._optimizer.step()
            total += loss.detach()
        return float(total / len(self._order))


CONTESTANTS = {"torch": Eager, "opacus": Private}
