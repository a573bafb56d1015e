"""How long and in which batches to train where nobody said so, from the number of training rows.

Ten epochs of batches of 64 are 10,000 steps on MNIST and 20 on a table of 150 rows, which learns nothing from
that. A user's own data get as many steps as a network needs to settle; what is typed, or set by an experiment
or by another option of `train`, always counts.
"""

from pipeline.settings.command_line import EPOCHS, CommandLine, Overrides

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


def choose_words(command_line: CommandLine, rows: int, searched: tuple[str, ...] = ()) -> Overrides:
    """Return the words `train.epochs=...` and `train.batch_size=...` that suit `rows` training rows.

    Of a quantity `train.patience=...`, too, where the epochs are not chosen either.

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
    return Overrides(f"{key}={value}" for key, value in words.items() if key not in chosen)


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
