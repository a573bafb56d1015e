"""TensorFlow Datasets, which is no requirement: a stand-in plays its part."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data.features import TextSamples
from pipeline.data.preprocess import preprocess
from pipeline.data.samples import Texts
from pipeline.data.sources import fingerprint, load
from pipeline.errors import BadData, BadSetting, DataMissing
from pipeline.settings.data import Tfds
from tests.support import places

PAIRS = {
    "images": [(np.full((4, 3, 1), value, np.uint8), value % 2) for value in range(6)],
    "texts": [(f"text {value}".encode(), value % 2) for value in range(6)],
    "mixed": [(np.zeros((4 + value, 3, 1), np.uint8), 0) for value in range(6)],
}


class Builder:
    def __init__(self, name: str, data_dir: str) -> None:
        self.data_dir, self._pairs = Path(data_dir), PAIRS[name]
        splits = {"train": SimpleNamespace(num_examples=6), "test": SimpleNamespace(num_examples=6)}
        features = {"label": SimpleNamespace(names=["even", "odd"])}
        self.info = SimpleNamespace(
            splits=splits, supervised_keys=("sample", "label"), features=features, dataset_size=100
        )

    def download_and_prepare(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        (self.data_dir / "part-0").write_bytes(repr(self._pairs).encode())

    def as_dataset(self, _split: str, **_told: object) -> SimpleNamespace:
        return SimpleNamespace(as_numpy_iterator=lambda: iter(self._pairs))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", SimpleNamespace(builder=Builder))


def told(name: str) -> Tfds:
    return Tfds(name, **places.WHOLE)  # type: ignore[arg-type]


@pytest.mark.usefixtures("stand_in")
def test_images_and_texts_come_with_their_classes_and_test_split(tmp_path: Path) -> None:
    images, texts = load(told("images"), tmp_path), load(told("texts"), tmp_path)
    assert np.asarray(images.train.features).shape == (6, 4, 3, 1)
    assert images.classes == texts.classes == ("even", "odd")
    assert images.test is not None
    assert images.test.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert texts.kind == TextSamples()
    assert isinstance(texts.train.features, Texts)
    assert texts.train.features[:].tolist()[5] == "text 5"
    assert fingerprint(told("images"), tmp_path) != fingerprint(told("texts"), tmp_path)


@pytest.mark.usefixtures("stand_in")
def test_texts_are_prepared_anew_with_another_vocabulary(tmp_path: Path) -> None:
    words = ("data=tfds", "data.name=texts", f"data_dir={tmp_path}", f"cache_dir={tmp_path / 'cache'}")
    words += ("preprocess.validation=0.4", "preprocess.deduplicate=false")
    widths = {
        size: preprocess(compose([*words, f"vocabulary.size={size}"]).settings).shape for size in (2, 3)
    }
    tokens = preprocess(compose([*words, "vocabulary.form=tokens", "vocabulary.length=4"]).settings).shape
    assert (widths[2], widths[3], tokens) == ((3,), (4,), (4,))


@pytest.mark.usefixtures("stand_in")
def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="samples must all have one size"):
        load(told("mixed"), tmp_path)
    with pytest.raises(DataMissing, match=r"data\.name must be a set .*, got unknown \("):
        load(told("unknown"), tmp_path)


def test_without_the_package_the_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(BadSetting, match="pip install tensorflow-datasets"):
        fingerprint(told("mnist"), tmp_path)
