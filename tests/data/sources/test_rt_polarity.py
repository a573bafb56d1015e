"""Film reviews."""

from pathlib import Path

import numpy as np

from pipeline.data.sources import load
from tests.support import places


def test_the_reviews_are_windows_1252(data_dir: str) -> None:
    from pipeline.settings.data import RtPolarity

    loaded = load(RtPolarity(**places.WHOLE), Path(data_dir))  # type: ignore[arg-type]
    assert np.bincount(loaded.train.labels).tolist() == [5331, 5331]
    assert loaded.classes == ("negative", "positive")
    lines = loaded.train.features[np.arange(10662)]
    assert any("é" in line for line in lines)
    assert not any("\ufffd" in line or "\x96" in line for line in lines)
