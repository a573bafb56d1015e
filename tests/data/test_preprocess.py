"""Cleaning, splitting, scaling; and when the cache is used."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli.compose import compose
from pipeline.data import preprocess as stage
from pipeline.data.cache_entry import PreparedContent
from pipeline.data.column_layers import fit_columns
from pipeline.data.features import TableSamples
from pipeline.data.preprocess import prepare, preprocess
from pipeline.data.samples import Table
from pipeline.data.sources import LabelledSamples, LoadedData
from pipeline.errors import BadData, BadInput, BadSetting
from pipeline.settings.preprocess import Preprocess, Standardise, Storage


def told(**changes: object) -> Preprocess:
    values = {
        "validation": 0.2,
        "test": 0.2,
        "normalise": True,
        "standardise": Standardise.overall,
        "deduplicate": True,
        "storage": Storage.float32,
        "pieces": 8,
        "seed": 0,
    }
    return Preprocess(**{**values, **changes})  # type: ignore[arg-type]


def samples(rows: int, classes: int = 3, width: int = 4, seed: int = 0) -> LabelledSamples:
    """Every row another one, classes in turn."""
    draw = np.random.default_rng(seed)
    return LabelledSamples(draw.normal(size=(rows, width)).astype(np.float32), np.arange(rows) % classes)


def names(classes: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(classes))


def rows(parts: PreparedContent, split: str) -> set[bytes]:
    return {row.tobytes() for row in parts.splits[split].features}


sizes = st.integers(40, 200)


@settings(max_examples=25)
@given(count=sizes, classes=st.integers(2, 4), seed=st.integers(0, 5))
def test_splits_are_disjoint_cover_all_and_are_stratified(count: int, classes: int, seed: int) -> None:
    given_samples = samples(count, classes, seed=seed)
    parts = prepare(LoadedData(train=given_samples, test=None, classes=names(classes)), told(seed=seed), "x")
    each = [rows(parts, split) for split in ("train", "validation", "test")]
    assert set.union(*each) == {row.tobytes() for row in given_samples.features}
    assert sum(map(len, each)) == count
    for split in parts.splits.values():
        counts = np.bincount(split.labels, minlength=classes)
        assert counts.max() - counts.min() <= 2


@settings(max_examples=25)
@given(count=sizes, copies=st.integers(1, 20))
def test_no_training_row_repeats_a_validation_or_test_row(count: int, copies: int) -> None:
    base = samples(count)
    doubled = LabelledSamples(
        np.concatenate([base.features, base.features[:copies]]),
        np.concatenate([base.labels, base.labels[:copies]]),
    )
    parts = prepare(LoadedData(train=doubled, test=None, classes=names(3)), told(), "x")
    assert not rows(parts, "train") & (rows(parts, "validation") | rows(parts, "test"))
    report = parts.report
    kept = sum(report.rows_kept.values())
    assert kept + sum(report.dropped.values()) == report.rows_read == count + copies


@settings(max_examples=25)
@given(factor=st.floats(0.1, 100), offset=st.floats(-100, 100))
def test_scaling_knows_the_training_split_only(factor: float, offset: float) -> None:
    train, test = samples(100), samples(30, seed=1)
    other = LabelledSamples((test.features * factor + offset).astype(np.float32), test.labels)
    mine = prepare(LoadedData(train=train, test=test, classes=names(3)), told(), "x").scaling
    theirs = prepare(LoadedData(train=train, test=other, classes=names(3)), told(), "x").scaling
    assert mine.mean == theirs.mean
    assert mine.std == theirs.std


def test_an_official_test_split_stays_untouched() -> None:
    test = samples(30, seed=1)
    parts = prepare(LoadedData(train=samples(100), test=test, classes=names(3)), told(), "x")
    np.testing.assert_array_equal(parts.splits["test"].features, test.features)
    assert len(parts.splits["validation"].labels) == 20


@pytest.mark.parametrize("standardise", [Standardise.overall, Standardise.feature])
def test_standardised_training_data_has_mean_0_and_std_1(standardise: Standardise) -> None:
    parts = prepare(
        LoadedData(train=samples(200), test=None, classes=names(3)), told(standardise=standardise), "x"
    )
    scaled = (parts.splits["train"].features - parts.scaling.mean) / parts.scaling.std
    axis = 0 if standardise is Standardise.feature else None
    np.testing.assert_allclose(scaled.mean(axis=axis), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=axis), 1, atol=1e-5)


def test_normalised_data_lies_between_0_and_1() -> None:
    numbers = prepare(
        LoadedData(train=samples(200), test=None, classes=names(3)), told(standardise=Standardise.none), "x"
    )
    scaled = (numbers.splits["train"].features - numbers.scaling.mean) / numbers.scaling.std
    assert (scaled.min(), scaled.max()) == pytest.approx((0, 1))
    image = LabelledSamples((samples(90).features * 20 + 100).astype(np.uint8), samples(90).labels)
    bytes_ = prepare(
        LoadedData(train=image, test=None, classes=names(3)), told(standardise=Standardise.none), "x"
    )
    assert (bytes_.scaling.mean, bytes_.scaling.std) == (0, 255)
    assert bytes_.splits["train"].features.dtype == np.uint8


def test_a_constant_feature_is_noted_and_not_stretched() -> None:
    base = samples(100)
    base.features[:, 1] = 7
    parts = prepare(
        LoadedData(train=base, test=None, classes=names(3)), told(standardise=Standardise.feature), "x"
    )
    assert parts.report.constant_features == 1
    train = parts.splits["train"].features
    assert parts.scaling.std[1] == pytest.approx(train.max() - train.min())
    assert parts.scaling.mean[1] == 7
    raw = prepare(
        LoadedData(train=base, test=None, classes=names(3)),
        told(standardise=Standardise.feature, normalise=False),
        "x",
    )
    assert raw.scaling.std[1] == 1


def test_a_byte_that_training_never_saw_stays_small() -> None:
    """A pixel that is always 0 in training and 255 in the test counts 1 after normalising, not 255."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (100, 4)).astype(np.uint8)
    images[:, 2] = 0
    parts = prepare(
        LoadedData(train=LabelledSamples(images, np.arange(100) % 3), test=None, classes=names(3)),
        told(standardise=Standardise.feature),
        "x",
    )
    assert parts.scaling.std[2] == 255


@pytest.mark.parametrize("unit", [1e-42, 1e38])
@pytest.mark.parametrize("standardise", list(Standardise))
def test_extreme_units_give_a_divisor_that_every_device_knows(unit: float, standardise: Standardise) -> None:
    base = samples(100)
    parts = prepare(
        LoadedData(
            train=LabelledSamples((base.features.clip(-3, 3) * np.float32(unit)), base.labels),
            test=None,
            classes=names(3),
        ),
        told(standardise=standardise),
        "x",
    )
    assert np.all(np.isfinite(parts.scaling.std))
    assert np.all(parts.scaling.std >= np.finfo(np.float32).tiny)


def test_equal_samples_with_different_labels_are_told_by_class_and_counted_once() -> None:
    first = samples(60)
    features, labels = np.asarray(first.features).copy(), first.labels.copy()
    features[[10, 20, 30]] = features[0]
    features[41] = features[40]
    loaded = LoadedData(train=LabelledSamples(features, labels), test=None, classes=("a", "b", "c"))
    (told_text,) = [str(each) for each in prepare(loaded, told(), "x").report.findings]
    assert told_text.startswith("2 samples found under several labels, of which one at most is right")
    quantities = LoadedData(train=LabelledSamples(features, labels.astype(float)), test=None, classes=())
    assert prepare(quantities, told(), "x").report.findings == ()


def test_minus_zero_repeats_zero() -> None:
    base = samples(60)
    base.features[:, 1] = 0
    other = base.features.copy()
    other[:, 1] = -0.0
    parts = prepare(
        LoadedData(
            train=LabelledSamples(np.concatenate([base.features, other]), np.tile(base.labels, 2)),
            test=None,
            classes=names(3),
        ),
        told(),
        "x",
    )
    seen = {tuple(row) for split in ("validation", "test") for row in parts.splits[split].features}
    assert not seen & {tuple(row) for row in parts.splits["train"].features}


@pytest.mark.parametrize(
    ("features", "rule"),
    [
        (np.ones((0, 4), np.float32), "must have samples with features"),
        (np.ones((9, 0), np.float32), "must have samples with features"),
        (np.full((9, 4), np.nan, np.float32), "must keep a row after cleaning"),
    ],
)
@pytest.mark.parametrize("part", ["train", "test"])
def test_a_split_with_nothing_in_it_is_one_line(features: np.ndarray, rule: str, part: str) -> None:
    bad, good = LabelledSamples(features, np.arange(len(features)) % 3), samples(60)
    loaded = (
        LoadedData(train=bad, test=None, classes=names(3))
        if part == "train"
        else LoadedData(train=good, test=bad, classes=names(3))
    )
    with pytest.raises(BadData, match=rule) as caught:
        prepare(loaded, told(), "x")
    assert "\n" not in str(caught.value)


def test_a_class_that_only_repeats_says_how_to_keep_it() -> None:
    loaded = LoadedData(
        train=LabelledSamples(np.ones((60, 4), np.float32), np.arange(60) % 3), test=None, classes=names(3)
    )
    with pytest.raises(BadData, match=r"preprocess\.deduplicate=false"):
        prepare(loaded, told(), "x")


def test_a_class_of_few_different_samples_is_kept() -> None:
    labels = np.arange(60) % 3
    features = np.repeat(labels[:, None], 4, axis=1).astype(np.float32)
    loaded = LoadedData(train=LabelledSamples(features, labels), test=None, classes=names(3))
    parts = prepare(loaded, told(), "x")
    assert sum(parts.report.rows_kept.values()) == 60
    assert "alike a validation or test row: kept" in " ".join(map(str, parts.report.findings))


def test_bad_rows_are_dropped_and_counted() -> None:
    base = samples(103)
    labels = base.labels.astype(np.float64)
    base.features[0, 0], base.features[1, 2] = np.nan, np.inf
    labels[2], labels[3], labels[4] = -1, 1.5, np.nan
    parts = prepare(
        LoadedData(train=LabelledSamples(base.features, labels), test=None, classes=names(3)), told(), "x"
    )
    assert parts.report.dropped["NaN or infinite feature"] == 2
    assert parts.report.dropped["label out of range"] == 3
    assert sum(parts.report.rows_kept.values()) == 98


@pytest.mark.parametrize(
    ("labels", "rule"),
    [
        ([0] * 50, "must have two classes or more, got 1"),
        ([0, 2] * 25, "must have training samples, got none for 1"),
        ([0] * 49 + [1], "every class must have enough samples.*got 1 of class 1"),
    ],
)
def test_data_that_cannot_be_split_is_one_line(labels: list[int], rule: str) -> None:
    loaded = LoadedData(
        train=LabelledSamples(samples(50).features, np.array(labels)),
        test=None,
        classes=names(max(labels) + 1),
    )
    with pytest.raises(BadData, match=rule) as caught:
        prepare(loaded, told(), "x")
    assert "\n" not in str(caught.value)


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


def test_bytes_cannot_be_kept_of_what_is_no_bytes(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"preprocess\.storage must be float32"):
        preprocess(compose(words(tmp_path, "preprocess.storage=uint8")).settings)


def test_a_user_without_a_home_is_asked_for_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `docker run --user 12345`, with no HOME and no entry in /etc/passwd."""

    def nameless(uid: int) -> None:
        raise KeyError(uid)

    words = ["data=digits", "cache_dir='~/.cache/fulcrum/prepared'", "data_dir=/tmp"]
    settings = compose(words).settings
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", nameless)
    with pytest.raises(
        BadInput, match=r"got ~/.cache/fulcrum/prepared .* set FULCRUM_CACHE and FULCRUM_DATA"
    ):
        preprocess(settings)


def test_an_official_validation_split_stays_untouched() -> None:
    own = samples(30, seed=1)
    parts = prepare(LoadedData(train=samples(100), test=None, classes=names(3), validation=own), told(), "x")
    np.testing.assert_array_equal(parts.splits["validation"].features, own.features)
    assert len(parts.splits["test"].labels) == 20
    assert parts.report.rows_read == 130


@settings(max_examples=25)
@given(seed=st.integers(0, 2**20), rows_each=st.integers(1, 7))
def test_rows_of_a_group_stay_on_one_side(seed: int, rows_each: int) -> None:
    base = samples(30 * rows_each)
    groups = np.repeat(np.random.default_rng(seed).permutation(30), rows_each)
    base.features[:, 0] = groups
    labels = np.arange(30)[groups] % 3
    parts = prepare(
        LoadedData(train=LabelledSamples(base.features, labels, groups), test=None, classes=names(3)),
        told(),
        "x",
    )
    each = [set(split.features[:, 0].tolist()) for split in parts.splits.values()]
    assert sum(map(len, each)) == len(set.union(*each)) == 30


def test_a_group_of_an_official_split_is_not_in_training() -> None:
    numbers = np.arange(90.0)
    rows = LabelledSamples(make_table(numbers.tolist()), np.arange(90) % 2, np.arange(90) // 9)
    own = LabelledSamples(make_table([200.0, 201.0, 202.0]), np.array([0, 1, 0]), np.array([3, 4, 77]))
    loaded = LoadedData(train=rows, test=None, classes=names(2), kind=TableSamples(), validation=own)
    parts = prepare(loaded, told(), "x", lambda _, train: fit_columns(train))
    rest = {float(row) for name in ("train", "test") for row in parts.splits[name].features[:, 0]}
    assert rest == set(numbers[:27]) | set(numbers[45:])
    assert parts.report.dropped["of a group of the validation or test file"] == 18


def test_test_rows_alike_validation_rows_are_told() -> None:
    rows = LabelledSamples(make_table([float(row) for row in range(100)]), np.arange(100) % 2)
    own = LabelledSamples(rows.features, rows.labels)
    loaded = LoadedData(
        train=LabelledSamples(make_table([float(row) for row in range(100, 200)]), rows.labels),
        test=own,
        validation=own,
        classes=names(2),
        kind=TableSamples(),
    )
    parts = prepare(loaded, told(), "x", lambda _, train: fit_columns(train))
    assert any(
        str(each).startswith("100 test rows alike a validation row: kept") for each in parts.report.findings
    )


def make_table(numbers: list[float]) -> Table:
    return Table(np.array(numbers)[:, None], (), ("x",), ())


def split_table(rows: LabelledSamples) -> tuple[dict[str, list[float]], list[str]]:
    loaded = LoadedData(train=rows, test=None, classes=names(2), kind=TableSamples())
    parts = prepare(loaded, told(), "x", lambda _, train: fit_columns(train))
    return {name: split.features[:, 0].tolist() for name, split in parts.splits.items()}, [
        *map(str, parts.report.findings)
    ]


def test_equal_rows_of_a_table_are_kept_on_one_side() -> None:
    numbers = [float(row // 2 if row < 80 else row) for row in range(200)]
    rows = LabelledSamples(features=make_table(numbers), labels=np.arange(200) // 2 % 2)
    splits, findings = split_table(rows)
    assert sum(map(len, splits.values())) == 200
    sides = [set(split) for split in splits.values()]
    assert sum(map(len, sides)) == len(set.union(*sides))
    assert findings == ["40 rows alike others: kept, in the same split as those"]


def test_rows_of_few_different_kinds_are_kept_wherever_they_fall() -> None:
    rows = LabelledSamples(
        features=make_table([float(row % 16) for row in range(400)]), labels=np.arange(400) % 2
    )
    splits, findings = split_table(rows)
    assert sum(map(len, splits.values())) == 400
    assert all(len(set(split)) == 16 for split in splits.values())
    assert findings == ["384 rows alike others: too many to keep them in one split"]


def test_the_newest_rows_are_for_validation_and_test() -> None:
    times = np.random.default_rng(0).permutation(100).astype(float)
    rows = LabelledSamples(features=make_table(times.tolist()), labels=np.arange(100) % 2, times=times)
    splits, _ = split_table(rows)
    assert max(splits["train"]) < min(splits["validation"]) <= max(splits["validation"]) < min(splits["test"])
    same = LabelledSamples(features=make_table([1.0, 2.0]), labels=np.arange(2), times=np.zeros(2))
    with pytest.raises(BadData, match=r"data\.split=time must have rows of several times"):
        split_table(same)
