"""All settings of one command: a field for each group of conf/ and each single key of conf/config.yaml."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum

from pipeline.errors import BadSetting
from pipeline.settings.data import Data, TextData
from pipeline.settings.diagnosis import Diagnose
from pipeline.settings.measuring import (
    AdversarialAttack,
    Claim,
    Device,
    DeviceKind,
    Evaluate,
    Membership,
    Predict,
    Price,
    Profile,
)
from pipeline.settings.model import Custom, Model, Output
from pipeline.settings.optimizer import Optimizer, Schedule
from pipeline.settings.preprocess import AUTO_RULE, Preprocess, Spectrogram, Standardise, Vocabulary
from pipeline.settings.privacy import Privacy, check_privacy
from pipeline.settings.rules import require
from pipeline.settings.search import Pruning, Search
from pipeline.settings.searching.cluster import Cluster, ClusterKind
from pipeline.settings.searching.fit_to_task import check_task
from pipeline.settings.searching.measures import ACCURACY_MEASURE, MEASURES, R2_MEASURE, Measure
from pipeline.settings.searching.objectives import EPSILON
from pipeline.settings.tables import Csv
from pipeline.settings.tracking import RecordInto, Tracking, Ui
from pipeline.settings.training import (
    Adversarial,
    Augment,
    BinaryCrossEntropy,
    CrossEntropy,
    Engine,
    Loss,
    Policy,
    Precision,
    Train,
    Trial,
    UserLoop,
)


@dataclass(slots=True, kw_only=True)
class Settings:
    """All settings of one command."""

    trial: Trial
    data: Data
    preprocess: Preprocess
    spectrogram: Spectrogram
    vocabulary: Vocabulary
    model: Model
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    precision: Precision
    train: Train
    augment: Augment
    privacy: Privacy
    evaluate: Evaluate
    predict: Predict
    profile: Profile
    diagnose: Diagnose
    device: Device
    cluster: Cluster
    price: Price
    tracking: Tracking
    ui: Ui
    search: Search
    pruning: Pruning
    engine: Engine
    data_dir: str
    cache_dir: str
    trained: str | None
    record: RecordInto
    claim: Claim | None

    def __post_init__(self) -> None:
        output: Output | None = getattr(self.model, "output", None)
        check_task(self.data, self.loss, output, self.train, self.evaluate, self.search)
        self._check_output_fits_loss()
        self._check_sparse_steps()
        self._check_attack()
        self._check_scaling()
        self._check_cluster()
        self._check_privacy()
        self._check_shadows()
        self._price_the_budget()
        require(
            self.record is RecordInto.own or self.trained is not None,
            "record",
            "own unless trained=... names a run",
            self.record,
        )

    @property
    def measure(self) -> Measure:
        """Return how good a state is said to be: what a search maximises and a kept state is best by."""
        if self.search.objective is not None:
            return MEASURES[self.search.objective.value]
        return R2_MEASURE if self.data.is_regression else ACCURACY_MEASURE

    @property
    def parallel_trials(self) -> int:
        """Return how many trials of a sweep may run at once; 2 stands for several."""
        return self.search.workers if self.cluster.kind is ClusterKind.none else self.cluster.slots or 2

    def _price_the_budget(self) -> None:
        """Say the budget of the search in device-seconds, also where it is money."""
        price = self.price
        for name, total in (("budget", self.search.total), ("patience", self.search.window)):
            if total.money is not None and (not price.per_hour or total.currency != price.currency):
                priced = f"in {price.currency}" if price.per_hour else "time or trials without a price"
                raise BadSetting(
                    f"search.{name} must be {priced}, got {getattr(self.search, name)}; "
                    "choose the price of the device, such as price=a100 or price.per_hour=2"
                )
        seconds, typed = self.search.count_seconds(price.per_hour), self.search.budget_device_seconds
        # A copy of settings that were priced before has the seconds already.
        rule = f"null with search.budget={self.search.budget}"
        require(typed in (None, seconds), "search.budget_device_seconds", rule, typed)
        self.search.budget_device_seconds = seconds

    @property
    def fair_midway(self) -> bool:
        """Return whether the state after each epoch is a fair point: see `Schedule.fair_midway`.

        With noise from a secret nobody can have the weights of an earlier epoch again.
        """
        if isinstance(self.trial, UserLoop):
            return self.trial.fair_midway
        is_last_alone = self.privacy.depends_on_epochs or self.privacy.is_secret
        return self.schedule.fair_midway and not is_last_alone

    def _check_scaling(self) -> None:
        """Where the data alone tell what they are, preprocessing refuses it in the same words."""
        standardise = self.preprocess.standardise
        is_scaled = isinstance(self.data, Csv | TextData)
        fits = not is_scaled or standardise is Standardise.auto
        require(fits, "preprocess.standardise", AUTO_RULE, standardise.value)

    def _find_start(self) -> str | None:
        """Return the word that names weights to begin with, if one does."""
        pretrained = getattr(self.model, "pretrained", None)
        starts = {"train.from": self.train.start_from, "model.pretrained": pretrained}
        return next((f"{key}={value}" for key, value in starts.items() if value is not None), None)

    def _check_shadows(self) -> None:
        start, asked = self._find_start(), self.evaluate.membership
        rule = f"none or threshold with {start} (shadow models begin afresh)"
        fits = start is None or asked is not Membership.lira
        require(fits, "evaluate.membership", rule, asked.value)

    def _check_privacy(self) -> None:
        check_privacy(
            self.privacy,
            engine=self.engine.value,
            policy=self.precision.policy.value,
            devices=self.device.count,
            start=self._find_start(),
        )
        counts = self.privacy.is_private or isinstance(self.trial, UserLoop)
        require(
            counts or EPSILON not in self.search.objectives,
            "search.objectives",
            "without epsilon unless privacy=dp_sgd",
            self.search.objectives,
        )

    def _check_cluster(self) -> None:
        if self.cluster.kind is ClusterKind.none:
            self.cluster.check_absent()
            return
        fits = self.search.workers == 1
        rule = "1 with cluster=ray (cluster.slots says how many)"
        require(fits, "search.workers", rule, self.search.workers)
        whole = self.cluster.share == 1
        fits = whole or (self.device.kind is DeviceKind.gpu and self.device.count == 1)
        rule = "1 unless device=gpu with device.count=1 (of cores device.threads says how many)"
        require(fits, "cluster.share", rule, self.cluster.share)

    def _check_sparse_steps(self) -> None:
        if getattr(self.optimizer, "sparse", False):
            has_rows = self.model.reads_tokens or isinstance(self.model, Custom)
            of_policy = self.precision.policy in (Policy.float32, Policy.float64)
            for fits, rule in (
                (has_rows, "model=text, or one of your own with an embedding"),
                (of_policy, "precision=float32 or float64"),
                (self.engine is not Engine.keras, "engine=auto, graph or xla"),
                (not self.privacy.is_private, "privacy=none, for noise falls on every row"),
            ):
                require(fits, "optimizer.sparse", f"false without {rule}", True)

    def _check_attack(self) -> None:
        if self.privacy.is_private:
            rule, moved = "none with privacy=dp_sgd", self.train.adversarial
            require(moved is Adversarial.none, "train.adversarial", rule, moved.value)
        attacked = self.search.measures_attack and not isinstance(self.trial, UserLoop)
        if attacked and self.evaluate.attack is AdversarialAttack.none:
            raise BadSetting(
                "evaluate.attack must be pgd or fgsm where a search is for "
                "accuracy_under_attack, got none; set one"
            )

    def _check_output_fits_loss(self) -> None:
        output = getattr(self.model, "output", None)
        if isinstance(self.loss, CrossEntropy) and output is Output.sigmoid:
            raise BadSetting(
                "loss=cross_entropy needs model.output=softmax, got sigmoid; "
                "use loss=binary_cross_entropy or model.output=softmax"
            )
        if isinstance(self.loss, BinaryCrossEntropy) and output is Output.softmax:
            raise BadSetting(
                "loss=binary_cross_entropy needs model.output=sigmoid, got softmax; "
                "use loss=cross_entropy or model.output=sigmoid"
            )


def read_value(section: object, key: str) -> object:
    """Return the plain value of a dotted key of a settings tree, as `flatten` has it; None for other keys."""
    value: object = section
    for name in key.split("."):
        value = getattr(value, name, None)
    if is_dataclass(value):
        return None
    return value.value if isinstance(value, Enum) else value


def flatten(
    section: object, prefix: str = "", among: Collection[str] | None = None
) -> Iterator[tuple[str, object]]:
    """Yield the dotted keys and plain values of a settings tree, depth first, in field order.

    `among`: the fields of `section` itself that are wanted; None: all.
    """
    for field in fields(section):  # type: ignore[arg-type]
        if among is not None and field.name not in among:
            continue
        key, value = f"{prefix}{field.name}", getattr(section, field.name)
        if is_dataclass(value):
            yield from flatten(value, f"{key}.")
        else:
            yield key, value.value if isinstance(value, Enum) else value
