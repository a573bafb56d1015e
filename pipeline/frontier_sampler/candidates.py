"""Configurations to choose from: quasi-random ones, moves from good ones, or those of a list. Pure."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler.domains import Choices
from pipeline.frontier_sampler.encoding import EncodedSpace, Key, Params, make_key
from pipeline.frontier_sampler.quasi_random.sobol import draw_points

Array = NDArray[np.float64]
IsFree = Callable[[Key], bool]
"""Whether the configuration of that key may be suggested."""

RANDOM, MOVED, LISTED = 64, 48, 512
"""Numbers of candidates: quasi-random ones, moves from good ones in several parameters, those of a list."""
PARENTS = 12
"""Good configurations that candidates are made of."""
STEP_SIZES = (0.02, 0.25)
"""Steps in a single number: from a fiftieth to a quarter of its range."""
SOBOL = 2**16
MOVE_SIZE = 0.12
REFINED, NEIGHBOURS = 5, 8
"""The best candidates are moved once more: so many of them, so often each."""
ATTEMPTS = 2048


class Candidate(NamedTuple):
    """A configuration that may be suggested: its key, its parameters and their features."""

    key: Key
    params: Params
    features: Array


class CandidateSource:
    """Candidates of one space; the same trial number and seed give the same ones in any process."""

    def __init__(self, space: EncodedSpace, seed: int, listed: Sequence[Params] | None = None) -> None:
        """Draw from the whole space, or from `listed` alone."""
        self.space = space
        self._seed = seed
        self.listed = None if listed is None else [dict(params) for params in listed]
        self._listed_keys = [make_key(params) for params in listed or ()]
        self._listed_features = space.encode_features(self.listed or [])

    def reseed(self, seed: int) -> None:
        """Draw other candidates from now on."""
        self._seed = seed

    def make_generator(self, number: int, stream: int = 0) -> np.random.Generator:
        """Return the random numbers of trial `number`; each `stream` is independent of the others."""
        return np.random.default_rng([self._seed, number, stream])

    def draw_quasi_random(self, number: int, is_free: IsFree) -> Params | None:
        """Return the trial's own Sobol point, or the next that is free; None where none was found."""
        unit = draw_points(self.space.dimensions, [number % SOBOL], self._seed)[0]
        if self.listed is not None:
            squares = ((self._listed_features - self._encode([self.space.decode(unit)])) ** 2).sum(1)
            nearest = (self.listed[row] for row in np.argsort(squares, kind="stable"))
            return self._first_free(nearest, is_free)
        units = [unit, *self.make_generator(number, 5).random((64, self.space.dimensions))]
        return self._first_free((self.space.decode(vector) for vector in units), is_free)

    def draw_any(self, number: int, is_free: IsFree) -> Params | None:
        """Return any free configuration, after a longer search; None where none was found."""
        return self._first_free(self._draw_many(number), is_free)

    def draw_repetition(self, number: int) -> Params:
        """Return a configuration that may have been tried before."""
        drawn = self.listed if self.listed is not None else self._draw_many(number)
        return drawn[number % len(drawn)]

    def make_candidates(self, good: Sequence[Params], number: int, is_free: IsFree) -> list[Candidate]:
        """Make free candidates all over the space and near the `good` configurations."""
        if self.listed is not None:
            return self._make_listed(number, is_free)
        random = self.make_generator(number)
        if len(good) > PARENTS:  # others each time
            rows = np.sort(random.choice(len(good), PARENTS, replace=False))
            good = [good[row] for row in rows]
        units = [*draw_points(self.space.dimensions, range(RANDOM), self.make_generator(number, 4))]
        vectors = [self.space.encode(params) for params in good]
        for index in range(MOVED if vectors else 0):
            units.append(_move(vectors[index % len(vectors)], random, MOVE_SIZE * (0.3 + index / MOVED)))
        for params, vector in zip(good, vectors, strict=True):
            units += self._list_steps(params, vector, random)
        return self._make_free(units, is_free)

    def _list_steps(self, params: Params, vector: Array, random: np.random.Generator) -> list[Array]:
        """List unit vectors that differ in one parameter: each other choice, a number up and down."""
        steps = []
        for index, parameter in enumerate(self.space.parameters):
            if parameter.name not in params or not parameter.applies_to(params):
                continue
            if isinstance(parameter.domain, Choices):
                places = list_other_places(parameter.domain, params[parameter.name])
            else:
                size = math.exp(random.uniform(*np.log(STEP_SIZES)))
                places = [vector[index] - size, vector[index] + size]
            for place in places:
                step = vector.copy()
                step[index] = min(max(place, 0.0), 1.0)
                steps.append(step)
        return steps

    def make_neighbours(
        self,
        best: Sequence[Params],
        number: int,
        is_free: IsFree,
        stream: int = 1,
        size: float = MOVE_SIZE / 3,
    ) -> list[Candidate]:
        """Make free candidates by small moves from the best ones so far; none where there is a list."""
        if self.listed is not None:
            return []
        random = self.make_generator(number, stream)
        units = [
            _move(self.space.encode(params), random, size * (1 + turn % 3))
            for params in best[:REFINED]
            for turn in range(NEIGHBOURS)
        ]
        return self._make_free(units, is_free)

    def _draw_many(self, number: int) -> list[dict[str, Any]]:
        if self.listed is not None:
            return self.listed
        units = self.make_generator(number, 2).random((ATTEMPTS, self.space.dimensions))
        return [self.space.decode(unit) for unit in units]

    def _make_listed(self, number: int, is_free: IsFree) -> list[Candidate]:
        assert self.listed is not None
        free = [index for index, key in enumerate(self._listed_keys) if is_free(key)]
        if len(free) > LISTED:
            free = sorted(self.make_generator(number).choice(free, LISTED, replace=False).tolist())
        return [
            Candidate(self._listed_keys[index], self.listed[index], self._listed_features[index])
            for index in free
        ]

    def _make_free(self, units: Sequence[Array], is_free: IsFree) -> list[Candidate]:
        """Decode unit vectors and leave out what is not free or comes twice."""
        decoded = {make_key(params): params for params in map(self.space.decode, units)}
        free = {key: params for key, params in decoded.items() if is_free(key)}
        features = self._encode(list(free.values()))
        columns = zip(free.keys(), free.values(), features, strict=True)
        return [Candidate(key, params, row) for key, params, row in columns]

    def _encode(self, configurations: Sequence[Params]) -> Array:
        return self.space.encode_features(configurations)

    @staticmethod
    def _first_free(drawn: Iterable[Params], is_free: IsFree) -> Params | None:
        return next((params for params in drawn if is_free(make_key(params))), None)


def list_other_places(domain: Choices, value: Any) -> list[float]:
    """List the unit positions of the other choices; of numbers only those beside `value`."""
    current, count = domain.index(value), len(domain.values)
    others = [index for index in range(count) if index != current]
    if domain.ordinal is not None and current is not None:
        ranks = sorted(range(count), key=lambda index: domain.values[index])
        rank = ranks.index(current)
        others = [ranks[place] for place in (rank - 1, rank + 1) if 0 <= place < count]
    return [(index + 0.5) / count for index in others]


def _move(unit: Array, random: np.random.Generator, size: float) -> Array:
    """Move a unit vector a little in some coordinates; now and then draw one anew, so that choices change."""
    changed = random.random(len(unit)) < max(0.5, 1.0 / len(unit))
    moved = unit + changed * random.normal(0.0, size, len(unit))
    restarted = random.random(len(unit)) < 0.5 / len(unit)
    moved = np.where(restarted, random.random(len(unit)), moved)
    return np.clip(np.where(moved < 0, -moved, np.where(moved > 1, 2 - moved, moved)), 0.0, 1.0)
