"""Training loops of a user's own, well and badly behaved."""

import contextlib
import enum
import io
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline.trial import not_counted

SLEEP_SECONDS = 0.05


class Kind(enum.Enum):
    """A choice of the user's."""

    flat = "f"
    steep = "s"


@dataclass
class Options:
    """Keys with every kind of type."""

    width: int = 32
    rate: float = 0.1
    name: str = "a"
    bias: bool = True
    kind: Kind = Kind.flat
    optimizer: Literal["sgd", "adam"] = "sgd"
    depth: Literal[1, 2] = 1
    limit: int | None = None
    layers: list[int] = field(default_factory=lambda: [8, 8])
    epochs: int = 4
    state: Any = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.width == 13:
            raise ValueError("13 brings bad luck")
        if self.width == 14:
            raise SystemExit("nor does 14 help")


def train(settings: Options) -> Iterator[dict[str, Any]]:
    """Learn faster with a larger rate; the state is the last accuracy."""
    done, error = settings.state or (0, 0.8)
    for epoch in range(done, settings.epochs):
        error *= 1 - min(0.9, settings.rate)
        yield {"accuracy": 1 - error, "f1": error / 2, "train_loss": error, "state": (epoch + 1, error)}


def modelling_last(settings: Options) -> Iterator[dict[str, Any]]:
    """Report a state after each epoch, and the model with the last one alone."""
    for report in train(settings):
        model = {"model": list(report["state"])} if report["state"][0] == settings.epochs else {}
        yield {**report, **model}


def stateless(settings: Any) -> Iterator[float]:
    """Declare nothing, and yield plain numbers of numpy."""
    for epoch in range(settings.epochs):
        yield np.float32(1 - settings.start / (epoch + 2))


def evaluating(settings: Any) -> Iterator[float]:
    """Spend most of the time on what is not counted, in nested blocks, and yield within one."""
    for _ in range(settings.epochs):
        with not_counted():
            time.sleep(SLEEP_SECONDS)
            with not_counted():
                time.sleep(SLEEP_SECONDS)
            yield 0.5


def starting(_settings: Any) -> Iterator[dict[str, float]]:
    """Start a process, as what loads data does."""
    process = multiprocessing.Process(target=time.sleep, args=(0,))
    process.start()
    process.join()
    yield {
        "accuracy": 1 - abs(process.exitcode or 0),
        "forks": int(multiprocessing.get_start_method() == "fork"),
    }


GO_ON = threading.Event()
"""Ends the threads that `tracking` leaves behind."""


def tracking(_settings: Any) -> Iterator[float]:
    """Record in MLflow, too."""
    import mlflow

    with mlflow.start_run():
        mlflow.log_metric("own", 1)
        yield 0.5
    mlflow.start_run()  # and forget it
    for name in ("left-over", "ExecutorManagerThread"):  # the second one as of joblib's processes
        threading.Thread(target=GO_ON.wait, name=name).start()
    ThreadPoolExecutor(1, "a pool of theirs").submit(GO_ON.wait)
    yield 0.5


def interrupted(_settings: Any) -> Iterator[float]:
    """Be interrupted in the second epoch."""
    yield 0.3
    signal.raise_signal(signal.SIGINT)
    yield 0.4


def short(_settings: Any) -> Iterator[float]:
    """End after two epochs, whatever was asked for."""
    yield 0.3
    yield 0.4


SAVED = list[int]()
"""What `saving` did after its last epoch."""


def saving(settings: Any) -> Iterator[float]:
    """Save after the last epoch, as most loops do, and return what nobody takes."""
    for _ in range(settings.epochs):
        yield 0.5
    SAVED.append(settings.epochs)
    return 0.9


def changing(settings: Any) -> Iterator[float]:
    """Change what the whole process has, and expect to find it so."""
    os.chdir(settings.folder)
    os.environ["OF_MY_LOOP"] = "1"
    del os.environ["HOME"]
    sys.stdout = io.StringIO()
    warnings.simplefilter("error")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o777)
    logging.basicConfig(level=logging.DEBUG, force=True)
    np.seterr(all="raise")
    for _ in range(settings.epochs):
        yield float(
            Path.cwd() == Path(settings.folder)
            and "HOME" not in os.environ
            and isinstance(sys.stdout, io.StringIO)
            and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            and np.geterr()["over"] == "raise"
            and logging.root.level == logging.DEBUG
        )


def endless(_settings: Any) -> Iterator[float]:
    """Never end by itself."""
    while True:
        yield 0.5


def stubborn(settings: Any) -> Iterator[float]:
    """Go on where it is to end."""
    catches = {"GeneratorExit": GeneratorExit, "BaseException": BaseException}[settings.catches]
    while True:
        with contextlib.suppress(catches):
            yield 0.5


class Model:
    """A model of no framework."""


def modelling(settings: Any) -> Iterator[dict[str, Any]]:
    """Yield an estimator of scikit-learn, or what the settings ask for."""
    from sklearn.tree import DecisionTreeClassifier  # which has parts that are not of Python's own types

    made = DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1])
    numbers = {"accuracy": 0.5, "test_accuracy": 0.25, "test_rows": 40}
    yield numbers | {"model": Model() if settings.foreign else made}


# ---- badly behaved ------------------------------------------------------------------------------------


def returning(_settings: Any) -> float:
    """Forget to yield."""
    return 0.93


def silent(_settings: Any) -> Iterator[float]:
    """Yield nothing."""
    yield from ()


def raising(_settings: Any) -> Iterator[float]:
    """Raise after an epoch."""
    yield 0.5
    raise ValueError("a wrong\nturn")


def raising_late(settings: Any) -> Iterator[float]:
    """Fail to save after the last epoch."""
    for _ in range(settings.epochs):
        yield 0.5
    raise OSError("the disk is full")


def closing(_settings: Any) -> Iterator[float]:
    """Close what everybody prints to."""
    yield 0.5
    sys.stdout.close()


def leaving_when_closed(settings: Any) -> Iterator[float]:
    """End the process, or interrupt it, where it is to end itself."""
    try:
        while True:
            yield 0.5
    finally:
        raise {"exit": SystemExit(0), "interrupt": KeyboardInterrupt()}[settings.how]


class Fragile:
    """A state that cannot be made again."""

    def __setstate__(self, state: Any) -> None:
        raise RuntimeError("there is no such device here")


def fragile(settings: Any) -> Iterator[Any]:
    """Yield a state that nobody can load."""
    for epoch in range(settings.epochs):
        made = Fragile()
        made.__dict__["last"] = settings.state
        yield {"accuracy": epoch / 10, "state": made}


class Leaving:
    """A number that ends the process."""

    def item(self) -> float:
        """Give no number."""
        raise SystemExit(4)


def leaving_by_number(_settings: Any) -> Iterator[Any]:
    """Yield what ends the process where it is read."""
    yield Leaving()


def before_training(settings: Any) -> Iterator[float]:
    """Score the network before it is trained, too."""
    for epoch in range(settings.epochs + 1):
        yield epoch / 10


def running_out(_settings: Any) -> Iterator[float]:
    """Say as PyTorch does that there is too little memory."""
    yield 0.5
    raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")


def leaving(_settings: Any) -> Iterator[float]:
    """Leave the process."""
    raise SystemExit(3)
    yield 0.5


def misspelling(settings: Options) -> Iterator[float]:
    """Ask for a setting that is not there."""
    yield settings.widht  # type: ignore[attr-defined]


def yielding(settings: Any) -> Iterator[Any]:
    """Yield what is wrong in one way."""
    yield WRONG[settings.wrong]


def unstorable(settings: Any) -> Iterator[Any]:
    """Yield a state that nobody can store."""
    yield {"accuracy": 0.5, "state": lambda: settings.state}


async def later(_settings: Any) -> None:
    """Be of another kind."""


WRONG: dict[str, Any] = {
    "percent": 97,
    "negative": -0.1,
    "nan": float("nan"),
    "infinite_loss": {"accuracy": 0.5, "train_loss": float("inf")},
    "no_accuracy": {"loss": 0.1},
    "other_name": {"loss": 0.1, "val_acc": 0.9},
    "tuple": (0.1, 0.9),
    "empty": {},
    "none": None,
    "text": "0.9",
    "truth": True,
    "numpy_truth": np.bool_(True),
    "numpy_text": np.array("0.9"),
    "list": [0.9],
    "array": np.array([0.1, 0.2]),
    "metric": {"accuracy": 0.5, "f1": "high"},
    "nested": {"accuracy": 0.5, "val": {"f1": 0.25}},
    "name": {"accuracy": 0.5, "f1@3": 0.2},
    "path": {"accuracy": 0.5, "val//f1": 0.2},
    "outside": {"accuracy": 0.5, "../f1": 0.2},
    "ours": {"accuracy": 0.5, "cpu_seconds": 0.2},
    "our_energy": {"accuracy": 0.5, "train/energy_joules": 0.2},
    "loss_twice": {"accuracy": 0.5, "train/loss": 0.2, "train_loss": 0.3},
    "twice": {"accuracy": 0.5, 1: 0.2, "1": 0.3},
}
