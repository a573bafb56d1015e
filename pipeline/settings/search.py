"""What a sweep varies, how it chooses, and when it ends (conf/search, conf/pruning)."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.settings.rules import require, require_name
from pipeline.settings.searching.objectives import (
    ACCURACY,
    COST,
    FIRST,
    FURTHER,
    MOST,
    OBJECTIVES,
    ObjectiveKind,
)


class Sampler(StrEnum):
    """What suggests the next trial: `frontier` is this project's sampler, the others are Optuna's."""

    frontier = "frontier"
    tpe = "tpe"
    nsga2 = "nsga2"
    gp = "gp"
    random = "random"
    grid = "grid"
    qmc = "qmc"


class Objective(StrEnum):
    """What a search maximises: a name of `searching.measures.MEASURES`."""

    accuracy = "accuracy"
    accuracy_under_shift = "accuracy_under_shift"


STUDY_BARRED = "'\"/:"
"""A study is a folder of checkpoints, a registered model and a text in MLflow's filters, too."""

TASK_QUEUE_SUFFIX = " (afterwards)"
"""Ends the name of the study that holds what is done once a search is over: confirming, the last pictures."""


START_SECONDS = 120.0
"""What loading, compiling and scoring of a trial may take on a slow machine."""


@dataclass(slots=True)
class Pruning:
    """When a search pauses a trial; see `pipeline.search.pruning`."""

    enabled: bool
    optimism: float
    least_epochs: int

    def __post_init__(self) -> None:
        require(1 <= self.optimism <= 100, "pruning.optimism", ">= 1 and <= 100", self.optimism)
        valid = 1 <= self.least_epochs <= 100_000
        require(valid, "pruning.least_epochs", ">= 1 and <= 100000", self.least_epochs)


@dataclass(slots=True, kw_only=True)
class Search:
    """What a sweep varies, how it chooses, and when it ends.

    `space`: words with several values, as one types them after `--multirun`; `when`: more such words, which
    count where a condition `key=value` holds; `objectives`: names of `searching.objectives`, of which
    accuracy and cost are the first two; `objective`: which measure stands for accuracy, on the validation
    samples as they are, or corrupted as `evaluate` says, null: that of the task; `trials`: the total of a
    study, also of one that is resumed; `enqueue`: command lines tried first; `from_diagnosis`: run id of a
    diagnosis, whose last command line is tried first and searched around; `confirm`: new seeds with which
    each point of the frontier is trained at the end; `trial_timeout`: see `trial_limit`; `workers`: processes
    that train, 0: this one.
    """

    space: list[str]
    when: dict[str, list[str]]
    sampler: Sampler
    objective: Objective | None
    objectives: list[str]
    trials: int
    budget_device_seconds: float | None
    timeout: float | None
    trial_timeout: float | None
    workers: int
    storage: str | None
    study: str | None
    seed: int
    enqueue: list[str]
    from_diagnosis: str | None
    confirm: int
    max_latency_ms: float | None
    max_parameters: int | None

    def __post_init__(self) -> None:
        require(1 <= self.trials <= 1_000_000, "search.trials", ">= 1 and <= 1000000", self.trials)
        require(0 <= self.workers <= 1024, "search.workers", ">= 0 (0 = here) and <= 1024", self.workers)
        needs_process = self.trial_timeout is None or self.workers > 0
        require(needs_process, "search.trial_timeout", "null with search.workers=0", self.trial_timeout)
        require(0 <= self.seed < 2**31, "search.seed", ">= 0 and < 2147483648", self.seed)
        require(0 <= self.confirm <= 100, "search.confirm", ">= 0 (0 = off) and <= 100", self.confirm)
        for name in ("budget_device_seconds", "timeout", "trial_timeout", "max_latency_ms", "max_parameters"):
            value = getattr(self, name)
            require(value is None or value > 0, f"search.{name}", "> 0, or null", value)
        self._check_objectives()
        require_name("search.study", self.study, STUDY_BARRED)
        ends_well = self.study is None or not self.study.endswith(TASK_QUEUE_SUFFIX)
        require(ends_well, "search.study", f"a name that does not end in {TASK_QUEUE_SUFFIX!r}", self.study)

    def _check_objectives(self) -> None:
        """Raise where the objectives are not accuracy, cost and others, each once."""
        names = self.objectives
        valid = (
            tuple(names[:2]) == FIRST
            and len(set(names)) == len(names) <= MOST
            and all(name in FURTHER for name in names[2:])
        )
        rule = (
            f"{ACCURACY},{COST} and at most {MOST - 2} more of "
            f"{', '.join(FURTHER)}, such as [{ACCURACY},{COST},{FURTHER[0]}]"
        )
        shift = Objective.accuracy_under_shift.value
        also = f" (search.objective={shift} says which accuracy)" if shift in names else ""
        require(valid, "search.objectives", rule + also, f"[{','.join(map(str, names))}]")

    @property
    def further(self) -> tuple[ObjectiveKind, ...]:
        """Return the objectives beside accuracy and cost."""
        return tuple(OBJECTIVES[name] for name in self.objectives[2:])

    def describe_objectives(self) -> dict[str, list[str]]:
        """Return what a study writes down about its objectives; nothing where they are the first two."""
        return {"objectives": self.objectives} if self.further else {}

    @property
    def trial_limit(self) -> float | None:
        """Return the wall seconds after which a trial is ended; None: it may take any time.

        Where `trial_timeout` is not set, no trial may need more than three times what the whole search may
        spend, after two minutes for loading and compiling.
        """
        if self.trial_timeout is not None:
            return self.trial_timeout
        budgets = [3 * self.budget_device_seconds] if self.budget_device_seconds is not None else []
        budgets += [self.timeout] if self.timeout is not None else []
        return START_SECONDS + min(budgets) if budgets else None

    @property
    def under_shift(self) -> bool:
        """Return whether accuracy is measured on corrupted samples."""
        return self.objective is Objective.accuracy_under_shift
