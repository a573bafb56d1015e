"""Sets larger than `data.in_memory_limit` and parts of a set."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data.preprocess import preprocess
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.sources import load
from pipeline.errors import BadSetting
from pipeline.settings.settings import Settings
from pipeline.training import device_data
from pipeline.training.train import Trained, train
from pipeline.trial.network import check_trial
from tests.support import places


def told(tmp_path: Path, *words: str) -> Settings:
    small = ["preprocess.test=0.25", "preprocess.validation=0.25", "train.batch_size=4", "train.epochs=2"]
    return compose(
        [f"cache_dir={tmp_path / 'cache'}", "device=cpu", "model.hidden=8", *small, *words]
    ).settings


def trained(settings: Settings) -> Trained:
    return list(train(preprocess(settings), settings))[-1]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["engine=keras"],
        ["model=cnn", "model.filters=4"],
        ["model=cnn", "model.filters=4", "engine=keras"],
        ["augment=rotate"],
    ],
)
def test_a_folder_larger_than_the_limit_trains_as_in_memory(tmp_path: Path, words: list[str]) -> None:
    root = places.image_folder(tmp_path / "data", rows=20)
    base = ["data=image_folder", f"data.path={root}", *words]
    whole = trained(told(tmp_path / "a", *base))
    limited = told(tmp_path / "b", *base, "data.in_memory_limit=500")
    streamed = trained(limited)
    assert device_data.is_streamed(limited, streamed.data)
    assert not device_data.is_streamed(whole.settings, whole.data)
    np.testing.assert_array_equal(streamed.data.train.features, whole.data.train.features)
    for ours, other in zip(streamed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-4, atol=1e-5)
    assert not list((tmp_path / "b" / "cache").glob("*/scratch"))


def test_a_table_larger_than_the_limit_is_read_into_files(tmp_path: Path) -> None:
    data = places.cells(places.table(tmp_path / "t.csv"))
    scratch = tmp_path / "scratch"
    whole, limited = load(data, tmp_path), load(replace(data, in_memory_limit=10), tmp_path, scratch)
    assert len(list(scratch.iterdir())) == 3  # cells as text, numbers, words
    rows = np.arange(60)
    for name, column in whole.train.features[rows].items():
        np.testing.assert_array_equal(limited.train.features[rows][name], column)


def test_texts_larger_than_the_limit_are_read_into_files(tmp_path: Path) -> None:
    data = places.texts(places.text_folder(tmp_path / "data"))
    limited = load(replace(data, in_memory_limit=10), tmp_path, tmp_path / "scratch")
    assert isinstance(limited.train.features.letters, np.memmap)
    assert limited.train.features[:].tolist() == load(data, tmp_path).train.features[:].tolist()


def test_scratch_makes_files_only_where_memory_is_too_small(tmp_path: Path) -> None:
    scratch = ScratchSpace(tmp_path / "s", 100)
    assert not isinstance(scratch.allocate((10, 10), np.dtype(np.uint8)), np.memmap)
    assert not (tmp_path / "s").exists()
    assert isinstance(scratch.allocate((10, 11), np.dtype(np.uint8)), np.memmap)


def test_xla_takes_no_streams(tmp_path: Path) -> None:
    root = places.image_folder(tmp_path / "data")
    settings = told(
        tmp_path, "data=image_folder", f"data.path={root}", "data.in_memory_limit=9", "engine=xla"
    )
    with pytest.raises(
        BadSetting, match=r"engine must be auto, graph or keras .*data\.in_memory_limit=9, got xla"
    ):
        check_trial(preprocess(settings), settings)


# ---- a part of the data -------------------------------------------------------------------------------


def test_a_smaller_fraction_lies_within_a_larger_one_and_is_stratified(tmp_path: Path) -> None:
    seen, parts = set[bytes](), []
    for fraction in (0.1, 0.25, 0.5, 1.0):
        prepared = preprocess(told(tmp_path, f"data.fraction={fraction}"))
        rows = {row.tobytes() for row in prepared.train.features}
        assert seen <= rows
        seen = rows
        parts.append(prepared)
    for fraction, part in zip((0.1, 0.25, 0.5), parts[:3], strict=True):
        wanted = np.ceil(fraction * np.bincount(parts[-1].train.labels))
        np.testing.assert_array_equal(np.bincount(part.train.labels), wanted)
    tenth, *_, whole = parts
    assert len(tenth.train) == pytest.approx(len(whole.train) / 10, abs=10)
    assert tenth.report.dropped["outside data.fraction"] == len(whole.train) - len(tenth.train)
    for split in ("validation", "test"):
        np.testing.assert_array_equal(getattr(tenth, split).features, getattr(whole, split).features)
    assert tenth.scaling.mean != whole.scaling.mean


@pytest.mark.parametrize("fraction", ["0", "1.1", "-0.5"])
def test_no_other_fraction(tmp_path: Path, fraction: str) -> None:
    with pytest.raises(BadSetting, match=r"data\.fraction must be > 0 and <= 1"):
        told(tmp_path, f"data.fraction={fraction}")
