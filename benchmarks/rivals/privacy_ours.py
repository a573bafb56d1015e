"""The product's compiled epoch of a perceptron, plain and private."""

from dataclasses import replace

from benchmarks.cells import Problem
from benchmarks.rivals.ours import Ours
from pipeline.cli.compose import compose
from pipeline.settings.training import Policy

WORDS = ("privacy=dp_sgd", "privacy.noise_multiplier=1.1", "privacy.clip_norm=1.0")


def plain(problem: Problem, steps: int) -> Ours:
    return Ours(problem, steps, Policy.float32)


def private(problem: Problem, steps: int) -> Ours:
    settings = replace(problem.settings, privacy=compose(WORDS).settings.privacy)
    return Ours(replace(problem, settings=settings), steps, Policy.float32)


CONTESTANTS = {"ours": plain, "ours private": private}
