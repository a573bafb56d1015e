"""WAV files as waveforms of one rate and length."""

import warnings
from math import gcd
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.data.readers.folders import Unreadable


def decode_wav(file: Path | BinaryIO) -> tuple[np.ndarray, int]:
    """Read a WAV file: float64 [n] in -1..1, channels averaged, and the samples a second.

    Raises:
        Unreadable: no WAV file, or one without sound.
    """
    from scipy.io import wavfile  # type: ignore[import-untyped]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks with the artist's name and such
            warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
            rate, samples = wavfile.read(file)
    except Exception as error:  # of many kinds, for a file that is no WAV or only a part of one
        raise Unreadable(str(error) or type(error).__name__) from None
    if not samples.size or rate <= 0:
        raise Unreadable("no sound in it")
    if samples.dtype == np.uint8:
        wave = (samples.astype(np.float64) - 128) / 128
    elif samples.dtype.kind == "i":
        wave = samples / -float(np.iinfo(samples.dtype).min)
    else:
        wave = np.nan_to_num(samples.astype(np.float64)).clip(-1, 1)
    return (wave.mean(axis=1) if wave.ndim == 2 else wave), int(rate)


def resample(wave: np.ndarray, rate: int, to: int) -> np.ndarray:
    """Convert a waveform [n] from `rate` to `to` samples a second, by a polyphase filter."""
    from scipy.signal import resample_poly  # type: ignore[import-untyped]

    if rate == to:
        return wave
    common = gcd(rate, to)
    changed: np.ndarray = resample_poly(wave, to // common, rate // common)
    return changed


def cut_or_pad(wave: np.ndarray, samples: int) -> np.ndarray:
    """Convert a waveform in -1..1 to int16 [samples]: cut at the end, or followed by silence."""
    loud = np.rint(wave[:samples] * 2**15).clip(-(2**15), 2**15 - 1).astype(np.int16)
    return np.pad(loud, (0, samples - len(loud)))
