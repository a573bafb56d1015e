"""scikit-learn's handwritten digits, shipped inside scikit-learn: 1,797 images, 8x8, values 0..16."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pipeline.data.sources.loaded import Loaded, Samples, digest
from pipeline.errors import BadData


def fingerprint() -> str:
    """Hash of the file that scikit-learn ships; importing scikit-learn would take half a second."""
    spec = find_spec("sklearn")
    path = Path(spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else "")
    path = path / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():
        raise BadData(
            f"data=digits needs scikit-learn's own file, got none at {path}; reinstall scikit-learn"
        )
    return digest([path])


def load() -> Loaded:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    features = bunch.images.astype(np.float32)
    return Loaded(Samples(features, bunch.target.astype(np.int64)), None, tuple(str(d) for d in range(10)))
