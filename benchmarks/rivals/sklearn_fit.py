"""scikit-learn: `MLPClassifier.partial_fit`, one call for all the steps."""

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.cells import Problem
from benchmarks.rivals import refuse_article


class PartialFit:
    def __init__(self, problem: Problem, steps: int) -> None:
        refuse_article(problem.cell)
        self._problem, self._rows = problem, problem.order[:steps].ravel()
        beta1, beta2, epsilon = problem.adam
        self._network = MLPClassifier(
            (problem.cell.hidden,),
            solver=problem.cell.optimizer,
            alpha=0,
            batch_size=problem.cell.batch,
            learning_rate_init=problem.rate,
            momentum=0,
            nesterovs_momentum=False,
            shuffle=False,
            beta_1=beta1,
            beta_2=beta2,
            epsilon=epsilon,
        )
        # It draws its weights in the first call; `reset` writes ours over them.
        few = problem.order[: max(1, 32 // problem.cell.batch)].ravel()
        self._network.partial_fit(problem.features[few], problem.labels[few], classes=np.arange(10))

    def reset(self) -> None:
        network, (w1, b1, w2, b2) = self._network, self._problem.weights
        for held, ours in zip(network.coefs_ + network.intercepts_, (w1, w2, b1, b2), strict=True):
            held[...] = ours
        network.__dict__.pop("_optimizer", None)

    def go(self) -> float:
        problem, rows = self._problem, self._rows
        self._network.partial_fit(problem.features[rows], problem.labels[rows])
        return float(self._network.loss_)


CONTESTANTS = {"scikit-learn": PartialFit}
