"""PyTorch: the same networks, channels last, fused Adam, a step a batch."""

from typing import Any

import torch
from torch.nn.functional import conv2d, cross_entropy, embedding, max_pool2d, relu

from benchmarks.network_cells import NetworkProblem

torch.set_num_threads(1)
torch.set_num_interop_threads(1)


def compute_cnn(weights: list[Any], images: Any) -> Any:
    for kernel, bias in (weights[0:2], weights[2:4]):
        images = max_pool2d(relu(conv2d(images, kernel, bias, padding=1)), 2)
    flat = images.permute(0, 2, 3, 1).reshape(len(images), -1)
    return relu(flat @ weights[4] + weights[5]) @ weights[6] + weights[7]


def compute_text(weights: list[Any], numbers: Any) -> Any:
    is_word = (numbers != 0).unsqueeze(-1).float()
    words = embedding(numbers, weights[0]) * is_word
    mean = words.sum(1) / is_word.sum(1).clamp(min=1)
    return torch.cat([mean, words.amax(1)], -1) @ weights[1] + weights[2]


class Eager:
    def __init__(self, problem: NetworkProblem, steps: int) -> None:
        self._problem, self._is_cnn = problem, problem.cell.kind == "cnn"
        features = torch.from_numpy(problem.features)
        self._features = features if self._is_cnn else features.long()
        self._labels = torch.from_numpy(problem.labels).long()
        self._order = torch.from_numpy(problem.order[:steps]).long()

    def reset(self) -> None:
        weights = [torch.from_numpy(array) for array in self._problem.weights]
        if self._is_cnn:
            for number in (0, 2):
                weights[number] = weights[number].permute(3, 2, 0, 1)
                weights[number] = weights[number].contiguous(memory_format=torch.channels_last)
        self._weights = [weight.clone().requires_grad_() for weight in weights]
        self._optimizer = torch.optim.Adam(self._weights, self._problem.rate, eps=1e-7, fused=True)

    def go(self) -> float:
        total, compute = torch.zeros(()), compute_cnn if self._is_cnn else compute_text
        for rows in self._order:
            samples = self._features[rows]
            if self._is_cnn:  # [n, 28, 28, 1] is channels last already
                samples = samples.permute(0, 3, 1, 2)
            self._optimizer.zero_grad(set_to_none=True)
            loss = cross_entropy(compute(self._weights, samples), self._labels[rows])
            loss.backward()
            self._optimizer.step()
            total += loss.detach()
        return float(total / len(self._order))


CONTESTANTS = {"torch fused": Eager}
