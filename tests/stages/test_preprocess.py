"""Cleaning, splitting, scaling; and the store that keeps the result."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli.compose import compose
from pipeline.errors import BadData, BadInput, BadSetting
from pipeline.prepared import Parts
from pipeline.settings import Preprocess, Standardise, Storage
from pipeline.sources import Loaded, Samples
from pipeline.stages import preprocess as stage
from pipeline.stages.preprocess import prepare, preprocess

CHECKOUT = Path(__file__).resolve().parents[2]


def told(**changes: object) -> Preprocess:
    values = {
        "validation": 0.2,
        "test": 0.2,
        "normalise": True,
        "standardise": Standardise.overall,
        "deduplicate": True,
        "storage": Storage.float32,
        "seed": 0,
    }
    return Preprocess(**{**values, **changes})  # type: ignore[arg-type]


def samples(rows: int, classes: int = 3, width: int = 4, seed: int = 0) -> Samples:
    """Every row another one, classes in turn."""
    draw = np.random.default_rng(seed)
    return Samples(draw.normal(size=(rows, width)).astype(np.float32), np.arange(rows) % classes)


def names(classes: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(classes))


def rows(parts: Parts, split: str) -> set[bytes]:
    return {row.tobytes() for row in parts.splits[split].features}


sizes = st.integers(40, 200)


@settings(max_examples=25, deadline=None)
@given(count=sizes, classes=st.integers(2, 4), seed=st.integers(0, 5))
def test_splits_are_disjoint_cover_all_and_are_stratified(count: int, classes: int, seed: int) -> None:
    given_samples = samples(count, classes, seed=seed)
    parts = prepare(Loaded(given_samples, None, names(classes)), told(seed=seed), "x")
    each = [rows(parts, split) for split in ("train", "validation", "test")]
    assert set.union(*each) == {row.tobytes() for row in given_samples.features}
    assert sum(map(len, each)) == count
    for split in parts.splits.values():
        counts = np.bincount(split.labels, minlength=classes)
        assert counts.max() - counts.min() <= 2


@settings(max_examples=25, deadline=None)
@given(count=sizes, copies=st.integers(1, 20))
def test_no_training_row_repeats_a_validation_or_test_row(count: int, copies: int) -> None:
    base = samples(count)
    doubled = Samples(
        np.concatenate([base.features, base.features[:copies]]),
        np.concatenate([base.labels, base.labels[:copies]]),
    )
    parts = prepare(Loaded(doubled, None, names(3)), told(), "x")
    assert not rows(parts, "train") & (rows(parts, "validation") | rows(parts, "test"))
    report = parts.report
    kept = sum(report.rows_kept.values())
    assert kept + sum(report.dropped.values()) == report.rows_read == count + copies


@settings(max_examples=25, deadline=None)
@given(factor=st.floats(0.1, 100), offset=st.floats(-100, 100))
def test_scaling_knows_the_training_split_only(factor: float, offset: float) -> None:
    train, test = samples(100), samples(30, seed=1)
    other = Samples((test.features * factor + offset).astype(np.float32), test.labels)
    mine = prepare(Loaded(train, test, names(3)), told(), "x").scaling
    theirs = prepare(Loaded(train, other, names(3)), told(), "x").scaling
    assert mine.mean == theirs.mean
    assert mine.std == theirs.std


def test_an_official_test_split_stays_untouched() -> None:
    test = samples(30, seed=1)
    parts = prepare(Loaded(samples(100), test, names(3)), told(), "x")
    np.testing.assert_array_equal(parts.splits["test"].features, test.features)
    assert len(parts.splits["validation"].labels) == 20


@pytest.mark.parametrize("standardise", [Standardise.overall, Standardise.feature])
def test_standardised_training_data_has_mean_0_and_std_1(standardise: Standardise) -> None:
    parts = prepare(Loaded(samples(200), None, names(3)), told(standardise=standardise), "x")
    scaled = (parts.splits["train"].features - parts.scaling.mean) / parts.scaling.std
    axis = 0 if standardise is Standardise.feature else None
    np.testing.assert_allclose(scaled.mean(axis=axis), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=axis), 1, atol=1e-5)


def test_normalised_data_lies_between_0_and_1() -> None:
    numbers = prepare(Loaded(samples(200), None, names(3)), told(standardise=Standardise.none), "x")
    scaled = (numbers.splits["train"].features - numbers.scaling.mean) / numbers.scaling.std
    assert (scaled.min(), scaled.max()) == pytest.approx((0, 1))
    image = Samples((samples(90).features * 20 + 100).astype(np.uint8), samples(90).labels)
    bytes_ = prepare(Loaded(image, None, names(3)), told(standardise=Standardise.none), "x")
    assert (bytes_.scaling.mean, bytes_.scaling.std) == (0, 255)
    assert bytes_.splits["train"].features.dtype == np.uint8


def test_a_constant_feature_is_noted_and_not_stretched() -> None:
    base = samples(100)
    base.features[:, 1] = 7
    parts = prepare(Loaded(base, None, names(3)), told(standardise=Standardise.feature), "x")
    assert parts.report.constant_features == 1
    assert parts.scaling.std[1] == 1
    assert parts.scaling.mean[1] == 7


def test_bad_rows_are_dropped_and_counted() -> None:
    base = samples(103)
    labels = base.labels.astype(np.float64)
    base.features[0, 0], base.features[1, 2] = np.nan, np.inf
    labels[2], labels[3], labels[4] = -1, 1.5, np.nan
    parts = prepare(Loaded(Samples(base.features, labels), None, names(3)), told(), "x")
    assert parts.report.dropped["NaN or infinite feature"] == 2
    assert parts.report.dropped["label out of range"] == 3
    assert sum(parts.report.rows_kept.values()) == 98


@pytest.mark.parametrize(
    ("labels", "rule"),
    [
        ([0] * 50, "must have two classes or more, got 1"),
        ([0, 2] * 25, "must have training samples, got none for 1"),
        ([0] * 49 + [1], "every class must have enough samples"),
    ],
)
def test_data_that_cannot_be_split_is_one_line(labels: list[int], rule: str) -> None:
    loaded = Loaded(Samples(samples(50).features, np.array(labels)), None, names(max(labels) + 1))
    with pytest.raises(BadData, match=rule) as caught:
        prepare(loaded, told(), "x")
    assert "\n" not in str(caught.value)


# ---- the store --------------------------------------------------------------------------------------


def words(cache: Path, *more: str) -> list[str]:
    return [f"cache_dir={cache}", *more]


def test_the_second_time_nothing_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = preprocess(compose(words(tmp_path)).settings)
    monkeypatch.setattr(stage.sources, "load", lambda *_: pytest.fail("loaded again"))
    second = preprocess(compose(words(tmp_path)).settings)
    assert (first.reused, second.reused) == (False, True)
    assert isinstance(second.train.features, np.memmap)
    np.testing.assert_array_equal(first.train.features, second.train.features)
    assert second.report == first.report
    assert second.classes == first.classes


def test_the_key_follows_what_changes_the_arrays(tmp_path: Path) -> None:
    keys = [
        preprocess(compose(words(tmp_path, *more)).settings).key
        for more in ([], ["preprocess.seed=1"], ["preprocess.standardise=none"], ["train.seed=5"])
    ]
    assert len(set(keys)) == 3
    assert keys[0] == keys[3]


@pytest.mark.parametrize("damage", ["prepared.json", "train_features.npy", "mean.npy"])
def test_a_damaged_entry_is_built_again(tmp_path: Path, damage: str) -> None:
    first = preprocess(compose(words(tmp_path)).settings)
    (first.directory / damage).write_bytes(b"{")
    again = preprocess(compose(words(tmp_path)).settings)
    assert not again.reused
    assert preprocess(compose(words(tmp_path)).settings).reused


def test_bytes_cannot_be_kept_of_what_is_no_bytes(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"preprocess\.storage must be float32"):
        preprocess(compose(words(tmp_path, "preprocess.storage=uint8")).settings)


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cache_dir must be a writable folder"):
        preprocess(compose(words(tmp_path / "file" / "below")).settings)


SLOW_WRITER = """
import time
from pipeline import prepared
from pipeline.cli.compose import compose
from pipeline.stages.preprocess import preprocess
save = prepared._save
def slow(path, array):
    save(path, array)
    print(path.name, flush=True)
    time.sleep(0.2)
prepared._save = slow
preprocess(compose(["cache_dir={cache}"]).settings)
print("done", flush=True)
"""


def writer(cache: Path) -> subprocess.Popen[str]:
    code = SLOW_WRITER.replace("{cache}", str(cache))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)


def test_kill_9_in_mid_write_leaves_nothing_half_written(tmp_path: Path) -> None:
    process = writer(tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "train_features.npy"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert [path.name.startswith(".writing-") for path in tmp_path.iterdir()] == [True]
    again = preprocess(compose(words(tmp_path)).settings)
    assert not again.reused
    assert [path.name for path in tmp_path.iterdir()] == [again.key]


def test_two_processes_at_once_both_succeed_with_one_entry(tmp_path: Path) -> None:
    processes = [writer(tmp_path), writer(tmp_path)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [output.splitlines()[-1] for output in outputs] == ["done", "done"]
    assert len(list(tmp_path.iterdir())) == 1
    assert preprocess(compose(words(tmp_path)).settings).reused


def test_reuse_writes_nothing(tmp_path: Path) -> None:
    entry = preprocess(compose(words(tmp_path)).settings)
    before = {path: path.stat().st_mtime_ns for path in entry.directory.iterdir()}
    again = preprocess(compose(words(tmp_path)).settings)
    assert {path: path.stat().st_mtime_ns for path in again.directory.iterdir()} == before
    about = json.loads((entry.directory / "prepared.json").read_text())
    assert about["report"]["rows_kept"] == {"train": 1347, "validation": 180, "test": 270}
