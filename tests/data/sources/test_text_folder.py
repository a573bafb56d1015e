"""Folders of texts."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.sources import load
from pipeline.errors import BadData
from tests.support import places


def test_texts_are_read_in_their_encoding(tmp_path: Path) -> None:
    data = places.texts(places.text_folder(tmp_path, encoding="cp1252"), encoding="cp1252")
    loaded = load(data, tmp_path)
    assert loaded.classes == ("bad", "good")
    assert "café" in loaded.train.features[np.array([3])][0]
    with pytest.raises(BadData) as caught:
        load(places.texts(tmp_path), tmp_path)
    places.assert_one_line(caught, "got 40 that cannot be read", "utf-8", "and 37 more")
