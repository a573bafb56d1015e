"""Folders of images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.sources import load
from pipeline.errors import BadData
from pipeline.settings.data import Colours
from tests.support import places


def test_images_become_bytes_in_the_order_of_their_names(tmp_path: Path) -> None:
    loaded = load(places.images(places.image_folder(tmp_path)), tmp_path)
    features = np.asarray(loaded.train.features)
    assert (features.shape, features.dtype) == ((24, 8, 6), np.uint8)
    assert loaded.classes == ("left", "right")
    assert loaded.train.labels.tolist() == [0] * 12 + [1] * 12
    np.testing.assert_array_equal(features[13], np.asarray(Image.open(tmp_path / "right" / "001.png")))


def test_colours_and_size_are_as_asked_for(tmp_path: Path) -> None:
    data = places.images(places.image_folder(tmp_path), colours=Colours.rgb, size=[5, 4])
    assert np.asarray(load(data, tmp_path).train.features).shape == (24, 5, 4, 3)


def test_mixed_sizes_name_two_files_and_the_remedy(tmp_path: Path) -> None:
    places.image_folder(tmp_path)
    Image.new("L", (9, 9)).save(tmp_path / "right" / "big.png")
    with pytest.raises(BadData) as caught:
        load(places.images(tmp_path), tmp_path)
    places.assert_one_line(
        caught, "must all have one size", "9x9 in", "big.png", "6x8 in", "data.size=[height,width]"
    )
    assert len(load(places.images(tmp_path, size=[8, 6]), tmp_path).train.labels) == 25
