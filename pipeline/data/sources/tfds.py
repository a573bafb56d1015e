"""Classification sets of TensorFlow Datasets, where that package is installed; it fetches and keeps them."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.features import Words
from pipeline.data.samples import Raw, TextWriter
from pipeline.data.sources.loaded import Loaded, Samples, digest
from pipeline.data.sources.scratch import Scratch
from pipeline.errors import BadData, BadSetting, DataMissing
from pipeline.settings.data_kinds import Tfds


def fingerprint(data: Tfds, data_dir: Path) -> str:
    folder = Path(str(_builder(data, data_dir).data_dir))
    return digest(sorted(path for path in folder.iterdir() if path.is_file()))


def load(data: Tfds, data_dir: Path, scratch: Scratch) -> Loaded:
    """The splits `train` and, where there is one, `test`.

    Raises:
        BadData: it is no set of images or texts with one label each.
    """
    builder = _builder(data, data_dir)
    if "train" not in builder.info.splits or builder.info.supervised_keys is None:
        raise BadData(
            f"data.name must be a set with a train split and (sample, label) pairs, got {data.name}; "
            "see the catalogue"
        )
    names = tuple(str(name) for name in builder.info.features[builder.info.supervised_keys[1]].names)
    train = _samples(builder, "train", scratch, data)
    test = _samples(builder, "test", scratch, data) if "test" in builder.info.splits else None
    form = None if isinstance(train.features, np.ndarray) else Words()
    return Loaded(train, test, names, form)


def _builder(data: Tfds, data_dir: Path) -> Any:
    """A set whose files are there."""
    try:
        import tensorflow_datasets  # type: ignore[import-not-found]
    except ImportError:
        raise BadSetting(
            f"data=tfds needs the package tensorflow-datasets, got none for data.name={data.name}; "
            "install it with: pip install tensorflow-datasets"
        ) from None
    try:
        builder = tensorflow_datasets.builder(data.name, data_dir=str(data_dir / "tfds"))
        builder.download_and_prepare()
    except Exception as error:  # of many kinds: no such set, no connection, a wrong hash
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DataMissing(
            f"data.name must be a set that TensorFlow Datasets can prepare in {data_dir / 'tfds'}, "
            f"got {data.name} ({line[:120]}); see its catalogue"
        ) from None
    return builder


def _samples(builder: Any, split: str, scratch: Scratch, data: Tfds) -> Samples:
    rows = int(builder.info.splits[split].num_examples)
    labels = np.empty(rows, np.int64)
    pairs = enumerate(builder.as_dataset(split, as_supervised=True, shuffle_files=False).as_numpy_iterator())
    features: np.ndarray | None = None
    writer: TextWriter | None = None
    for row, (sample, label) in pairs:
        labels[row] = label
        if isinstance(sample, bytes):
            writer = writer or TextWriter(scratch.file_for(builder.info.dataset_size or 0))
            writer.add(sample.decode("utf-8", "replace").strip())
            continue
        if features is None:
            dtype = np.dtype(np.uint8) if sample.dtype == np.uint8 else np.dtype(np.float32)
            features = scratch.room((rows, *sample.shape), dtype)
        if sample.shape != features.shape[1:]:
            raise BadData(
                f"samples must all have one size, got {sample.shape} and {features.shape[1:]} in "
                f"{data.name}; choose a set of one size"
            )
        features[row] = sample
    found: Raw | None = writer.texts() if writer else features
    if found is None:
        raise BadData(f"the {split} split of {data.name} must have samples, got none; choose another set")
    return Samples(found, labels)
