"""scikit-learn's handwritten digits, shipped inside scikit-learn: 1,797 images, 8x8, values 0..16."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pipeline.data.readers.loaded import LabelledSamples, LoadedData, hash_files
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.errors import BadData
from pipeline.settings.data import Digits


def fingerprint(_data: Digits, _data_dir: Path) -> str:
    """Return the SHA-256 (hex) of scikit-learn's own file, without its import, which takes half a second.

    Raises:
        BadData: the file is not where scikit-learn has it.
    """
    spec = find_spec("sklearn")
    path = Path(spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else "")
    path = path / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():
        raise BadData(
            f"data=digits needs scikit-learn's own file, got none at {path}; reinstall scikit-learn"
        )
    return hash_files([path])


def load(_data: Digits, _data_dir: Path, _scratch: ScratchSpace) -> LoadedData:
    """Read images as float32 [1797, 8, 8], without a test split."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    features = bunch.images.astype(np.float32)
    return LoadedData(
        train=LabelledSamples(features, bunch.target.astype(np.int64)),
        test=None,
        classes=tuple(str(d) for d in range(10)),
    )
