"""The front end of a table on all columns of a kind at once, where nobody sends them one by one."""

from typing import Any

import numpy as np

from pipeline.backend import keras
from pipeline.data.column_layers import join_features, list_wide
from pipeline.data.features import Columns

NUMBERS, DATES, WORDS = "numbers", "dates", "words"


def make_block_inputs(front: Columns) -> dict[str, Any]:
    """Return a Keras input for all columns of a kind, which takes what `join_columns` returns.

    An input for each column is what a user wants, and a wide table cannot afford: Keras takes milliseconds
    for each.
    """
    widths = {kind: len(names) for kind, names in _list_blocks(front).items()}
    return {
        kind: keras.Input((width,), dtype="string" if kind == WORDS else "float64", name=f"all_{kind}")
        for kind, width in widths.items()
        if width
    }


def join_columns(front: Columns, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Join the columns of each kind to one array [n, columns], with what the input of each column keeps."""
    blocks = {
        kind: np.stack([batch[name] for name in names], -1)
        for kind, names in _list_blocks(front).items()
        if names
    }
    if front.numeric:
        numbers = blocks[NUMBERS]
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite there, and so no number
            blocks[NUMBERS] = np.where(list_wide(front), numbers, numbers.astype(np.float32))
    return blocks


def make_block_features(front: Columns, inputs: dict[str, Any]) -> Any:
    """Return the features of `make_column_features`; `inputs`: of all columns of a kind together."""
    columns = {
        name: column
        for kind, names in _list_blocks(front).items()
        if names and kind != NUMBERS
        for name, column in zip(names, keras.ops.unstack(inputs[kind], axis=-1), strict=True)
    }
    return join_features(front, inputs.get(NUMBERS), columns)


def _list_blocks(front: Columns) -> dict[str, tuple[str, ...]]:
    return {NUMBERS: front.numeric, DATES: front.dates, WORDS: (*front.categorical, *front.texts)}
