"""Preparation of samples."""

import pytest

from pipeline.errors import BadSetting
from tests.settings.refusals import exchange, remedy


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("preprocess.validation", 0.0),
        ("preprocess.validation", 0.95),
        ("preprocess.test", 1.0),
        ("preprocess.seed", 2**31),
        ("spectrogram.window_ms", 0.5),
        ("spectrogram.hop_ms", 1001.0),
        ("spectrogram.mels", 3),
        ("spectrogram.low_hz", -1.0),
        ("spectrogram.high_hz", 0.0),
        ("spectrogram.floor_db", 0.0),
        ("vocabulary.size", 1),
        ("vocabulary.ngrams", 6),
        ("vocabulary.length", 0),
    ],
)
def test_a_value_out_of_range_is_refused(key: str, value: object) -> None:
    with pytest.raises(BadSetting, match=remedy(key)):
        exchange(key, value)
