"""Classification sets of TensorFlow Datasets, where that package is installed; it fetches and keeps them."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.features import TextSamples
from pipeline.data.readers.loaded import LabelledSamples, LoadedData, hash_files
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.samples import RawSamples, TextWriter
from pipeline.errors import BadData, BadSetting, DataMissing, read_first_line
from pipeline.settings.data import Tfds


def fingerprint(data: Tfds, data_dir: Path) -> str:
    """Return one SHA-256 (hex) over the prepared files of the set; prepare it first where it is absent."""
    folder = Path(str(_prepare_builder(data, data_dir).data_dir))
    return hash_files(sorted(path for path in folder.iterdir() if path.is_file()))


def load(data: Tfds, data_dir: Path, scratch: ScratchSpace) -> LoadedData:
    """Read the splits `train` and, where there is one, `test`.

    Raises:
        BadData: it is no set of images or texts with one label each.
    """
    builder = _prepare_builder(data, data_dir)
    if "train" not in builder.info.splits or builder.info.supervised_keys is None:
        raise BadData(
            f"data.name must be a set with a train split and (sample, label) pairs, got {data.name}; "
            "see the catalogue"
        )
    names = tuple(str(name) for name in builder.info.features[builder.info.supervised_keys[1]].names)
    train = _read_samples(builder, "train", scratch, data)
    test = _read_samples(builder, "test", scratch, data) if "test" in builder.info.splits else None
    form = None if isinstance(train.features, np.ndarray) else TextSamples()
    return LoadedData(train=train, test=test, classes=names, kind=form)


def _prepare_builder(data: Tfds, data_dir: Path) -> Any:
    """Prepare a data set; TensorFlow Datasets downloads its files where they are absent."""
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
        raise DataMissing(
            f"data.name must be a set that TensorFlow Datasets can prepare in {data_dir / 'tfds'}, "
            f"got {data.name} ({read_first_line(error)[:120]}); see its catalogue"
        ) from None
    return builder


def _read_samples(builder: Any, split: str, scratch: ScratchSpace, data: Tfds) -> LabelledSamples:
    rows = int(builder.info.splits[split].num_examples)
    labels = np.empty(rows, np.int64)
    pairs = enumerate(builder.as_dataset(split, as_supervised=True, shuffle_files=False).as_numpy_iterator())
    features: np.ndarray | None = None
    writer: TextWriter | None = None
    for row, (sample, label) in pairs:
        labels[row] = label
        if isinstance(sample, bytes):
            writer = writer or TextWriter(scratch.make_path_if_large(builder.info.dataset_size or 0))
            writer.add(sample.decode("utf-8", "replace").strip())
            continue
        if features is None:
            dtype = np.dtype(np.uint8) if sample.dtype == np.uint8 else np.dtype(np.float32)
            features = scratch.allocate((rows, *sample.shape), dtype)
        if sample.shape != features.shape[1:]:
            raise BadData(
                f"samples must all have one size, got {sample.shape} and {features.shape[1:]} in "
                f"{data.name}; choose a set of one size"
            )
        features[row] = sample
    samples: RawSamples | None = writer.finish() if writer else features
    if samples is None:
        raise BadData(f"the {split} split of {data.name} must have samples, got none; choose another set")
    return LabelledSamples(samples, labels)
