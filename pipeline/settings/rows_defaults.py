"""How to train a user's own data where nobody said so: how long and in which batches, and a table how firmly.

Ten epochs of batches of 64 are 10,000 steps on MNIST and 20 on a table of 150 rows, which learns nothing from
that. A user's own data get as many steps as a network needs to settle; what is typed, or set by an experiment
or by another option of `train`, always counts.
"""

from pipeline.settings.command_line import EPOCHS, CommandLine, Overrides, group_of
from pipeline.settings.tables import is_table

STEPS = 2000
"""Steps after which accuracy has settled on each table of `benchmarks.tables` (medians over its seeds)."""

MIN_STEPS_AN_EPOCH = 16
"""A batch of fewer rows is taken where an epoch would have fewer steps: curves want epochs to look at."""

BATCHES = (4, 64)
MAX_EPOCHS = 200

BATCH, PATIENCE = "train.batch_size", "train.patience"
EARLY_END = 10
"""Epochs without a better validation R2 after which training ends.

A network fits the noise of a quantity, too: on scikit-learn's diabetes the test R2 is 0.28 after the last of
100 epochs and 0.46 after the best one; ridge regression has 0.42 (means over five splits).
"""

SCHEDULE = "schedule"
KEEP = "train.keep"
OF_TABLES = {
    KEEP: "least_loss",
    SCHEDULE: "cosine",
    "model.dropout": "0.5",
    "optimizer.learning_rate": "0.002",
    "optimizer.weight_decay": "0.3",
}
"""Words of a table with classes: what most of them gained by, see tables-tried.md in `benchmarks/results`."""
USUAL = {SCHEDULE: "constant", "model": "mlp", "optimizer": "adam"}
"""Options of the groups above beside which these words are chosen."""


def choose_words(command_line: CommandLine, rows: int, searched: tuple[str, ...] = ()) -> Overrides:
    """Return the words `train.epochs=...` and `train.batch_size=...` that suit `rows` training rows.

    Of a quantity `train.patience=...`, too, where the epochs are not chosen either; of a table with classes
    `OF_TABLES`, too, unless in a search: it has its own space, and goes on with trials, which a falling rate
    forbids.

    There are none for data whose defaults are tried (`Data.fits_training`), and none for a key that is typed
    or among `searched`, the keys that a search varies.
    """
    if not command_line.settings.data.fits_training or _is_set_by_an_option(command_line):
        return Overrides()
    chosen = {*command_line.overrides.keys, *searched}
    batch = choose_batch(rows)
    if BATCH in chosen:
        batch = min(command_line.settings.train.batch_size, rows)
    words = {BATCH: batch, EPOCHS: choose_epochs(rows, batch, command_line.settings.train.epochs)}
    if command_line.settings.data.is_regression and EPOCHS not in chosen:
        words[PATIENCE] = EARLY_END
    lines = [f"{key}={value}" for key, value in words.items() if key not in chosen]
    return Overrides(lines if searched else (*lines, *_choose_for_a_table(command_line)))


def _choose_for_a_table(command_line: CommandLine) -> list[str]:
    """Return the words of `OF_TABLES` that nobody chose, beside the usual options of their groups."""
    data, typed = command_line.settings.data, command_line.overrides.keys
    if not is_table(data) or data.is_regression:
        return []
    settled = {group for group, option in USUAL.items() if command_line.choices[group] != option}
    if PATIENCE in typed or any(group_of(key) == SCHEDULE for key in typed):
        settled.add(SCHEDULE)
    chosen = {*typed, KEEP} if PATIENCE in typed else set(typed)  # which keeps the best accuracy
    return [
        f"{key}={value}"
        for key, value in OF_TABLES.items()
        if key not in chosen and group_of(key) not in settled
    ]


def choose_batch(rows: int) -> int:
    """Return the largest power of two with which an epoch has enough steps, within `BATCHES`."""
    smallest, largest = BATCHES
    fitting = 1 << max(0, (rows // MIN_STEPS_AN_EPOCH).bit_length() - 1)
    return min(max(smallest, min(largest, fitting)), rows)


def choose_epochs(rows: int, batch: int, default: int) -> int:
    """Return the epochs that make `STEPS` steps, at least `default` and at most `MAX_EPOCHS`."""
    steps = max(1, rows // batch)
    return max(default, min(MAX_EPOCHS, -(-STEPS // steps)))


def _is_set_by_an_option(command_line: CommandLine) -> bool:
    choices = command_line.choices
    return choices.get("train", "standard") != "standard" or choices.get("experiment") is not None
