"""Kinds of data."""

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.settings.data import Colours
from pipeline.settings.tables import Csv
from tests.settings.refusals import exchange, remedy

SOUNDS = ("data=audio_folder", "data.path=/sounds")
TEXTS = ("data=text_folder", "data.path=/texts")
TABLE = ("data=csv", "data.path=/table.csv", "data.label=kind")
IMAGES = ("data=image_folder", "data.path=/images")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("data.fraction", 0.0, ()),
        ("data.fraction", 1.1, ()),
        ("data.in_memory_limit", -1, ()),
        ("data.test_features", "x_test", ("data=arrays", "data.path=/a.npz")),
        ("data.seconds", 0.0, ("data=fsdd",)),
        ("data.seconds", 601.0, SOUNDS),
        ("data.rate", 999, SOUNDS),
        ("data.encoding", "utf-9", TEXTS),
        ("data.separator", "::", TABLE),
        ("data.separator", "none", TABLE),
        ("data.quote", "''", TABLE),
        ("data.encoding", "utf-9", TABLE),
        ("data.decimal", ";", TABLE),
        ("data.thousands", ",", (*TABLE, "data.decimal=','")),
        ("data.dates", "dmy", TABLE),
        ("data.drop", ["kind"], TABLE),
        ("data.group", "kind", TABLE),
        ("data.columns", [], TABLE),
        ("data.columns", ["a"], (*TABLE, "data.text=words")),
        ("data.size", [8], IMAGES),
        ("data.size", [8, 0], IMAGES),
        ("data.name", "no name", ("data=tfds", "data.name=mnist")),
    ],
)
def test_a_value_out_of_range_is_refused(key: str, value: object, words: tuple[str, ...]) -> None:
    with pytest.raises(BadSetting, match=remedy(key)):
        exchange(key, value, *words)


def test_a_value_at_the_edge_is_taken() -> None:
    assert exchange("data.fraction", 1.0).fraction == 1.0
    assert exchange("data.rate", None, *SOUNDS).rate is None
    assert exchange("data.size", [1, 4096], *IMAGES).size == [1, 4096]
    assert exchange("data.colours", Colours.rgb, *IMAGES).colours is Colours.rgb


@pytest.mark.parametrize(
    ("word", "separator"),
    [("\\t", "\t"), ("\t", "\t"), ("tab", "\t"), (";", ";"), (" ", " "), ("null", None)],
)
def test_a_separator_is_typed_in_any_way(word: str, separator: str | None) -> None:
    data = compose([*TABLE, f"data.separator={word}"]).settings.data
    assert isinstance(data, Csv)
    assert data.separator == separator


@pytest.mark.parametrize("word", ["2024_01", "1.50", "1e3", "true", "007"])
def test_text_is_taken_as_typed(word: str) -> None:
    data = compose([*TABLE, f"data.label={word}", f"data.missing=[{word},-,#N/A]"]).settings.data
    assert isinstance(data, Csv)
    assert data.label == word
    assert data.missing == [word, "-", "#N/A"]
