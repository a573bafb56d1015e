"""Folders of sounds."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.features import SoundSamples
from pipeline.data.sources import load
from pipeline.errors import BadData
from tests.support import places


def test_sounds_become_waves_of_one_length(tmp_path: Path) -> None:
    loaded = load(places.sounds(places.audio_folder(tmp_path), seconds=0.5), tmp_path)
    waves = np.asarray(loaded.train.features)
    assert loaded.kind == SoundSamples(8000)
    assert (waves.shape, waves.dtype) == ((24, 4000), np.int16)
    np.testing.assert_allclose(waves[12, :2400], places.tone(300), atol=2)
    assert not waves[:, 2400:].any()


def test_another_rate_is_told_or_brought_to_one(tmp_path: Path) -> None:
    places.audio_folder(tmp_path)
    places.write_wav(tmp_path / "low" / "fast.wav", places.tone(300, rate=16000), 16000)
    with pytest.raises(BadData) as caught:
        load(places.sounds(tmp_path), tmp_path)
    places.assert_one_line(
        caught, "one sampling rate", "16000 Hz in", "fast.wav", "8000 Hz", "data.rate=8000"
    )
    loaded = load(places.sounds(tmp_path, rate=8000), tmp_path)
    fast = np.asarray(loaded.train.features)[np.flatnonzero(loaded.train.labels == 1)[-1]]
    np.testing.assert_allclose(fast[100:1900], places.tone(300)[100:1900], atol=300)
