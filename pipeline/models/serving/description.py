"""All that must be known of a trained model to ask it, beside its Keras file: a few lines of JSON."""

import re
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.data.features import Columns, FrontEnd, decode_front_end, encode_front_end
from pipeline.data.prepared import Prepared
from pipeline.data.quality.column_spread import ColumnSpread
from pipeline.data.quality.columns import fit_training_spreads
from pipeline.data.readers.images import ImageForm
from pipeline.data.tables.column_types import ColumnType, Kind
from pipeline.data.tables.find_type import CATEGORY_WORDS, NUMBER_WORDS
from pipeline.settings.data import Data, Datasets, ImageFolder
from pipeline.settings.tables import Csv

PLACE = re.compile(r"column_(\d+)")
"""The name of a column in a table without a header."""
LAST = "-1"

DESCRIPTION_FILE = "fulcrum.json"
"""Its name beside a model's Keras file."""
BRIGHT = 127
"""Bytes that reach beyond this have the range of an image's, 0 to 255."""
GREY, COLOUR = 1, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """What a model answers to. `classes`: a name for each of its outputs; none where it answers a quantity.

    `front`: what makes features of raw samples; None: it is asked for features of `shape`. `images`: what a
    file of an image becomes; None: it was not trained on images as files have them. `text`: the column of
    texts in a table; `width`: how many columns a table without a header had; `left_out`: the columns of the
    table that training did not use; `spreads`: how the training rows were spread, None of a model of an
    earlier release.
    """

    classes: tuple[str, ...]
    shape: tuple[int, ...]
    front: FrontEnd | None = None
    images: ImageForm | None = None
    text: str | None = None
    width: int | None = None
    left_out: tuple[str, ...] = ()
    spreads: tuple[ColumnSpread, ...] | None = None

    def list_columns(self) -> tuple[ColumnType, ...]:
        """Return how the cells of each column are read; nothing for what is no table.

        A model of version 0.1.0 knows names alone: numbers with a decimal point, and words.
        """
        if not isinstance(self.front, Columns):
            return ()
        if self.front.types:
            return self.front.types
        words, numbers = tuple(sorted(CATEGORY_WORDS)), tuple(sorted(NUMBER_WORDS))
        return tuple(
            ColumnType(name=name, kind=Kind.number, missing=numbers) for name in self.front.numeric
        ) + tuple(ColumnType(name=name, kind=Kind.category, missing=words) for name in self.front.categorical)

    def get_categories(self) -> dict[str, tuple[str, ...]]:
        """Return the words that training saw in each column of categories."""
        if not isinstance(self.front, Columns):
            return {}
        return dict(zip(self.front.categorical, self.front.categories, strict=True))


def describe_model(prepared: Prepared, data: Data) -> ModelDescription:
    """Describe a model that was trained on these data. `data`: where they came from."""
    return ModelDescription(
        classes=prepared.classes,
        shape=prepared.shape,
        front=prepared.front,
        images=_describe_images(prepared, data),
        text=getattr(data, "text", None),
        width=_measure_width(prepared, data) if isinstance(data, Csv) else None,
        left_out=_list_left_out(prepared, data) if isinstance(data, Csv) else (),
        spreads=fit_training_spreads(prepared.train, prepared.front),
    )


def _list_left_out(prepared: Prepared, data: Csv) -> tuple[str, ...]:
    """Return the columns that training left out: those that tell nothing, and those that a user named."""
    useless = [column.name for column in prepared.columns if column.taken_for == "nothing"]
    return (*useless, *(data.drop or ()), *([data.group] if data.group else ()))


def _measure_width(prepared: Prepared, data: Csv) -> int | None:
    """Return how many columns a table had whose columns have no names but places; None where they have."""
    names = [column.name for column in prepared.columns]
    places = [PLACE.fullmatch(name) for name in names]
    if not names or not all(places):
        return None
    others = [name for name in (data.label, data.group, *(data.drop or ())) if name is not None]
    numbers = [int(match[1]) for match in places if match]
    numbers += [number for name in others if (number := find_place(name, 0)) is not None and number >= 0]
    # A label that is named by its place from the end is the last of all, or one of those that are known.
    return max(numbers) + 1 + (data.label == LAST)


def find_place(name: str, width: int) -> int | None:
    """Return the place of a column that is named by it (2, -1, column_2) among `width`; None for others."""
    if match := PLACE.fullmatch(name):
        return int(match[1])
    if not (name.isascii() and name.lstrip("-").isdecimal()):
        return None
    number = int(name)
    return number + width if number < 0 else number


def _describe_images(prepared: Prepared, data: Data) -> ImageForm | None:
    shape = prepared.shape
    is_image = len(shape) == 2 or (len(shape) == 3 and shape[2] in (GREY, COLOUR))
    if prepared.front is not None or not is_image:
        return None
    colour = len(shape) == 3 and shape[2] == COLOUR
    is_bytes = prepared.train.features.dtype == np.uint8
    if isinstance(data, ImageFolder | Datasets):
        size = None if data.size is None else (data.size[0], data.size[1])
        return ImageForm(colour, size, data.background, wide=not is_bytes, deep=prepared.report.bits > 16)
    return ImageForm(colour, None, "white") if is_bytes and prepared.report.largest > BRIGHT else None


def encode_description(description: ModelDescription) -> dict[str, Any]:
    """Encode a description as a dict for JSON."""
    images = None if description.images is None else asdict(description.images)
    return {
        "classes": description.classes,
        "shape": description.shape,
        "front": encode_front_end(description.front),
        "images": images,
        "text": description.text,
        "width": description.width,
        "left_out": description.left_out,
        "spreads": None if description.spreads is None else [asdict(each) for each in description.spreads],
    }


def decode_description(plain: dict[str, Any]) -> ModelDescription:
    """Decode what `encode_description` encoded, also after JSON made lists of tuples.

    Raises:
        KeyError, TypeError: `plain` is no such thing.
    """
    images = plain.get("images")
    if images is not None:
        size = images["size"] and (images["size"][0], images["size"][1])
        images = ImageForm(**{"deep": None, **images, "size": size})
    return ModelDescription(
        classes=tuple(plain["classes"]),
        shape=tuple(plain["shape"]),
        front=decode_front_end(plain["front"]),
        images=images,
        text=plain.get("text"),
        width=plain.get("width"),
        left_out=tuple(plain.get("left_out", ())),
        spreads=_decode_spreads(plain.get("spreads")),
    )


def _decode_spreads(plain: list[dict[str, Any]] | None) -> tuple[ColumnSpread, ...] | None:
    if plain is None:
        return None
    lists = ("counts", "edges", "words")
    return tuple(
        ColumnSpread(**{**each, **{key: tuple(each[key]) for key in lists if each[key] is not None}})
        for each in plain
    )
