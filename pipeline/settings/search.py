"""What a sweep varies, how it chooses, and when it ends (conf/search, conf/pruning)."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.errors import BadSetting
from pipeline.settings.rules import require, require_name
from pipeline.settings.searching.measures import UNDER_ATTACK
from pipeline.settings.searching.objectives import (
    ACCURACY,
    COST,
    ENERGY,
    ESTIMATED_ENERGY,
    FIRST,
    FURTHER,
    MOST,
    OBJECTIVES,
    ObjectiveKind,
)
from pipeline.settings.searching.quantities import Budget, read_budget, suggest_amount


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
    accuracy_under_attack = "accuracy_under_attack"
    balanced_accuracy = "balanced_accuracy"
    f1 = "f1"
    auc = "auc"
    r2 = "r2"


USUAL_TRIALS = 40
"""Trials of a study where nothing else ends it."""
MOST_TRIALS = 1_000_000

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
    samples as they are, corrupted or attacked as `evaluate` says, null: that of the task; `budget`: what the
    whole search may spend, as a person writes it; `trials`: the total of a study, also of one that is
    resumed, null: see `most_trials`; `enqueue`: command lines tried first; `from_diagnosis`: run id of a
    diagnosis, whose last command line is tried first and searched around; `confirm`: new seeds with which
    each point of the frontier is trained at the end; `patience`: the search ends where the frontier stood
    still for so long, see `pipeline.search.ends.standstill`; `trial_timeout`: see `trial_limit`; `workers`:
    processes that train, 0: this one.
    """

    space: list[str]
    when: dict[str, list[str]]
    sampler: Sampler
    objective: Objective | None
    objectives: list[str]
    budget: str | None
    trials: int | None
    budget_device_seconds: float | None
    patience: str | None
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
        valid = self.trials is None or 1 <= self.trials <= MOST_TRIALS
        require(valid, "search.trials", f">= 1 and <= {MOST_TRIALS}, or null", self.trials)
        self._check_budget()
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

    def _check_budget(self) -> None:
        for name, example in (("budget", "40trials"), ("patience", "20trials")):
            rule = f"an amount with its unit, such as 2min, 60s, {example} or 0.5usd, or null"
            value = getattr(self, name)
            if value is not None and (meant := suggest_amount(f"search.{name}=", value, read_budget)):
                raise BadSetting(f"search.{name} must be {rule}, got {value}{meant}")
            require(value is None or read_budget(value) is not None, f"search.{name}", rule, value)
        budget = self.total
        valid = budget.trials is None or budget.trials <= MOST_TRIALS
        require(valid, "search.budget", f"at most {MOST_TRIALS} trials", self.budget)

    @property
    def total(self) -> Budget:
        """Return what the search may spend as `budget` says it; empty where that is not set."""
        return (read_budget(self.budget) if self.budget else None) or Budget()

    @property
    def window(self) -> Budget:
        """Return for how long the frontier may stand still, by `patience`; empty where that is not set."""
        return (read_budget(self.patience) if self.patience else None) or Budget()

    @property
    def most_trials(self) -> int:
        """Return the total of the study: the least of `trials` and a budget in trials."""
        usual = MOST_TRIALS if self.budget else USUAL_TRIALS
        return min(self.trials or usual, self.total.trials or MOST_TRIALS)

    @property
    def is_capped(self) -> bool:
        """Return whether a number of trials ends the search, not a budget alone."""
        return self.most_trials < MOST_TRIALS

    def count_seconds(self, per_hour: float | None) -> float | None:
        """Return the device-seconds that the search may spend at this price of an hour; None: any number."""
        seconds = self.total.count_seconds(per_hour)
        return seconds if seconds is not None else self.budget_device_seconds

    def _check_objectives(self) -> None:
        """Raise where the objectives are not accuracy, cost and others, each once."""
        names = self.objectives
        valid = (
            tuple(names[:2]) == FIRST
            and len(set(names)) == len(names) <= MOST
            and all(name in (*FURTHER, ENERGY) for name in names[2:])
        )
        rule = (
            f"{ACCURACY},{COST} and at most {MOST - 2} more of "
            f"{', '.join((*FURTHER, ENERGY))}, such as [{ACCURACY},{COST},{FURTHER[0]}]"
        )
        shift = Objective.accuracy_under_shift.value
        also = f" (search.objective={shift} says which accuracy)" if shift in names else ""
        require(valid, "search.objectives", rule + also, f"[{','.join(map(str, names))}]")
        twice = self.objective is Objective.accuracy_under_attack and UNDER_ATTACK in names
        require(
            not twice, "search.objectives", f"without the objective {UNDER_ATTACK}, which is the first", names
        )

    @property
    def further(self) -> tuple[ObjectiveKind, ...]:
        """Return the objectives beside accuracy and cost; energy is an estimate until somebody has looked."""
        return tuple(OBJECTIVES[ESTIMATED_ENERGY if name == ENERGY else name] for name in self.objectives[2:])

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

    @property
    def measures_attack(self) -> bool:
        """Return whether the network is attacked after each epoch, as an objective."""
        return self.objective is Objective.accuracy_under_attack or UNDER_ATTACK in self.objectives
