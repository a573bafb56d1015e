"""What is timed: one epoch of an MLP 784-H-10, and the least that a core has to do for it; no TensorFlow."""

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from pipeline.cli.compose import compose
from pipeline.data.prepared import CleaningReport, Prepared, Scaling, Split
from pipeline.data.preprocess import preprocess
from pipeline.settings.optimizer import Adam
from pipeline.settings.settings import Settings

INPUTS, CLASSES = 784, 10
ROWS, UNSEEN = 54_000, 6_000  # of random data: as MNIST comes out of the product's own split
RATES = {"sgd": 0.01, "adam": 0.001}
BATCHES, HIDDEN = (1, 32, 128, 512), (128, 500, 2048)


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of the tables. `article`: the article's network (sigmoid outputs, binary cross-entropy)."""

    batch: int
    hidden: int
    optimizer: str
    article: bool = False

    def __str__(self) -> str:
        if self.article:
            return "experiment=article"
        return f"batch {self.batch}, hidden {self.hidden}, {self.optimizer}"

    def words(self) -> list[str]:
        """The command line of the product that trains this."""
        if self.article:
            return ["experiment=article", "device=cpu"]
        return [
            f"model.hidden={self.hidden}",
            f"train.batch_size={self.batch}",
            f"optimizer={self.optimizer}",
            f"optimizer.learning_rate={RATES[self.optimizer]}",
            "device=cpu",
        ]


ARTICLE = Cell(1, 500, "sgd", article=True)
QUICK = (Cell(1, 500, "sgd"), *(Cell(batch, 500, "adam") for batch in BATCHES), ARTICLE)
FULL = (
    *(Cell(batch, hidden, how) for hidden in HIDDEN for how in ("sgd", "adam") for batch in BATCHES),
    ARTICLE,
)


# ---- the least work -----------------------------------------------------------------------------------


def parameters(cell: Cell) -> int:
    return (INPUTS + 1) * cell.hidden + (cell.hidden + 1) * CLASSES


def flops(cell: Cell, rows: int) -> float:
    """Floating point operations of an epoch's matrix products.

    Two for each weight and sample in the forward pass, two for the weights' gradients, and two more for the
    gradient of what the last layer was given; nobody needs the gradient of the samples.
    """
    return rows * (4.0 * INPUTS * cell.hidden + 6.0 * cell.hidden * CLASSES)


def bytes_moved(cell: Cell, rows: int) -> float:
    """Bytes between cache and core of an epoch in float32.

    A step passes over all parameters: reads them forward, then reads and writes them (SGD), and for Adam
    reads and writes both means as well: 3 or 7 passes. It reads each sample once.
    """
    passes = 3 if cell.optimizer == "sgd" else 7
    steps = rows // cell.batch
    return 4.0 * (steps * passes * parameters(cell) + rows * INPUTS)


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds of an epoch that one core cannot go below; `bound`: flops or bytes."""

    seconds: float
    bound: str


def floor(cell: Cell, rows: int, gemm: float, bandwidth: float) -> Floor:
    """`gemm`: operations a second of a matrix product; `bandwidth`: bytes a second."""
    by_flops, by_bytes = flops(cell, rows) / gemm, bytes_moved(cell, rows) / bandwidth
    return Floor(by_flops, "flops") if by_flops >= by_bytes else Floor(by_bytes, "bytes")


# ---- data ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """The same start for every contestant.

    `features`: float32 [n, 784], scaled; `labels`: int32 [n]; `order`: rows of each batch, int32
    [steps, batch]; `weights`: [W1, b1, W2, b2] float32, W [inputs, outputs].
    """

    cell: Cell
    settings: Settings
    prepared: Prepared
    features: np.ndarray
    labels: np.ndarray
    order: np.ndarray
    weights: tuple[np.ndarray, ...]

    @property
    def rate(self) -> float:
        return self.settings.optimizer.learning_rate

    @property
    def adam(self) -> tuple[float, float, float]:
        """beta1, beta2, epsilon."""
        return adam_amounts()


@cache
def adam_amounts() -> tuple[float, float, float]:
    """As conf/ has them."""
    told = compose(["optimizer=adam"]).settings.optimizer
    assert isinstance(told, Adam)
    return told.beta1, told.beta2, told.epsilon


def mnist_there() -> bool:
    folder = Path(compose([]).settings.data_dir).expanduser()
    return (folder / "mnist" / "train-images-idx3-ubyte.gz").is_file()


def problem(cell: Cell) -> Problem:
    """MNIST through the product's own preprocess where its files are, else random bytes of its shape."""
    data = ["data=mnist"] if mnist_there() else []
    settings = compose([*cell.words(), *data]).settings
    prepared = preprocess(settings) if data else random_bytes()
    features = _scaled(prepared.train.features, prepared.scaling)
    labels = np.asarray(prepared.train.labels, np.int32)
    seed = settings.train.seed
    order = batches(seed, len(labels), cell.batch)
    return Problem(cell, settings, prepared, features, labels, order, glorot(seed, cell.hidden))


def _scaled(features: np.ndarray, scaling: Scaling) -> np.ndarray:
    raw = np.asarray(features).reshape(len(features), -1).astype(np.float32)
    raw -= scaling.mean
    raw /= scaling.std
    return raw


@lru_cache(maxsize=1)
def random_bytes() -> Prepared:
    """Bytes of MNIST's shape; its labels can only be learnt by heart."""
    draw = np.random.default_rng(0)
    shape, names = (28, 28), tuple(str(number) for number in range(CLASSES))
    splits = [
        Split(draw.integers(0, 256, (rows, *shape), np.uint8), draw.integers(0, CLASSES, rows, np.int32))
        for rows in (ROWS, UNSEEN, UNSEEN)
    ]
    scaling = Scaling(np.asarray(127.5, np.float32), np.asarray(73.9, np.float32))
    report = CleaningReport(
        rows_read=ROWS + 2 * UNSEEN,
        rows_kept={},
        dropped={},
        constant_features=0,
        smallest=0.0,
        largest=255.0,
        histogram={},
    )
    train, validation, test = splits
    return Prepared(
        train=train,
        validation=validation,
        test=test,
        classes=names,
        shape=shape,
        scaling=scaling,
        report=report,
        source_sha256="random",
        key="random",
        directory=Path(),
        reused=False,
    )


def batches(seed: int, rows: int, batch: int) -> np.ndarray:
    """As the product orders its first epoch (a test compares them)."""
    shuffled = np.random.default_rng([seed, 1, 1]).permutation(rows).astype(np.int32)
    return shuffled[: rows // batch * batch].reshape(-1, batch)


def glorot(seed: int, hidden: int) -> tuple[np.ndarray, ...]:
    """As the product draws its start (a test compares them)."""
    draw = np.random.default_rng([seed, 0])
    found: list[np.ndarray] = []
    for inputs, outputs in ((INPUTS, hidden), (hidden, CLASSES)):
        limit = np.sqrt(6 / (inputs + outputs))
        found.append(draw.uniform(-limit, limit, (inputs, outputs)).astype(np.float32))
        found.append(np.zeros(outputs, np.float32))
    return tuple(found)
