"""PyTorch: a step a batch, fused optimizer; eager, and with forward and backward through `torch.compile`."""

import shutil
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from benchmarks.cells import Problem
from benchmarks.rivals import Unfit, refuse_article

torch.set_num_threads(1)
torch.set_num_interop_threads(1)


def network(problem: Problem) -> torch.nn.Sequential:
    hidden = problem.cell.hidden
    return torch.nn.Sequential(torch.nn.Linear(784, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 10))


class Eager:
    def __init__(self, problem: Problem, steps: int) -> None:
        refuse_article(problem.cell)
        self._problem = problem
        self._features = torch.from_numpy(problem.features)
        self._labels = torch.from_numpy(problem.labels).long()
        self._order = torch.from_numpy(problem.order[:steps]).long()
        self._network = network(problem)
        self._loss = self._make_loss()

    def _make_loss(self) -> Any:
        def loss(samples: Any, labels: Any) -> Any:
            return cross_entropy(self._network(samples), labels)

        return loss

    def _make_optimizer(self) -> torch.optim.Optimizer:
        problem, parameters = self._problem, self._network.parameters()
        if problem.cell.optimizer == "sgd":
            return torch.optim.SGD(parameters, problem.rate, fused=True)
        beta1, beta2, epsilon = problem.adam
        return torch.optim.Adam(parameters, problem.rate, (beta1, beta2), epsilon, fused=True)

    def reset(self) -> None:
        with torch.no_grad():
            for parameter, array in zip(self._network.parameters(), self._problem.weights, strict=True):
                parameter.copy_(torch.from_numpy(array.T))
        self._optimizer = self._make_optimizer()

    def go(self) -> float:
        total = torch.zeros(())
        for rows in self._order:
            self._optimizer.zero_grad(set_to_none=True)
            loss = self._loss(self._features[rows], self._labels[rows])
            loss.backward()
            self._optimizer.step()
            total += loss.detach()
        return float(total / len(self._order))


class Compiled(Eager):
    def __init__(self, problem: Problem, steps: int) -> None:
        refuse_article(problem.cell)
        if not any(map(shutil.which, ("g++", "c++", "clang++"))):
            raise Unfit("torch.compile needs a C++ compiler, found none on the PATH")
        super().__init__(problem, steps)

    def _make_loss(self) -> Any:
        torch._dynamo.reset()
        return torch.compile(super()._make_loss(), dynamic=False)


CONTESTANTS = {"torch fused": Eager, "torch compiled": Compiled}
