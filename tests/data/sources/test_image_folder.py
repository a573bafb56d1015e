"""Folders of images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.cli.compose import compose
from pipeline.data.preprocess import prepare
from pipeline.data.sources import load
from pipeline.errors import BadData, BadSetting
from pipeline.settings.data import Colours, OnError
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


def test_one_image_under_two_labels_is_told_with_both_files(tmp_path: Path) -> None:
    places.image_folder(tmp_path)
    Image.open(tmp_path / "left" / "003.png").save(tmp_path / "right" / "copy.bmp")
    preprocess = compose([]).settings.preprocess
    report = prepare(load(places.images(tmp_path), tmp_path), preprocess, "x").report
    (told,) = [str(finding) for finding in report.findings]
    name = tmp_path.name
    start = "1 sample found under several labels, of which one at most is right: mend the others"
    assert told in (
        f"{start} ({name}/left/003.png and {name}/right/copy.bmp)",
        f"{start} ({name}/right/copy.bmp and {name}/left/003.png)",
    )


def test_one_image_of_16_bits_makes_all_of_them_wide(tmp_path: Path) -> None:
    """Bytes times 257 are in the range of 16 bits, so a set of both keeps its brightness."""
    places.image_folder(tmp_path)
    narrow = np.asarray(Image.open(tmp_path / "left" / "000.png"))
    Image.fromarray(np.full((8, 6), 180, np.uint16)).save(tmp_path / "right" / "deep.png")
    features = np.asarray(load(places.images(tmp_path), tmp_path).train.features)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features[0], narrow * 257.0)
    np.testing.assert_array_equal(features[-1], np.full((8, 6), 180))


def test_floats_beside_bytes_are_refused_with_the_file(tmp_path: Path) -> None:
    """Nobody knows how bright a float is beside a byte; bytes times 257 made all floats black."""
    places.image_folder(tmp_path)
    Image.fromarray(np.full((8, 6), 0.5, np.float32)).save(tmp_path / "right" / "zz.tif")
    with pytest.raises(BadData, match=r"000\.png.*16 bits or less, those of other images 32"):
        load(places.images(tmp_path), tmp_path)


def test_what_was_done_to_images_is_counted(tmp_path: Path) -> None:
    places.image_folder(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 3
    for name in ("000", "001"):
        path = tmp_path / "left" / f"{name}.png"
        Image.open(path).save(path, exif=exif)
    findings = load(places.images(tmp_path), tmp_path).findings
    assert [str(finding) for finding in findings] == [
        f"2 images turned or mirrored as their EXIF data say ({tmp_path.name}/left/000.png)"
    ]


def test_images_that_vanish_on_their_background_ask_for_another(tmp_path: Path) -> None:
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        for row in range(4):
            ink = np.full((6, 6, 4), 255, np.uint8)
            ink[..., 3] = 0
            ink[row, :3, 3] = 255
            Image.fromarray(ink).save(tmp_path / name / f"{row}.png")
    with pytest.raises(BadData) as caught:
        load(places.images(tmp_path), tmp_path)
    places.assert_one_line(caught, "got all 8 of one flat colour on white", "data.background=black")
    features = np.asarray(load(places.images(tmp_path, background="black"), tmp_path).train.features)
    assert [row.sum() for row in features] == [3 * 255] * 8


def test_an_image_with_too_many_pixels_is_named_and_can_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places.image_folder(tmp_path)
    Image.new("L", (40, 40)).save(tmp_path / "left" / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(BadData, match=r"large\.png \(it has more than 0 megapixels\)"):
        load(places.images(tmp_path), tmp_path)
    assert len(load(places.images(tmp_path, on_error=OnError.skip), tmp_path).train.labels) == 24


def test_a_background_is_a_colour(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"data\.background must be white, black, grey or #RRGGBB"):
        places.images(tmp_path, background="blu")
