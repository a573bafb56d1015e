"""Data sets of the package `datasets`, without the Hub: saved to disk, and as folders of shards."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
from PIL import Image

from pipeline.cli.compose import compose
from pipeline.data.features import SoundSamples, TableSamples, TextSamples
from pipeline.data.readers.loaded import LoadedData
from pipeline.data.samples import Table, Texts
from pipeline.data.sources import fingerprint, load
from pipeline.errors import BadData, BadSetting, DataMissing
from pipeline.settings.data import Colours, Datasets, OnError, Task
from tests.support import places

ROWS = 40


@pytest.fixture(scope="module")
def package() -> Any:
    return pytest.importorskip("datasets")


def told(name: Path | str, **changes: object) -> Datasets:
    unsaid = dict.fromkeys(("config", "label", "features", "size", "rate"))
    values = {"colours": Colours.grey, "background": "white", "seconds": 0.25, "on_error": OnError.stop}
    return Datasets(**{"name": str(name), **unsaid, **values, **places.WHOLE, **changes})  # type: ignore[arg-type]


def find_findings(loaded: LoadedData) -> list[str]:
    return [str(each) for each in loaded.findings]


def draw_image(row: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((6, 5, 3), row, np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def draw_sound(row: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, places.tone(300 + 20 * row) / 2**15, 8000, format="FLAC")
    return buffer.getvalue()


def test_images_keep_their_classes_and_splits(package: Any, tmp_path: Path) -> None:
    kinds = package.Features(
        {"img": package.Image(), "label": package.ClassLabel(names=["zebra", "none of them", "ape"])}
    )
    images = [{"bytes": draw_image(row), "path": None} for row in range(ROWS)]
    rows = {"img": images, "label": [2 * (row % 2) for row in range(ROWS)]}
    whole = package.Dataset.from_dict(rows, features=kinds)
    hidden = package.Dataset.from_dict({"img": images[:2], "label": [-1, -1]}, features=kinds)
    splits = {"train": whole.select(range(30)), "validation": whole.select(range(30, 40)), "test": hidden}
    package.DatasetDict({**splits, "unsupervised": hidden}).save_to_disk(str(tmp_path / "set"))
    loaded = load(told(tmp_path / "set", colours=Colours.rgb), tmp_path)
    assert loaded.classes == ("zebra", "ape")  # in the order of the set, less those without rows
    assert loaded.validation is not None
    assert loaded.test is None
    features = np.asarray(loaded.validation.features)
    assert (features.shape, features.dtype) == ((10, 6, 5, 3), np.uint8)
    assert features[3, 0, 0].tolist() == [33, 33, 33]
    assert loaded.train.labels.tolist() == [row % 2 for row in range(30)]
    assert find_findings(loaded) == [
        "1 split left out: neither train, validation nor test (unsupervised)",
        "1 split left out: without labels (test)",
    ]
    first = fingerprint(told(tmp_path / "set"), tmp_path)
    splits["train"].save_to_disk(str(tmp_path / "one"))
    assert fingerprint(told(tmp_path / "one"), tmp_path) != first
    assert load(told(tmp_path / "one"), tmp_path).classes == ("zebra", "ape")


def test_sounds_are_read_as_those_of_a_folder_and_may_have_quantities(package: Any, tmp_path: Path) -> None:
    sounds = [{"bytes": draw_sound(row), "path": None} for row in range(12)]
    rows = package.Dataset.from_dict({"audio": sounds, "class": ["low"] * 6 + ["high"] * 6})
    rows = rows.cast_column("audio", package.Audio(sampling_rate=8000)).add_column("hertz", [300.5] * 12)
    rows.save_to_disk(str(tmp_path / "set"))
    loaded = load(told(tmp_path / "set"), tmp_path)
    assert loaded.kind == SoundSamples(8000)
    assert np.asarray(loaded.train.features).shape == (12, 2000)
    assert loaded.classes == ("high", "low")
    assert loaded.train.labels.tolist() == [1] * 6 + [0] * 6
    of_hertz = load(told(tmp_path / "set", label="hertz", features=["audio"], task=Task.regression), tmp_path)
    assert (of_hertz.classes, set(of_hertz.train.labels)) == ((), {300.5})


@pytest.mark.usefixtures("package")
def test_a_folder_of_shards_of_texts(tmp_path: Path) -> None:
    for split in ("train", "test"):
        lines = [{"idx": row, "text": f"say {split} {row}", "label": row % 2} for row in range(ROWS)]
        path = tmp_path / "set" / f"{split}-00000-of-00001.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(map(json.dumps, lines)))
    loaded = load(told(tmp_path / "set"), tmp_path)
    assert loaded.kind == TextSamples()
    assert isinstance(loaded.train.features, Texts)
    assert loaded.train.features[:].tolist()[3] == "say train 3"
    assert loaded.classes == ("0", "1")
    assert loaded.test is not None
    assert len(loaded.test.labels) == ROWS


def test_a_table_has_columns_of_all_kinds_and_its_own_order_of_classes(package: Any, tmp_path: Path) -> None:
    kinds = package.Features(
        {
            "size": package.Value("float32"),
            "colour": package.ClassLabel(names=["red", "blue"]),
            "remark": package.Value("string"),
            "id": package.Value("int64"),
            "kind": package.ClassLabel(names=["small", "large"]),
        }
    )
    rows = {
        "size": [row / 8 for row in range(ROWS)],
        "colour": [(row // 2) % 2 for row in range(ROWS)],
        "remark": [f"it was number {row} of them" for row in range(ROWS)],
        "id": list(range(100, 100 + ROWS)),
        "kind": [row % 2 for row in range(ROWS)],
    }
    package.Dataset.from_dict(rows, features=kinds).to_parquet(str(tmp_path / "rows.parquet"))
    loaded = load(told(tmp_path / "rows.parquet", label="kind"), tmp_path)
    assert isinstance(loaded.kind, TableSamples)
    assert isinstance(loaded.train.features, Table)
    assert loaded.classes == ("small", "large")
    assert loaded.train.labels.tolist() == rows["kind"]
    assert {column.name: column.taken_for for column in loaded.columns} == {
        "size": "number",
        "colour": "category",
        "remark": "text",
    }
    batch = loaded.train.features[np.array([3])]
    assert (batch["size"].tolist(), batch["colour"].tolist()) == ([0.375], ["blue"])
    with pytest.raises(BadData, match=r"data\.label must name the column that is learned, got null and size"):
        load(told(tmp_path / "rows.parquet"), tmp_path)
    with pytest.raises(BadData, match=r"data\.features must be columns of .*, got weight; it has size"):
        load(told(tmp_path / "rows.parquet", label="kind", features=["weight"]), tmp_path)


def test_lists_of_numbers_are_arrays(package: Any, tmp_path: Path) -> None:
    rows = {"x": [[[row, 1.5], [2, 3]] for row in range(6)], "y": ["a", "b", None, "a", "b", "a"]}
    package.Dataset.from_dict(rows).save_to_disk(str(tmp_path / "set"))
    loaded = load(told(tmp_path / "set"), tmp_path)
    assert np.asarray(loaded.train.features).shape == (5, 2, 2)
    assert (loaded.classes, loaded.train.labels.tolist()) == (("a", "b"), [0, 1, 0, 1, 0])
    assert find_findings(loaded) == ["1 row left out: without a label (train)"]


def test_what_is_not_there_is_one_line(package: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "load_dataset", lambda *_, **__: json.loads("{"))
    with pytest.raises(DataMissing) as caught:
        load(told("nobody/nothing"), tmp_path)
    places.assert_one_line(caught, "data.name must be a set of the Hugging Face Hub, or a folder", "nobody")


def test_without_the_package_the_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    settings = compose(["data=datasets", "data.name=imdb"]).settings
    with pytest.raises(BadSetting) as caught:
        load(settings.data, Path())
    places.assert_one_line(caught, "needs the package datasets", "data.name=imdb", "pip install datasets")
