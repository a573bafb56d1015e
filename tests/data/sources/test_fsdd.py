"""The spoken digits."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.sources import load
from pipeline.errors import BadData
from pipeline.settings.data import Fsdd
from tests.support import places


def test_the_spoken_digits_have_their_official_test_split(data_dir: str) -> None:
    told = {"seconds": 1.0, "test_speaker": "theo", **places.WHOLE}
    loaded = load(Fsdd(speaker_split=False, **told), Path(data_dir))  # type: ignore[arg-type]
    assert loaded.test is not None
    assert (len(loaded.train.labels), len(loaded.test.labels)) == (2250, 250)
    assert np.bincount(loaded.test.labels).tolist() == [25] * 10
    unseen = load(Fsdd(speaker_split=True, **told), Path(data_dir))  # type: ignore[arg-type]
    assert unseen.test is not None
    assert (len(unseen.train.labels), len(unseen.test.labels)) == (2000, 500)
    with pytest.raises(BadData, match="must be one of george, jackson, nicolas, theo, yweweler, got lucas"):
        load(Fsdd(1.0, True, "lucas", **places.WHOLE), Path(data_dir))  # type: ignore[arg-type]
