"""Near duplicates that were planted are found, and nothing in what is drawn by itself."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pipeline.data.quality import near_duplicates
from pipeline.data.quality.near_duplicates import find_twin_rows
from pipeline.data.quality.twin_images import find_twin_images, shrink_images
from pipeline.data.quality.twin_texts import find_twin_texts

WORDS = [
    "the",
    "a",
    "of",
    "in",
    "on",
    "film",
    "story",
    "actor",
    "plot",
    "scene",
    "slow",
    "fast",
    "warm",
    "cold",
    "great",
    "awful",
    "nobody",
    "everybody",
    "river",
    "house",
    "night",
    "morning",
    "letter",
    "engine",
    "garden",
    "silver",
    "wooden",
    "paper",
    "music",
    "window",
    "stone",
    "winter",
    "summer",
    "road",
]


def make_photos(count: int, seed: int) -> np.ndarray:
    """Smooth pictures of 48 x 64, uint8."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, 255, (count, 6, 8)).astype(np.uint8)
    fine = [Image.fromarray(each).resize((64, 48), Image.Resampling.BICUBIC) for each in coarse]
    return np.stack([np.asarray(each) for each in fine])


def compress(image: np.ndarray) -> np.ndarray:
    """Half the size, stored as JPEG, and back: as a copy from the net."""
    content = io.BytesIO()
    Image.fromarray(image).resize((32, 24)).save(content, "JPEG", quality=60)
    return np.asarray(Image.open(content).resize((64, 48)))


def test_copies_of_images_are_found_however_they_were_saved() -> None:
    train, fresh = make_photos(300, 0), make_photos(60, 1)
    copies = [compress(image) for image in train[:20]]
    brighter = [np.clip(image * 0.7 + 40, 0, 255).astype(np.uint8) for image in train[20:40]]
    other = np.stack([*fresh, *copies, *brighter])
    found = find_twin_images(shrink_images(train), shrink_images(other))
    assert [(twin.row, twin.train_row) for twin in found] == [(60 + n, n) for n in range(40)]
    flat = np.full((3, 48, 64), 90, np.uint8)
    assert find_twin_images(shrink_images(flat), shrink_images(flat)) == []


def test_images_that_only_look_alike_are_none() -> None:
    images = np.random.default_rng(0).permutation(load_digits().images)
    assert find_twin_images(shrink_images(images[:1200]), shrink_images(images[1200:])) == []


def test_small_images_have_the_means_of_their_parts() -> None:
    images = np.random.default_rng(0).random((2, 70, 50, 3)).astype(np.float32)
    small = shrink_images(images)
    assert small.shape == (2, 32, 32)
    assert small.mean(axis=(1, 2)) == pytest.approx(images.mean(axis=(1, 2, 3)), rel=1e-4)
    assert shrink_images(images[:, :8, :8, 0]).shape == (2, 8, 8)


def make_texts(count: int, seed: int) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, 25)) for _ in range(count)]


def test_texts_with_another_word_case_or_punctuation_are_found() -> None:
    train, fresh = make_texts(300, 0), make_texts(60, 1)
    changed = [f"{text.upper().replace(' ', ',  ', 3)}!" for text in train[:20]]
    edited = [" ".join([*text.split()[:12], "elephant", *text.split()[13:]]) for text in train[20:40]]
    found = find_twin_texts(train, [*fresh, *changed, *edited])
    assert [(twin.row, twin.train_row) for twin in found] == [(60 + n, n) for n in range(40)]
    assert all(twin.similarity == 1 for twin in found[:20])
    chinese = ["今天天气很好我们去公园散步吧", "这部电影的剧情非常无聊"]
    assert [twin.train_row for twin in find_twin_texts(chinese, ["今天天气很好，我们去公园散步吧！"])] == [0]
    assert find_twin_texts(["...", "!"], ["?"]) == []
    assert find_twin_texts([], ["a"]) == []


def test_rows_that_were_rounded_or_shaken_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    train = np.column_stack([draw.normal(size=(500, 5)) * [1, 10, 1000, 1e-6, 1], draw.integers(0, 4, 500)])
    train[:50, 4] = np.nan
    is_word = np.array([False] * 5 + [True])
    shaken = train[:40] * (1 + 1e-4 * draw.normal(size=(40, 6)))
    shaken[:, 5] = train[:40, 5]
    fresh = np.column_stack([draw.normal(size=(60, 5)) * [1, 10, 1000, 1e-6, 1], draw.integers(0, 4, 60)])
    found, by_chance = find_twin_rows(train, np.concatenate([fresh, shaken]), is_word)
    assert [(twin.row, twin.train_row) for twin in found] == [(60 + n, n) for n in range(40)]
    assert by_chance == 1
    other_word = shaken.copy()
    other_word[:, 5] += 1
    assert find_twin_rows(train, other_word, is_word)[0] == []
    # Few different rows agree by chance, and are told apart from copies by that.
    coarse = draw.integers(0, 3, (500, 4)).astype(float)
    found, by_chance = find_twin_rows(coarse[:400], coarse[400:], np.zeros(4, bool))
    assert len(found) <= 3 * by_chance
    assert find_twin_rows(train[:, :1], fresh[:, :1], is_word[:1]) == ([], 0.0)  # one column tells no row
    monkeypatch.setattr(near_duplicates, "MOST_COLUMNS", 2)
    assert len(find_twin_rows(train, shaken, is_word)[0]) == 40
