"""WAV files as waveforms."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.readers import sounds
from pipeline.data.readers.folders import Unreadable
from pipeline.data.sources import load
from pipeline.errors import BadData
from tests.support import places


@pytest.mark.parametrize("bytes_each", [2, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_width_and_channel_sounds_the_same(tmp_path: Path, bytes_each: int, channels: int) -> None:
    wave = np.repeat(places.tone(440), channels) * 2.0 ** (8 * (bytes_each - 2))
    places.write_wav(tmp_path / "a.wav", wave, bytes_each=bytes_each, channels=channels)
    decoded, rate = sounds.decode_wav(tmp_path / "a.wav")
    assert rate == 8000
    np.testing.assert_allclose(decoded, places.tone(440) / 2**15, atol=1e-4)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"nothing of the kind" * 9, "half"])
def test_what_is_no_wav_is_named(tmp_path: Path, content: bytes | str) -> None:
    places.audio_folder(tmp_path)
    whole = (tmp_path / "low" / "000.wav").read_bytes()
    (tmp_path / "low" / "000.wav").write_bytes(content if isinstance(content, bytes) else whole[:2000])
    with pytest.raises(Unreadable):
        sounds.decode_wav(tmp_path / "low" / "000.wav")
    with pytest.raises(BadData) as caught:
        load(places.sounds(tmp_path), tmp_path)
    places.assert_one_line(caught, "got 1 that cannot be read", "000.wav", "data.on_error=skip")
