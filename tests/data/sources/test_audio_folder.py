"""Folders of sounds."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data.features import SoundSamples
from pipeline.data.preprocess import preprocess
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


def test_a_longer_sound_is_several_rows_of_one_group(tmp_path: Path) -> None:
    places.audio_folder(tmp_path)
    long = np.concatenate([np.zeros(2000), places.tone(300, 0.5), places.tone(500, 0.13), np.zeros(2000)])
    places.write_wav(tmp_path / "low" / "long.wav", long)
    loaded = load(places.sounds(tmp_path, seconds=0.25), tmp_path)
    assert loaded.train.groups is not None
    assert np.bincount(loaded.train.groups).tolist() == [1] * 24 + [3]
    assert loaded.train.labels[-3:].tolist() == [1] * 3
    np.testing.assert_allclose(np.asarray(loaded.train.features)[-3:].ravel()[:5040], long[2000:7040], atol=1)
    lines = [str(finding) for finding in loaded.findings]
    assert any(line.startswith("1 sound longer than data.seconds=0.25: a row for each") for line in lines)
    assert any(line.startswith("2 excerpts left out: 40 dB below") for line in lines)


def test_excerpts_of_a_sound_stay_on_one_side_of_a_split(tmp_path: Path) -> None:
    for name, hertz in (("low", 300), ("high", 2000)):
        for row in range(12):
            places.write_wav(tmp_path / "set" / name / f"{row:03}.wav", places.tone(hertz + 10 * row, 1.0))
    settings = compose(
        [
            "data=audio_folder",
            f"data.path={tmp_path / 'set'}",
            "data.seconds=0.25",
            f"cache_dir={tmp_path / 'cache'}",
        ]
    ).settings
    prepared = preprocess(settings)
    assert prepared.report.rows_kept == {"train": 68, "validation": 12, "test": 16}
    peaks = [
        {int(np.abs(np.fft.rfft(wave)).argmax()) for wave in np.asarray(split.raw)}
        for split in (prepared.train, prepared.validation, prepared.test)
    ]
    assert sum(map(len, peaks)) == len(set.union(*peaks))
    for split, files in ((prepared.train, 17), (prepared.validation, 3), (prepared.test, 4)):
        assert split.files is not None
        assert np.unique(split.files, return_counts=True)[1].tolist() == [4] * files


def test_a_silent_sound_is_kept_and_named(tmp_path: Path) -> None:
    places.audio_folder(tmp_path)
    places.write_wav(tmp_path / "low" / "silent.wav", np.zeros(9000))
    loaded = load(places.sounds(tmp_path), tmp_path)
    assert len(loaded.train.labels) == 25
    assert "1 sound with nothing but silence" in "\n".join(map(str, loaded.findings))
